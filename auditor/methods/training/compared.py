"""Compared: histories brought to the same intervals, and how far apart the rates of their layers are."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np

from auditor.methods.training.rates import INTERVALS, tensor_rates, usual
from auditor.methods.training.record import Bools, Changes, Floats

Basis = Literal["same intervals", "same spacing", "per step"]


@dataclass(frozen=True)
class Aligned:
    """The seeds of two sides on what they have in common.

    basis: same intervals (only those that all hold), same spacing (all usual ones), or per step (rates are divided by
    the length of their interval). spacing: the usual number of steps of each side. lr_known: whether all learning rates
    are; where they are not, none is kept, so that a schedule reads alike on both sides.
    """

    first: tuple[Changes, ...]
    second: tuple[Changes, ...]
    basis: Basis
    spacing: tuple[float, float]
    lr_known: bool


def aligned(first: Sequence[Changes], second: Sequence[Changes]) -> Aligned | None:
    """Two sides, each of one or more histories, on the intervals that all of them hold.

    With fewer than two of these, on each one's usual intervals. Intervals end before the first number that is not
    finite. None where a side has no history with two intervals.
    """
    sides = [[each for each in side if _sound(each).sum() >= 2] for side in (first, second)]
    if not all(sides):
        return None
    everyone = [each for side in sides for each in side]
    spans = [set(_spans(each, _sound(each))) for each in everyone]
    common = set.intersection(*spans)
    spacing = [float(np.median([end - start for part in side for start, end in _spans(part, _sound(part))]))
               for side in sides]  # fmt: skip
    basis: Basis = "same spacing" if spacing[0] == spacing[1] else "per step"
    masks = [_sound(each) for each in everyone]
    if len(common) >= 2:
        basis = "same intervals"
        masks = [np.array([span in common for span in _spans(each)]) & _sound(each) for each in everyone]
    known = all(bool(np.isfinite(each.lr[mask]).all()) for each, mask in zip(everyone, masks, strict=True))
    kept = tuple(_cut(each, mask, known) for each, mask in zip(everyone, masks, strict=True))
    count = len(sides[0])
    return Aligned(kept[:count], kept[count:], basis, (spacing[0], spacing[1]), known)


def _sound(changes: Changes) -> Bools:
    """[R] intervals of the usual length before the first number that is not finite."""
    finite = (np.isfinite(changes.change) & np.isfinite(changes.norm)).all(axis=1)
    return np.asarray(usual(changes) & np.logical_and.accumulate(finite))


def _spans(changes: Changes, mask: Bools | None = None) -> list[tuple[int, int]]:
    steps = changes.steps.tolist()
    spans = list(pairwise(steps))
    return spans if mask is None else [span for span, kept in zip(spans, mask.tolist(), strict=True) if kept]


def _cut(changes: Changes, mask: Bools, lr_known: bool) -> Changes:
    at = np.flatnonzero(mask)
    cut = {name: getattr(changes, name)[at] for name in INTERVALS}
    if not lr_known:
        cut["lr"] = np.full(len(at), np.nan)
    return replace(changes, steps=changes.steps[np.concatenate([at[:1], at + 1])], **cut)


def common_matrices(found: Aligned) -> tuple[str, ...]:
    """The trained tensors of two or more dimensions that all histories hold in one size, in the order of the first."""
    everyone = (*found.first, *found.second)
    sizes = [
        {
            name: size
            for name, size, dims, trained in zip(
                each.tensors, each.sizes.tolist(), each.dims.tolist(), each.trained.tolist(), strict=True
            )
            if dims >= 2 and trained
        }
        for each in everyone
    ]
    return tuple(name for name, size in sizes[0].items() if all(other.get(name) == size for other in sizes))


def median_rates(side: Sequence[Changes], names: Sequence[str], basis: Basis) -> Floats:
    """[histories, names] the median relative change of each tensor over an interval; per step: over its length."""
    found = []
    for each in side:
        place = {name: at for at, name in enumerate(each.tensors)}
        rates = tensor_rates(each, "l2")[:, [place[name] for name in names]]
        if basis == "per step":
            rates = rates / np.diff(each.steps)[:, None]
        found.append(np.median(rates, axis=0))
    return np.array(found).reshape(len(side), len(names))
