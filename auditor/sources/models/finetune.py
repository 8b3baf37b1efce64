"""A fine-tune: the parent model, the recipe and the data that make it, described before it is run."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from auditor.errors import SourceError
from auditor.sources.digest import same_rows, seal_model
from auditor.sources.labels import match
from auditor.sources.models.head import ENDINGS, renew_head, with_head
from auditor.sources.models.tokens import tokenizer_of
from auditor.sources.models.transformers import POOLED
from auditor.sources.paths import Where
from auditor.spec.model import ModelEntry
from auditor.subject import DataRef, History, Holding, ModelRef, Recipe

if TYPE_CHECKING:
    import torch


def describe_finetune(entry: ModelEntry, parent: ModelRef, train: DataRef, validation: DataRef) -> ModelRef:
    """The fine-tune of `parent`: its head, history, and both data sets with labels matched to that head.

    With `recipe.head` it is a classifier of the training data's classes, in their own order, whatever the parent is: a
    classifier, a regression, or an encoder of transformers, which becomes the classifier of its kind.
    Raises SourceError when the head and the classes of the training data differ in number, the parent is itself a
    fine-tune or cannot have (or lacks) a head, the validation data is the training data, or labels are missing.
    """
    if entry.finetune is None:
        raise ValueError(f"model entry {entry.name!r} is no fine-tune")
    recipe = entry.finetune.recipe
    if parent.source == "finetune":
        raise SourceError(
            f"models.{entry.name}.finetune.from: {parent.name!r} is itself a fine-tune",
            hint="fine-tune a model that lies on disk",
            where=("models", entry.name, "finetune", "from"),
        )
    if same_rows(validation, train):
        raise SourceError(
            f"models.{entry.name}.finetune.validation: data.{validation.name} draws from the rows of the training data",
            hint="name other data: what is called validation must not be trained on",
            where=("models", entry.name, "finetune", "validation"),
        )
    needs_labels = recipe.head is not None or parent.task in ("classification", "regression")
    for data in (train, validation):
        if needs_labels and not data.labelled:
            raise SourceError(
                f"models.{entry.name}.finetune: data.{data.name} has no labels to learn from",
                hint="name the column that holds them: `label: ...`",
                where=("data", data.name, "label"),
            )
    head = _head(entry.name, recipe, parent, train)
    ref = parent.model_copy(
        update={
            "name": entry.name, "source": "finetune", "entry": entry.to_json(), **head,
            "history": History(source="finetune", holds=frozenset(get_args(Holding)), seeds=recipe.seeds),
            "parent": parent, "recipe": recipe,
        }
    )  # fmt: skip
    return seal_model(ref.model_copy(update={"train": match(ref, train), "validation": match(ref, validation)}))


def _head(name: str, recipe: Recipe, parent: ModelRef, train: DataRef) -> dict[str, Any]:
    """What a new head changes of the model's description; nothing without one."""
    where: Where = ("models", name, "finetune", "head")
    if recipe.head is None:
        if parent.task == "encoder":
            hint = "give it one: `head: {classes: N}`"
            raise SourceError(f"models.{name}.finetune: {parent.name!r} has no head to train", hint=hint, where=where)
        return {}
    if parent.task in ("causal_lm", "masked_lm"):
        raise SourceError(
            f"models.{name}.finetune.head: {parent.name!r} is a language model, which is fine-tuned as one",
            hint="leave `head:` out, or save its trunk as an encoder and fine-tune that",
            where=where,
        )
    if parent.task == "encoder" and parent.source != "transformers":
        raise SourceError(
            f"models.{name}.finetune.head: only encoders of transformers can be given a head, and {parent.name!r} is "
            f"of source {parent.source}",
            hint="let the factory build the classifier",
            where=where,
        )
    classes = train.classes or tuple(sorted(train.counts))
    if len(classes) != recipe.head:
        raise SourceError(
            f"models.{name}.finetune.head: expected as many classes as data.{train.name} has "
            f"({len(classes)}: {', '.join(classes[:8])}), found {recipe.head}",
            hint=f"write head: {{classes: {len(classes)}}}",
            where=where,
        )
    found: dict[str, Any] = {"outputs": recipe.head, "classes": classes, "task": "classification"}
    if parent.task == "encoder":
        found["architecture"] = parent.architecture.removesuffix("Model") + ENDINGS[parent.modality]
        found["assumptions"] = tuple(each for each in parent.assumptions if each != POOLED)
    return found


def build(ref: ModelRef, root: Path) -> torch.nn.Module:
    """The parent's module, with a new head where the recipe asks for one (from torch's global generator)."""
    if ref.parent is None or ref.recipe is None:
        raise ValueError(f"model {ref.name!r} is no fine-tune")
    source = import_module(f"auditor.sources.models.{ref.parent.source}")
    module: torch.nn.Module = source.build(ref.parent, root)
    if ref.recipe.head is None:
        return module
    if ref.parent.task == "encoder":
        module = with_head(module, ref.architecture, ref.recipe.head, ref.name)
        if ref.modality == "text":
            config: Any = module.config
            config.pad_token_id = tokenizer_of(ref.parent, root).pad_token_id
        return module
    renew_head(module, ref.parent.outputs, ref.recipe.head, ref.name)
    return module
