"""A fine-tune: the parent model, the recipe and the data that make it, described before it is run."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from auditor.errors import SourceError
from auditor.sources.digest import seal_model
from auditor.sources.labels import match
from auditor.sources.models.head import renew_head
from auditor.spec.model import ModelEntry
from auditor.subject import DataRef, History, Holding, ModelRef

if TYPE_CHECKING:
    import torch


def describe_finetune(entry: ModelEntry, parent: ModelRef, train: DataRef, validation: DataRef) -> ModelRef:
    """The fine-tune of `parent`: its head, history, and both data sets with labels matched to that head.

    With `recipe.head` the classes are those of the training data, in their own order. Raises SourceError when the head
    and the classes of the training data differ in number, the parent is itself a fine-tune, or the validation data is
    the training data.
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
    if validation.digest == train.digest:
        raise SourceError(
            f"models.{entry.name}.finetune.validation: data.{validation.name} holds the training data itself",
            hint="name other data: what is called validation must not be trained on",
            where=("models", entry.name, "finetune", "validation"),
        )
    for data in (train, validation):
        if not data.labelled:
            raise SourceError(
                f"models.{entry.name}.finetune: data.{data.name} has no labels to learn from",
                hint="name the column that holds them: `label: ...`",
                where=("data", data.name, "label"),
            )
    outputs, classes = parent.outputs, parent.classes
    if recipe.head is not None:
        outputs, classes = recipe.head, train.classes or tuple(sorted(train.counts))
        if len(classes) != outputs:
            raise SourceError(
                f"models.{entry.name}.finetune.head: expected as many classes as data.{train.name} has "
                f"({len(classes)}: {', '.join(classes[:8])}), found {outputs}",
                hint=f"write head: {{classes: {len(classes)}}}",
                where=("models", entry.name, "finetune", "head"),
            )
    ref = parent.model_copy(
        update={
            "name": entry.name, "source": "finetune", "entry": entry.to_json(), "outputs": outputs, "classes": classes,
            "history": History(source="finetune", holds=frozenset(get_args(Holding)), seeds=recipe.seeds),
            "parent": parent, "recipe": recipe,
        }
    )  # fmt: skip
    return seal_model(ref.model_copy(update={"train": match(ref, train), "validation": match(ref, validation)}))


def build(ref: ModelRef, root: Path) -> torch.nn.Module:
    """The parent's module, with a new head where the recipe asks for one (from torch's global generator)."""
    if ref.parent is None or ref.recipe is None:
        raise ValueError(f"model {ref.name!r} is no fine-tune")
    source = import_module(f"auditor.sources.models.{ref.parent.source}")
    module: torch.nn.Module = source.build(ref.parent, root)
    if ref.recipe.head is not None:
        renew_head(module, ref.parent.outputs, ref.recipe.head, ref.name)
    return module
