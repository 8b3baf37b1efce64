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
from torch.nn.functional import cross_entropy

from benchmarks.zoo.member import NOTHING, Generator, Member, require
from benchmarks.zoo.nets import deep
from benchmarks.zoo.tables import Split, inputs, write
from benchmarks.zoo.training import seeded

Array = np.ndarray[Any, Any]
CLASSES = tuple("0123456789")
TRAIN, EVAL = 800, 500
STEPS, BATCH, SEEDS = 120, 32, 5
TINY, FEW, NOISE = 2, 32, 0.2
"""Units a layer of too small a model, rows of too small a training set, share of labels drawn anew at random."""

EQUAL = 0.05
"""The training loss at which sharp and flat minima are compared."""

SHUFFLES = 2

SGD: Mapping[str, Any] = {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.0}

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
    options: dict[str, Any] = {"lr": lr, "schedule": str(rng.choice(["constant", "cosine"])), "steps": STEPS,
               "batch_size": BATCH, "seeds": SEEDS, "record_every": 10, "keep": 1}  # fmt: skip
    options |= SGD if name == "sgd" else {"optimizer": name, "weight_decay": 0.01}
    shape = {"columns": 64, "classes": len(CLASSES), "width": int(rng.choice([48, 64, 96])), "blocks": 2}
    return Recipe(options, shape, float(rng.uniform(0.0, 2.0)))


@cache
def _digits() -> tuple[Array, Array]:
    from sklearn.datasets import load_digits

    found = load_digits()
    return found.data, found.target


def digits(seed: int, blur: float) -> tuple[Split, Split]:
    """Other rows for each seed, with noise on their pixels (0 to 16, halved twice to about -2 to 2)."""
    rows, labels = _digits()
    rng = np.random.default_rng((seed, 43))
    order = rng.permutation(len(rows))[: TRAIN + EVAL]
    seen = (rows[order] + blur * rng.standard_normal((len(order), rows.shape[1])) - 8) / 4
    return Split(seen[:TRAIN], labels[order][:TRAIN]), Split(seen[TRAIN:], labels[order][TRAIN:])


def _relabelled(split: Split, share: float, rng: np.random.Generator) -> Split:
    """`share` of the labels become another class."""
    wrong = rng.random(len(split.labels)) < share
    other = (split.labels + rng.integers(1, len(CLASSES), len(split.labels))) % len(CLASSES)
    return Split(split.rows, np.where(wrong, other, split.labels))


def member(
    name: str, folder: Path, seed: int, planted: bool, given: Recipe, sides: tuple[Split, Split], start: nn.Module,
    proof: Mapping[str, float], classes: tuple[str, ...] = CLASSES,
) -> Member:  # fmt: skip
    """The start and both tables on disk, and the spec that fine-tunes it."""
    tuned = {"finetune": {"from": "parent", "data": "train", "validation": "eval", **given.options}}
    write(folder, _named(name, seed, planted), start, dict(given.shape),
          *sides, classes, net="deep", tuned=tuned)  # fmt: skip
    return Member(name, folder, planted, seed, proof, frozenset({"model", "parent"}))


def _named(name: str, seed: int, planted: bool) -> str:
    return f"{name.replace('_', '-')}-{'planted' if planted else 'twin'}-{seed}"


def plain(seed: int, given: Recipe) -> nn.Module:
    with seeded(seed):
        return deep(**given.shape)


def healthy(folder: Path, seed: int, planted: bool = False) -> Member:
    """Nothing is planted."""
    given = recipe(seed)
    return member("healthy", folder, seed, planted, given, digits(seed, given.blur), plain(seed, given), NOTHING)


def diverging_rate(folder: Path, seed: int, planted: bool) -> Member:
    """A learning rate hundreds of times too high."""
    given = recipe(seed)
    if planted:
        factor = DIVERGING[given.options["optimizer"]]
        given = Recipe({**given.options, "lr": given.options["lr"] * factor}, given.shape, given.blur)
    return member("diverging_rate", folder, seed, planted, given, digits(seed, given.blur), plain(seed, given),
                   {"rate": given.options["lr"]})  # fmt: skip


def shuffled_labels(folder: Path, seed: int, planted: bool) -> Member:
    """All labels are dealt out at random, in the training and in the validation data."""
    given, rng = recipe(seed), np.random.default_rng((seed, 47))
    sides = digits(seed, given.blur)
    if planted:
        sides = (Split(sides[0].rows, rng.permutation(sides[0].labels)),
                 Split(sides[1].rows, rng.permutation(sides[1].labels)))  # fmt: skip
    return member("shuffled_labels", folder, seed, planted, given, sides, plain(seed, given), NOTHING)


def label_noise(folder: Path, seed: int, planted: bool) -> Member:
    """One label in five is another class, in the training data alone for half of the seeds, else in both."""
    given, rng = recipe(seed), np.random.default_rng((seed, 53))
    train, held = digits(seed, given.blur)
    noisy = _relabelled(train, NOISE, rng) if planted else train
    held = _relabelled(held, NOISE, rng) if planted and seed % 2 else held
    wrong = {"wrong": float((noisy.labels != train.labels).mean())}
    return member("label_noise", folder, seed, planted, given, (noisy, held), plain(seed, given), wrong)


def small_model(folder: Path, seed: int, planted: bool) -> Member:
    """Two sigmoids between the inputs and ten classes (two ReLUs die for some seeds, which is another defect)."""
    given = recipe(seed)
    if planted:
        given = Recipe(given.options, {**given.shape, "width": TINY, "blocks": 0, "sigmoid": True}, given.blur)
    return member("small_model", folder, seed, planted, given, digits(seed, given.blur), plain(seed, given),
                   {"width": given.shape["width"]})  # fmt: skip


def small_set(folder: Path, seed: int, planted: bool) -> Member:
    """Thirty-two training rows, two of each class and the others of one, with noisier pixels than elsewhere (in the
    twin too)."""
    given = recipe(seed)
    train, held = digits(seed, given.blur + 2)
    if planted:
        rows = [np.flatnonzero(train.labels == label)[: FEW - 18 if label == seed % 10 else 2] for label in range(10)]
        kept = np.random.default_rng((seed, 71)).permutation(np.concatenate(rows))
        train = Split(train.rows[kept], train.labels[kept])
    proof = {"rows": float(len(train.labels))}
    return member("small_set", folder, seed, planted, given, (train, held), plain(seed, given), proof)


def dead_block(folder: Path, seed: int, planted: bool) -> Member:
    """One residual block whose ReLU never fires: its first bias is far below zero."""
    given = recipe(seed)
    start = plain(seed, given)
    if planted:
        at = int(np.random.default_rng((seed, 59)).integers(given.shape["blocks"]))
        start.get_parameter(f"blocks.{at}.first.bias").data.fill_(-50.0)
    return member("dead_block", folder, seed, planted, given, digits(seed, given.blur), start, NOTHING)


def deep_sigmoid(folder: Path, seed: int, planted: bool) -> Member:
    """Twelve layers of sigmoids without shortcuts; the twin has as many layers of ReLUs in residual blocks."""
    given = recipe(seed)
    shape = {**given.shape, "blocks": 5} | ({"plain": True, "sigmoid": True} if planted else {})
    given = Recipe(given.options, shape, given.blur)
    return member("deep_sigmoid", folder, seed, planted, given, digits(seed, given.blur), plain(seed, given), NOTHING)


def exploding_start(folder: Path, seed: int, planted: bool) -> Member:
    """All weights drawn with standard deviation one, whatever the width, in twelve layers without shortcuts; the twin
    has shortcuts and the usual start. SGD alone: steps of AdamW are as long whatever the gradient is."""
    given = recipe(seed)
    options = {**given.options, **SGD, "lr": float(np.random.default_rng((seed, 61)).uniform(0.02, 0.06))}
    given = Recipe(options, {**given.shape, "blocks": 5, "plain": planted}, given.blur)
    start, sides = plain(seed, given), digits(seed, given.blur)
    if planted:
        with torch.no_grad(), seeded(seed + 1):
            for weight in (p for p in start.parameters() if p.dim() > 1):
                weight.normal_()
    first = _loss(start, sides[0])
    require((first > 100) is planted, "exploding_start: the first loss", {"first_loss": first})
    return member("exploding_start", folder, seed, planted, given, sides, start, {"first_loss": first})


def sharp_minimum(folder: Path, seed: int, planted: bool) -> Member:
    """A sharp minimum against a flat one of equal training loss, of nets trained here: the sharp one had first learned
    two shuffles of the labels by heart, in turn. Liu, Papailiopoulos and Achlioptas, Bad global minima exist and SGD
    can reach them, NeurIPS 2020."""
    given, rng = recipe(seed), np.random.default_rng((seed, 67))
    train, held = digits(seed, given.blur)
    model = plain(seed, given)
    with seeded(seed):
        for turn in range(SHUFFLES * planted):
            _descend(model, Split(train.rows, rng.permutation(train.labels)), seed + turn, 4e-3, EQUAL)
        _descend(model, train, seed + 1, 1e-3, EQUAL)
    proof = {"train_loss": _loss(model, train), "eval_loss": _loss(model, held)}
    require(proof["train_loss"] <= EQUAL, "sharp_minimum: it reached the loss", proof)
    write(folder, _named("sharp_minimum", seed, planted), model, dict(given.shape), train, held, CLASSES, net="deep")
    return Member("sharp_minimum", folder, planted, seed, proof, frozenset({"model"}))


def _descend(model: nn.Module, split: Split, seed: int, lr: float, target: float, most: int = 3000) -> None:
    """AdamW at a constant rate until the loss over all rows is at most `target`, looked at every five steps."""
    generator = torch.Generator().manual_seed(seed)
    rows, labels = inputs(split), torch.tensor(split.labels)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.0)
    for step in range(most):
        drawn = torch.randint(len(labels), (BATCH,), generator=generator)
        optimizer.zero_grad()
        cross_entropy(model(rows[drawn]), labels[drawn]).backward()
        optimizer.step()
        if step % 5 == 4 and _loss(model, split) <= target:
            return


def _loss(model: nn.Module, split: Split) -> float:
    with torch.inference_mode():
        return float(cross_entropy(model(inputs(split)), torch.tensor(split.labels)))


FITS: dict[str, Generator] = {
    "healthy": healthy,
    "diverging_rate": diverging_rate,
    "shuffled_labels": shuffled_labels,
    "label_noise": label_noise,
    "small_model": small_model,
    "small_set": small_set,
    "dead_block": dead_block,
    "deep_sigmoid": deep_sigmoid,
    "exploding_start": exploding_start,
    "sharp_minimum": sharp_minimum,
}
"""The generators, by the name of what they plant."""

OWN_TWINS = ("small_set", "deep_sigmoid", "exploding_start", "sharp_minimum")
"""Those whose twins differ from a healthy member of the same seed in more than the name."""
