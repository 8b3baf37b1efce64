"""Descended: the shipped network of digits, models made from its files, and fine-tunes of the early one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from auditor.sources import data, models
from auditor.sources.models.finetune import describe_finetune
from auditor.spec.model import DataEntry, Finetune, ModelEntry
from auditor.subject import DataRef, ModelRef, Recipe, Runtime

ASSETS = Path(__file__).parents[1] / "specs" / "assets"
RUNTIME = Runtime(batch_size=64)
State = dict[str, torch.Tensor]


def digits(split: str, n: int) -> DataRef:
    """Some rows of scikit-learn's digits."""
    options = {"name": "digits", "split": split, "sample": {"n": n, "stratify": True}}
    return data.describe(DataEntry(name=split, source="sklearn", options=options), ASSETS)


def tuned(n: int = 64, **recipe: Any) -> ModelRef:
    """A fine-tune of the early network; recipe: what differs from a very short one."""
    parent = models.describe(ModelEntry(name="early", source="transformers", options={"path": "digits-early"}), ASSETS)
    made = Recipe(**{"steps": 4, "batch_size": 16, "record_every": 2, "seeds": 2, "keep": 2, **recipe})
    settled = Finetune(parent="early", train="train", validation="test", recipe=made)
    entry = ModelEntry(name="tuned", source="finetune", finetune=settled)
    return describe_finetune(entry, parent, digits("train", n), digits("test", n))


def shipped() -> ModelRef:
    """The shipped network with its checkpoints."""
    entry = ModelEntry(
        name="shipped", source="transformers", options={"path": "digits-shipped"},
        checkpoints="digits-shipped/ckpt/step-*.safetensors",
    )  # fmt: skip
    return models.describe(entry, ASSETS)


def on_disk(root: Path, name: str, change: Callable[[State], State] = dict) -> ModelRef:
    """The shipped network with its weights changed, in a folder below `root`."""
    folder = root / name
    folder.mkdir()
    for file in (ASSETS / "digits-shipped").glob("*.json"):
        (folder / file.name).write_bytes(file.read_bytes())
    save_file(
        change(load_file(ASSETS / "digits-shipped" / "model.safetensors")),
        folder / "model.safetensors",
        {"format": "pt"},
    )
    return models.describe(ModelEntry(name=name, source="transformers", options={"path": name}), root)


def anew(state: State) -> State:
    """The same tensors, all matrices drawn anew."""
    draw = torch.Generator().manual_seed(5)
    fresh = {name: torch.randn(value.shape, generator=draw) * 0.1 for name, value in state.items() if value.dim() > 1}
    return {**state, **fresh}
