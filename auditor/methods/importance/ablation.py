"""Ablation: what the loss of each example does when chosen parameters are removed, and put back."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from auditor.methods.importance.weighing import Losses, Weights

Floats = NDArray[np.float64]
Replacement = Literal["zero", "mean"]
REPLACEMENTS: tuple[Replacement, ...] = ("zero", "mean")
Chosen = list[Tensor | None]
"""For each tensor the flat places that are removed; None for none of them."""


def most_important(importance: Sequence[Tensor], count: int) -> Chosen:
    """The places of the `count` largest importances of all tensors together; ties go to whatever stands first."""
    flat = torch.cat([part.flatten() for part in importance])
    places = torch.argsort(flat, descending=True, stable=True)[:count].sort().values
    return _split(places, [part.numel() for part in importance])


def _split(places: Tensor, sizes: Sequence[int]) -> Chosen:
    found: Chosen = []
    start = 0
    for size in sizes:
        own = places[(places >= start) & (places < start + size)] - start
        found.append(own if len(own) else None)
        start += size
    return found


def as_many(chosen: Chosen, sizes: Sequence[int], generator: torch.Generator) -> Chosen:
    """Places drawn at random, as many in each tensor as `chosen` has there."""
    return [
        None if own is None else torch.randperm(size, generator=generator)[: len(own)].to(own.device)
        for own, size in zip(chosen, sizes, strict=True)
    ]


@contextmanager
def removed(weights: Weights, chosen: Chosen, replacement: Replacement) -> Iterator[None]:
    """The model with the chosen parameters set to zero, or to the mean of their tensor; then as it was, bit for bit."""
    touched = [(value, own) for value, own in zip(weights.values(), chosen, strict=True) if own is not None]
    before = [value.clone() for value, _ in touched]
    try:
        with torch.no_grad():
            for value, own in touched:
                flat = value.flatten().clone()
                flat[own] = 0.0 if replacement == "zero" else flat.mean()
                value.copy_(flat.view(value.shape))
        yield
    finally:
        with torch.no_grad():
            for (value, _), old in zip(touched, before, strict=True):
                value.copy_(old)


@dataclass(frozen=True)
class Rises:
    """Losses of n examples. before: [n]; top: [2, n], random: [2, R, n], by REPLACEMENTS, after the removal."""

    before: Floats
    top: Floats
    random: Floats

    def gains(self) -> Floats:
        """[2, n]: rise by the top less the mean rise by the random sets; the loss before cancels."""
        return np.asarray(self.top - self.random.mean(axis=1))


def every_loss(losses: Losses, places: Sequence[int], batch: int) -> Floats:
    """The loss of each example, [n], `batch` at a time, without gradients."""
    with torch.no_grad():
        parts = [losses(places[start : start + batch]).double().cpu() for start in range(0, len(places), batch)]
    found: Floats = torch.cat(parts).numpy()
    return found


def ablate(
    weights: Weights, losses: Losses, places: Sequence[int], batch: int, chosen: Chosen, draws: int,
    generator: torch.Generator, tell: Callable[[], None] = lambda: None,
) -> Rises:  # fmt: skip
    """The loss of each example after removing `chosen`, and after removing `draws` random sets, as many of each tensor.

    The same random sets serve both replacements.
    """

    def after(what: Chosen, replacement: Replacement) -> Floats:
        with removed(weights, what, replacement):
            tell()
            return every_loss(losses, places, batch)

    sets = [as_many(chosen, weights.sizes, generator) for _ in range(draws)]
    return Rises(
        every_loss(losses, places, batch),
        np.stack([after(chosen, way) for way in REPLACEMENTS]),
        np.stack([[after(one, way) for one in sets] for way in REPLACEMENTS]),
    )


def points(
    weights: Weights, losses: Losses, places: Sequence[int], batch: int, importance: Sequence[Tensor],
    counts: Sequence[int], draws: int, generator: torch.Generator, tell: Callable[[], None] = lambda: None,
) -> list[tuple[int, float, float]]:  # fmt: skip
    """For each count the mean loss after setting the top to zero, and after `draws` random sets: a curve to look at."""

    def after(what: Chosen) -> float:
        with removed(weights, what, "zero"):
            tell()
            return float(every_loss(losses, places, batch).mean())

    found = []
    for count in counts:
        top = most_important(importance, count)
        random = [after(as_many(top, weights.sizes, generator)) for _ in range(draws)]
        found.append((count, after(top), float(np.mean(random))))
    return found


def whole_groups(
    weights: Weights, losses: Losses, places: Sequence[int], batch: int, groups: Sequence[Collection[int]]
) -> Floats:
    """[G]: the mean loss rise when all tensors of a group take their own mean."""
    before = every_loss(losses, places, batch).mean()
    found = []
    for members in groups:
        chosen: Chosen = [
            torch.arange(size, device=value.device) if at in members else None
            for at, (size, value) in enumerate(zip(weights.sizes, weights.values(), strict=True))
        ]
        with removed(weights, chosen, "mean"):
            found.append(every_loss(losses, places, batch).mean() - before)
    return np.array(found, dtype=np.float64)
