"""Fits: fine-tunes of small nets on handwritten digits that go wrong in one known way, and twins that do not.

The audit does the training itself, from a start that is written here: five seeds a member. Every seed of the zoo draws
its own recipe (optimizer, width, noise of the pixels); a twin has that recipe with nothing planted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.zoo.member import NOTHING, Member, Unproven
from benchmarks.zoo.nets import deep
from benchmarks.zoo.tables import Split, inputs, write
from benchmarks.zoo.training import seeded

Array = np.ndarray[Any, Any]
CLASSES = tuple("0123456789")
TRAIN, EVAL = 800, 500
STEPS, BATCH, SEEDS = 150, 32, 5
TINY, FEW, NOISE = 1, 40, 0.2
"""Units a layer of too small a model, rows of too small a training set, share of labels drawn anew at random."""

DIVERGING = {"sgd": 200.0, "adamw": 1000.0}
"""Factors of the learning rate."""


@dataclass(frozen=True)
class Recipe:
    """How a member is trained: `options` of the spec's fine-tune; shape: of its net; blur: sd of the pixels' noise."""

    options: Mapping[str, Any]
    shape: Mapping[str, Any]
    blur: float


def recipe(seed: int) -> Recipe:
    """The recipe of a seed."""
    rng = np.random.default_rng((seed, 41))
    name = str(rng.choice(["sgd", "adamw"]))
    lr = float(np.exp(rng.uniform(*np.log((0.02, 0.06) if name == "sgd" else (2e-3, 6e-3)))))
    options = {"optimizer": name, "lr": lr, "schedule": str(rng.choice(["constant", "cosine"])), "steps": STEPS,
               "batch_size": BATCH, "seeds": SEEDS, "record_every": 10, "keep": 1}  # fmt: skip
    options |= {"momentum": 0.9} if name == "sgd" else {"weight_decay": 0.01}
    shape = {"columns": 64, "classes": len(CLASSES), "width": int(rng.choice([48, 64, 96])), "blocks": 2}
    return Recipe(options, shape, float(rng.uniform(0.0, 2.0)))


@cache
def _digits() -> tuple[Array, Array]:
    from sklearn.datasets import load_digits

    found = load_digits()
    return found.data, found.target


def digits(seed: int, blur: float, train: int = TRAIN) -> tuple[Split, Split]:
    """Other rows for each seed, with noise on their pixels (0 to 16, halved twice to about -2 to 2)."""
    rows, labels = _digits()
    rng = np.random.default_rng((seed, 43))
    order = rng.permutation(len(rows))[: TRAIN + EVAL]
    seen = (rows[order] + blur * rng.standard_normal((len(order), rows.shape[1])) - 8) / 4
    return Split(seen[:train], labels[order][:train]), Split(seen[TRAIN:], labels[order][TRAIN:])


def _relabelled(split: Split, share: float, rng: np.random.Generator) -> Split:
    """`share` of the labels become another class."""
    wrong = rng.random(len(split.labels)) < share
    other = (split.labels + rng.integers(1, len(CLASSES), len(split.labels))) % len(CLASSES)
    return Split(split.rows, np.where(wrong, other, split.labels))


def _member(
    name: str, folder: Path, seed: int, planted: bool, given: Recipe, sides: tuple[Split, Split], start: nn.Module,
    proof: Mapping[str, float],
) -> Member:  # fmt: skip
    """The start and both tables on disk, and the spec that fine-tunes it."""
    tuned = {"finetune": {"from": "parent", "data": "train", "validation": "eval", **given.options}}
    write(folder, f"{name.replace('_', '-')}-{'planted' if planted else 'twin'}-{seed}", start, dict(given.shape),
          *sides, CLASSES, net="deep", tuned=tuned)  # fmt: skip
    return Member(name, folder, planted, seed, proof, frozenset({"model", "parent"}))


def _plain(seed: int, given: Recipe) -> nn.Module:
    with seeded(seed):
        return deep(**given.shape)


def healthy(folder: Path, seed: int, planted: bool = False) -> Member:
    """Nothing is planted."""
    given = recipe(seed)
    return _member("healthy", folder, seed, planted, given, digits(seed, given.blur), _plain(seed, given), NOTHING)


def diverging_rate(folder: Path, seed: int, planted: bool) -> Member:
    """A learning rate hundreds of times too high."""
    given = recipe(seed)
    if planted:
        factor = DIVERGING[given.options["optimizer"]]
        given = Recipe({**given.options, "lr": given.options["lr"] * factor}, given.shape, given.blur)
    return _member("diverging_rate", folder, seed, planted, given, digits(seed, given.blur), _plain(seed, given),
                   {"rate": given.options["lr"]})  # fmt: skip


def shuffled_labels(folder: Path, seed: int, planted: bool) -> Member:
    """All labels are dealt out at random, in the training and in the validation data."""
    given, rng = recipe(seed), np.random.default_rng((seed, 47))
    sides = digits(seed, given.blur)
    if planted:
        sides = (Split(sides[0].rows, rng.permutation(sides[0].labels)),
                 Split(sides[1].rows, rng.permutation(sides[1].labels)))  # fmt: skip
    return _member("shuffled_labels", folder, seed, planted, given, sides, _plain(seed, given), NOTHING)


def label_noise(folder: Path, seed: int, planted: bool) -> Member:
    """One label in five is another class, in the training data alone for half of the seeds, else in both."""
    given, rng = recipe(seed), np.random.default_rng((seed, 53))
    train, held = digits(seed, given.blur)
    if planted:
        noisy = _relabelled(train, NOISE, rng)
        held = _relabelled(held, NOISE, rng) if seed % 2 else held
        wrong = float((noisy.labels != train.labels).mean())
        return _member("label_noise", folder, seed, planted, given, (noisy, held), _plain(seed, given), {"wrong": wrong})
    return _member("label_noise", folder, seed, planted, given, (train, held), _plain(seed, given), {"wrong": 0.0})


def small_model(folder: Path, seed: int, planted: bool) -> Member:
    """One unit a layer."""
    given = recipe(seed)
    if planted:
        given = Recipe(given.options, {**given.shape, "width": TINY}, given.blur)
    return _member("small_model", folder, seed, planted, given, digits(seed, given.blur), _plain(seed, given),
                   {"width": given.shape["width"]})  # fmt: skip


def small_set(folder: Path, seed: int, planted: bool) -> Member:
    """Forty training rows."""
    given = recipe(seed)
    sides = digits(seed, given.blur, FEW if planted else TRAIN)
    return _member("small_set", folder, seed, planted, given, sides, _plain(seed, given), {"rows": len(sides[0].labels)})


def dead_block(folder: Path, seed: int, planted: bool) -> Member:
    """One residual block whose ReLU never fires: its first bias is far below zero."""
    given = recipe(seed)
    start = _plain(seed, given)
    if planted:
        at = int(np.random.default_rng((seed, 59)).integers(given.shape["blocks"]))
        start.get_parameter(f"blocks.{at}.first.bias").data.fill_(-50.0)
    return _member("dead_block", folder, seed, planted, given, digits(seed, given.blur), start, NOTHING)


def deep_sigmoid(folder: Path, seed: int, planted: bool) -> Member:
    """Sixteen layers of sigmoids without shortcuts; the twin has as many layers of ReLUs in residual blocks."""
    given = recipe(seed)
    shape = {**given.shape, "blocks": 7} | ({"plain": True, "sigmoid": True} if planted else {})
    given = Recipe(given.options, shape, given.blur)
    return _member("deep_sigmoid", folder, seed, planted, given, digits(seed, given.blur), _plain(seed, given), NOTHING)


def exploding_start(folder: Path, seed: int, planted: bool) -> Member:
    """All weights drawn with standard deviation one, whatever the width, in a net without shortcuts."""
    given = recipe(seed)
    start = _plain(seed, given)
    if planted:
        with torch.no_grad(), seeded(seed + 1):
            for weight in (p for p in start.parameters() if p.dim() > 1):
                weight.normal_()
    sides = digits(seed, given.blur)
    with torch.inference_mode():
        first = float(nn.functional.cross_entropy(start(inputs(sides[0])), torch.tensor(sides[0].labels)))
    if planted and not first > 100:
        raise Unproven(f"exploding_start: first loss {first}")
    return _member("exploding_start", folder, seed, planted, given, sides, start, {"first_loss": first})
