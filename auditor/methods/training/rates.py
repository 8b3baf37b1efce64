"""Change rates: how fast the weights move, read off the recorded changes."""

from dataclasses import replace
from typing import Literal

import numpy as np

from auditor.methods.training.record import Bools, Changes, Floats
from auditor.recorder.watch import FLOOR

Kind = Literal["l2", "l1", "elementwise"]
EARLY_SHARE = 0.1
DECIDABLE = 3.0
"""A change of fewer resolutions than this may be the rounding of the stored numbers."""
INTERVALS = (
    "norm", "change", "l1_norm", "l1_change", "elementwise", "quantiles", "lr", "projection", "turn", "resolution",
)  # fmt: skip


def usual(changes: Changes) -> Bools:
    """[R] which intervals have the usual spacing: at least half the median number of steps.

    A run whose length is no multiple of the recording interval ends with a shorter one, which would read as a drop.
    """
    spacing = np.diff(changes.steps)
    return np.asarray(spacing >= np.median(spacing) / 2) if spacing.size else np.zeros(0, dtype=np.bool_)


def decidable(changes: Changes) -> Bools:
    """[R, T] where a change is well above what the rounding of the stored numbers alone may give: norm(change) of at
    least DECIDABLE x resolution. True everywhere for float32, a change of exactly 0 included; elsewhere a smaller
    change (or none) says nothing of the training, which may have moved numbers that were rounded away.
    """
    return np.asarray((changes.resolution == 0) | (changes.change >= DECIDABLE * changes.resolution))


def tensor_rates(changes: Changes, kind: Kind) -> Floats:
    """[R, T] relative change of each tensor over each interval.

    l2: norm(d) / max(norm(before), floor); l1: the same in the l1 norm; elementwise: mean of abs(d) / max(abs(before),
    floor), as recorded. The floor of a norm is FLOOR times the tensor's own largest norm in the history, so that a
    tensor that starts at zero gives a large finite rate.
    """
    if kind == "elementwise":
        return changes.elementwise
    change, norm = (changes.change, changes.norm) if kind == "l2" else (changes.l1_change, changes.l1_norm)
    largest = np.maximum(norm, change).max(axis=0, keepdims=True, initial=0.0)
    floor = np.maximum(FLOOR * largest, np.finfo(np.float64).tiny)
    return np.asarray(change / np.maximum(norm, floor))


def model_rates(changes: Changes, kind: Kind) -> Floats:
    """[R] relative change of all trained tensors taken as one vector (elementwise: the mean over its elements)."""
    kept = changes.trained
    if kind == "elementwise":
        weights = changes.sizes[kept] / changes.sizes[kept].sum()
        return np.asarray(changes.elementwise[:, kept] @ weights)
    if kind == "l1":
        return np.asarray(changes.l1_change[:, kept].sum(1) / changes.l1_norm[:, kept].sum(1))
    return np.asarray(np.sqrt(np.square(changes.change[:, kept]).sum(1) / np.square(changes.norm[:, kept]).sum(1)))


def stability(rates: Floats, lr: Floats) -> float | None:
    """Median absolute deviation of log(rate / lr) over the records; of log(rate) where the learning rate is unknown.

    Dividing by the learning rate keeps a schedule from reading as instability. 0 is perfectly steady; 0.7 means that
    half of the records are off by more than a factor of two. None with fewer than three moving records.
    """
    moving = rates > 0
    if moving.sum() < 3:
        return None
    known = np.isfinite(lr) & (lr > 0)
    logs = np.log(rates[moving]) - (np.log(lr[moving]) if known[moving].all() else 0.0)
    return float(np.median(np.abs(logs - np.median(logs))))


def early_ratios(changes: Changes, rates: Floats) -> dict[str, float]:
    """Mean rate of each matrix (tensor of two or more dimensions) in the first tenth of the records / the median's.

    Vectors (biases, norms' scales) are left out: they start near 0 or 1 and move at rates of their own. Tensors that
    never move are left out too. Empty with fewer than two matrices.
    """
    first = max(1, round(EARLY_SHARE * len(rates)))
    early = rates[:first].mean(axis=0)
    kept = (changes.dims >= 2) & changes.trained & (rates.max(axis=0, initial=0.0) > 0)
    if kept.sum() < 2 or not len(rates):
        return {}
    middle = float(np.median(early[kept]))
    if middle == 0:
        return {}
    return {changes.tensors[index]: float(early[index] / middle) for index in np.flatnonzero(kept)}


def final_to_peak(rates: Floats) -> float | None:
    """Mean rate of the last tenth of the records / the largest rate: 1 has not slowed down at all, 0 has stopped."""
    peak = float(rates.max(initial=0.0))
    if peak == 0:
        return None
    last = max(1, round(EARLY_SHARE * len(rates)))
    return float(rates[-last:].mean() / peak)


def matrices(changes: Changes) -> list[int]:
    """Places of the tensors of two or more dimensions; of all tensors where there are none."""
    return [place for place, dims in enumerate(changes.dims) if dims >= 2] or list(range(len(changes.dims)))


def steady_part(changes: Changes) -> Changes:
    """The intervals of the usual spacing, up to the first one with a number that is not finite."""
    bad = np.flatnonzero(~(np.isfinite(changes.change) & np.isfinite(changes.norm)).all(axis=1))
    end = int(bad[0]) if bad.size else len(changes.change)
    kept = np.flatnonzero(usual(changes)[:end])
    cut = {name: getattr(changes, name)[kept] for name in INTERVALS}
    return replace(changes, steps=changes.steps[np.concatenate([kept[:1], kept + 1])], **cut)


def summary(changes: Changes, kind: Kind) -> dict[str, float | None]:
    """The numbers of one history by metric name; None: it cannot be said."""
    rates, model = tensor_rates(changes, kind), model_rates(changes, kind)
    ratios = early_ratios(changes, rates)
    return {
        "change_rate": float(np.median(model)),
        "change_rate_p95": float(np.quantile(model, 0.95)),
        "stability": stability(model, changes.lr),
        "early_rate_ratio": max(ratios.values()) if ratios else None,
        "final_to_peak": final_to_peak(model),
    }
