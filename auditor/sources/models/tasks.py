"""Tasks: what a transformers architecture does, and with how many outputs, told from its files without torch."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from auditor.errors import SourceError
from auditor.sources.models.header import Shape
from auditor.sources.paths import Where, dotted
from auditor.subject import Modality, Task

CONFIG = "config.json"
HEADS = ("classifier.weight", "score.weight", "classifier.1.weight", "classifier.out_proj.weight")
MAPPINGS: dict[str, tuple[Modality, Task]] = {
    "MODEL_FOR_IMAGE_CLASSIFICATION": ("image", "classification"),
    "MODEL_FOR_SEQUENCE_CLASSIFICATION": ("text", "classification"),
    "MODEL_FOR_CAUSAL_LM": ("text", "causal_lm"),
    "MODEL_FOR_MASKED_LM": ("text", "masked_lm"),
    "MODEL_FOR_TEXT_ENCODING": ("text", "encoder"),
    "MODEL_FOR_IMAGE": ("image", "encoder"),
}
"""The lists of transformers that name the architectures taken here; an encoder of text may also be the trunk of one."""
WIDTHS = ("hidden_size", "n_embd", "d_model", "dim", "hidden_sizes", "embed_dims")
"""Where configurations name the width of their last hidden state; 0 outputs are described where none does."""
SUFFIXES = "ForImageClassification, ForSequenceClassification, ForCausalLM, ForMaskedLM, or Model (an encoder)"


@dataclass(frozen=True)
class Kind:
    """An architecture by its class name, what it takes, and what it gives."""

    architecture: str
    modality: Modality
    task: Task


def kind_of(config: Mapping[str, Any], where: Where) -> Kind:
    """The kind of the model whose config.json this is. SourceError for tasks that this version does not audit."""
    names = config.get("architectures")
    name = str(names[0]) if isinstance(names, list) and names else ""
    found = _known().get(name)
    if found is None or (config.get("is_encoder_decoder") and found[1] != "classification"):
        raise SourceError(
            f"{dotted(where)}: expected an architecture of the installed transformers that ends in {SUFFIXES}, "
            f"found {name or 'none in config.json'}",
            hint="this version audits classifiers, regressions, language models and encoders of texts and pictures; "
            "no encoder-decoder pairs, detection, segmentation or token labels",
            where=where,
        )
    modality, task = found
    if task == "causal_lm" and config.get("model_type") in _lists()["MODEL_FOR_MASKED_LM"] and not _is_decoder(config):
        raise SourceError(
            f"{dotted(where)}: {name} reads in both directions unless its {CONFIG} says `is_decoder: true`",
            hint="a model trained with masks is a ForMaskedLM",
            where=where,
        )
    return Kind(name, modality, _of_head(config, where) if task == "classification" else task)


def outputs_of(
    kind: Kind, config: Mapping[str, Any], stored: Mapping[str, Shape], classes: tuple[str, ...], where: Where
) -> int:
    """How many outputs: of a head, the tokens of a vocabulary, or the width of an encoder."""
    if kind.task in ("classification", "regression"):
        return _head(kind.task, config, stored, classes, where)
    if kind.task == "encoder":
        widths = (config.get(key) for key in WIDTHS)
        last = (width[-1] if isinstance(width, list) and width else width for width in widths)
        return next((width for width in last if isinstance(width, int) and width > 0), 0)
    size = config.get("vocab_size")
    if not isinstance(size, int) or size < 1:
        raise SourceError(f"{dotted(where)}: {CONFIG} names no vocab_size, the number of outputs", where=where)
    return size


def classes_of(config: Mapping[str, Any]) -> tuple[str, ...]:
    """id2label in order, or nothing where it holds only transformers' placeholders (LABEL_0, LABEL_1)."""
    table = config.get("id2label") or {}
    try:
        names = tuple(str(table[key]) for key in sorted(table, key=int))
    except (TypeError, ValueError):
        return ()
    return () if all(name == f"LABEL_{index}" for index, name in enumerate(names)) else names


def _is_decoder(config: Mapping[str, Any]) -> bool:
    return bool(config.get("is_decoder") or config.get("causal"))


def _of_head(config: Mapping[str, Any], where: Where) -> Task:
    """Classification or regression, as transformers decides it from problem_type and the number of labels."""
    kind = config.get("problem_type")
    if kind == "regression":
        return "regression"
    if kind not in (None, "single_label_classification"):
        raise SourceError(
            f"{dotted(where)}: expected a classifier that chooses one class, or a regression, found {CONFIG} with "
            f"problem_type {kind!r}",
            hint="several labels at once are not in this version",
            where=where,
        )
    return "regression" if kind is None and _said(config) == 1 else "classification"


def _said(config: Mapping[str, Any]) -> int:
    """Outputs as config.json says: num_labels, else its table of labels, else transformers' default of 2."""
    said = config.get("num_labels")
    return said if isinstance(said, int) and said > 0 else len(config.get("id2label") or {}) or 2


def _head(
    task: Task, config: Mapping[str, Any], stored: Mapping[str, Shape], classes: tuple[str, ...], where: Where
) -> int:
    """The head's size: a classifier weight in the file decides, then config.json."""
    heads = [shape.shape[0] for name, shape in stored.items() if name in HEADS and len(shape.shape) >= 2]
    found = heads[-1] if heads else _said(config)
    if task == "classification" and found < 2:
        raise SourceError(
            f"{dotted(where)}: expected a head of at least 2 classes, found {found} output",
            hint="a regression has `num_labels: 1`, or `problem_type: regression`, in its config.json",
            where=where,
        )
    if classes and len(classes) != found:
        raise SourceError(
            f"{dotted(where)}: the head has {found} outputs, but {len(classes)} labels are named",
            hint="`labels:` lists one name an output, in order",
            where=where,
        )
    return found


@cache
def _known() -> dict[str, tuple[Modality, Task]]:
    """Modality and task of each architecture, from the lists of the installed transformers."""
    lists = _lists()
    found: dict[str, tuple[Modality, Task]] = {}
    texts = {kind for name in MAPPINGS if MAPPINGS[name][0] == "text" for kind in lists.get(name, {})}
    for kind, architecture in lists.get("MODEL", {}).items():
        if kind in texts and architecture.endswith("Model"):
            found[architecture] = ("text", "encoder")
    for name, meaning in reversed(MAPPINGS.items()):
        found.update(dict.fromkeys(lists.get(name, {}).values(), meaning))
    return found


@cache
def _lists() -> dict[str, dict[str, str]]:
    """The lists of modeling_auto.py: model type -> class name, read as text: importing it would import torch."""
    spec = find_spec("transformers")
    if spec is None or spec.origin is None:
        return {}
    source = Path(spec.origin).parent / "models" / "auto" / "modeling_auto.py"
    parts = re.split(r"^(\w+)_MAPPING_NAMES = ", source.read_text(encoding="utf-8"), flags=re.MULTILINE)
    wanted = {"MODEL", *MAPPINGS}
    named = zip(parts[1::2], parts[2::2], strict=True)
    return {name: dict(re.findall(r'\("([\w-]+)", "(\w+)"\)', body)) for name, body in named if name in wanted}
