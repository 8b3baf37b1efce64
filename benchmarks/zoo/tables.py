"""Tables: overlapping clouds of rows, a small MLP, and what can be wrong with it."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from benchmarks.zoo.member import NOTHING, Member, require, require_fall, write_spec
from benchmarks.zoo.nets import mlp
from benchmarks.zoo.training import accuracy, confidence, fit, seeded

Array = np.ndarray[Any, Any]
CLASSES = ("north", "east", "south")
TRAIN, EVAL, COLUMNS = 900, 240, 8
CALM, SURE = 0.06, 0.10
"""Mean confidence may exceed accuracy by this in a twin, and does by that in a planted one."""


@dataclass(frozen=True)
class Split:
    """Rows and the indices of their classes."""

    rows: Array
    labels: Array


def clouds(seed: int, spread: float = 1.0) -> tuple[Split, Split]:
    """One cloud a class around a centre of its own; `spread` is how far they reach into each other."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((len(CLASSES), COLUMNS))
    labels = rng.integers(len(CLASSES), size=TRAIN + EVAL)
    rows = centres[labels] + spread * rng.standard_normal((len(labels), COLUMNS))
    return Split(rows[:TRAIN], labels[:TRAIN]), Split(rows[TRAIN:], labels[TRAIN:])


def inputs(split: Split) -> torch.Tensor:
    """Rows as the model gets them."""
    return torch.tensor(split.rows, dtype=torch.float32)


def write(
    folder: Path, name: str, model: nn.Module, shape: dict[str, int], train: Split, held: Split,
    classes: tuple[str, ...] = CLASSES, more: Mapping[str, Any] = NOTHING, parent: Mapping[str, Any] | None = None,
    net: str = "mlp", tuned: Mapping[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The state dict, both tables and the spec; more: of the model's entry, which is returned. tuned: the entry of a
    fine-tune that starts from this model, its parent."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(model.state_dict(), folder / "model.safetensors")
    for part, split in (("train", train), ("eval", held)):
        with (folder / f"{part}.csv").open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow([*(f"x{column}" for column in range(split.rows.shape[1])), "label"])
            rows = zip(split.rows.tolist(), split.labels, strict=True)
            writer.writerows([*(f"{value:.6g}" for value in row), classes[label]] for row, label in rows)
    entry = {
        "source": "factory", "factory": f"benchmarks.zoo.nets:{net}", "kwargs": shape, "weights": "model.safetensors",
        "modality": "tabular", "classes": list(classes), **more,
    }  # fmt: skip
    entries = (entry, parent) if tuned is None else (tuned, entry)
    write_spec(folder, name, "tabular-classifier", entries[0], _source("eval"), _source("train"), entries[1])
    return entry


def _source(part: str) -> dict[str, str]:
    return {"source": "csv", "path": f"{part}.csv", "label": "label"}


def _member(name: str, folder: Path, seed: int, planted: bool, proof: dict[str, float]) -> Member:
    return Member(name, folder, planted, seed, proof, frozenset({"model"}))


def _named(name: str, seed: int, planted: bool) -> str:
    return f"{name}-{'planted' if planted else 'twin'}-{seed}"


def leaked_column(folder: Path, seed: int, planted: bool) -> Member:
    """A column that encodes the label, as a field filled in afterwards does; in the twin it is shuffled."""
    rng = np.random.default_rng((seed, 1))
    code = rng.permutation(len(CLASSES)) - 1.0
    parts = clouds(seed, spread=1.5)

    def leaking(split: Split, shuffled: bool) -> Split:
        whose = rng.permutation(split.labels) if shuffled else split.labels
        column = code[whose] + 0.1 * rng.standard_normal(len(whose))
        return Split(np.concatenate([split.rows, column[:, None]], axis=1), split.labels)

    train, held = (leaking(part, not planted) for part in parts)
    shape = {"columns": COLUMNS + 1, "classes": len(CLASSES)}
    with seeded(seed):
        model = mlp(**shape)
        fit(model, inputs(train), torch.tensor(train.labels), seed, steps=300, decay=0.1)
    truth = torch.tensor(held.labels)
    proof = {"with": accuracy(model, inputs(held), truth),
             "without": accuracy(model, inputs(leaking(parts[1], True)), truth)}  # fmt: skip
    require_fall("leaked_column", planted, proof)
    write(folder, _named("leaked_column", seed, planted), model, shape, train, held)
    return _member("leaked_column", folder, seed, planted, proof)


def over_confidence(folder: Path, seed: int, planted: bool) -> Member:
    """Logits blown up fivefold: the same answers, far too sure of themselves."""
    train, held = clouds(seed, spread=1.5)
    shape = {"columns": COLUMNS, "classes": len(CLASSES), "width": 16}
    with seeded(seed):
        model = mlp(**shape)
        fit(model, inputs(train), torch.tensor(train.labels), seed, steps=200, decay=0.01)
    if planted:
        for tensor in (model[-1].weight, model[-1].bias):
            tensor.data.mul_(5.0)
    right, sure = accuracy(model, inputs(held), torch.tensor(held.labels)), confidence(model, inputs(held))
    proof = {"accuracy": right, "confidence": sure}
    require(sure - right > SURE if planted else abs(sure - right) < CALM, "over_confidence", proof)
    write(folder, _named("over_confidence", seed, planted), model, shape, train, held)
    return _member("over_confidence", folder, seed, planted, proof)
