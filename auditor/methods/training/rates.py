"""Change rates: how fast the weights move, read off the recorded changes."""

from dataclasses import replace
from itertools import pairwise
from typing import Literal

import numpy as np

from auditor.methods.training.record import Bools, Changes, Floats, Ints
from auditor.recorder.watch import FLOOR

Kind = Literal["l2", "l1", "elementwise"]
EARLY_SHARE = 0.1
NEAR_ZERO = 0.01
ALIKE = 3
MASSES = (0.15, 0.225, 0.25, 0.225, 0.15)
"""Shares of a distribution that lie nearest to its quantiles at GRID."""

DECIDABLE = 3.0
"""A change of fewer resolutions than this may be the rounding of the stored numbers."""
INTERVALS = (
    "norm", "change", "l1_norm", "l1_change", "elementwise", "quantiles", "lr", "projection", "turn", "resolution",
)  # fmt: skip


def usual(changes: Changes) -> Bools:
    """[R] which intervals have the usual length: within half and one and a half times of it, so that their rates may
    be compared.

    The usual length is the one that at least ALIKE intervals share (to within that half) and that covers most steps,
    of equal ones the median: so neither the dense first records of a trace, which are many, nor a long pause, which is
    one, can be it. With fewer alike it is the median length.
    """
    spacing = np.diff(changes.steps)
    if not spacing.size:
        return np.zeros(0, dtype=np.bool_)
    alike = {int(length): _alike(spacing, length) for length in np.unique(spacing)}
    covered = {length: int(spacing[kept].sum()) for length, kept in alike.items() if kept.sum() >= ALIKE}
    most = [length for length, steps in covered.items() if steps == max(covered.values())]
    return _alike(spacing, np.median(spacing[alike[most[0]]]) if most else np.median(spacing))


def _alike(spacing: Ints, length: float) -> Bools:
    return np.asarray((spacing >= length / 2) & (spacing <= 1.5 * length))


def decidable(changes: Changes) -> Bools:
    """[R, T] where a change is well above what the rounding of the stored numbers alone may give: norm(change) of at
    least DECIDABLE x resolution. True everywhere for float32, a change of exactly 0 included; elsewhere a smaller
    change (or none) says nothing of the training, which may have moved numbers that were rounded away.
    """
    return np.asarray((changes.resolution == 0) | (changes.change >= DECIDABLE * changes.resolution))


def undecidable(changes: Changes) -> dict[str, str]:
    """What of summary() the rounding of the stored numbers makes undecidable, with the reason; {} for float32.

    The rate of the model in an interval is decidable if the change of all moving tensors as one vector is, by the
    rule of decidable(); early ratios are if each matrix is, in the first tenth of the intervals.
    """
    kept, found = moving(changes), {}
    cells = decidable(changes)[:, kept]
    if cells.all():
        return {}
    moved, rounded = (np.square(column[:, kept]).sum(axis=1) for column in (changes.change, changes.resolution))
    lost = int((moved < DECIDABLE**2 * rounded).sum())
    reason = f"the weights are stored as {_stored(changes)}, whose rounding alone"
    if lost:
        why = f"{reason} may give the change of {lost} of {len(moved)} intervals"
        found = dict.fromkeys(("change_rate", "change_rate_p95", "stability", "final_to_peak"), why)
    early = cells[: max(1, round(EARLY_SHARE * len(cells)))].all(axis=0)
    matrix = changes.dims[kept] >= 2
    if count := int((matrix & ~early).sum()):
        found["early_rate_ratio"] = f"{reason} may give the early changes of {count} of {int(matrix.sum())} matrices"
    return found


def _stored(changes: Changes) -> str:
    """The type that rounds so; resolution / norm is about 2e-3 for bfloat16 and 3e-4 for float16."""
    rounded = (changes.resolution > 0) & (changes.norm > 0)
    share = float(np.median(changes.resolution[rounded] / changes.norm[rounded])) if rounded.any() else 0.0
    return "float16" if share < 1e-3 else "bfloat16" if share < 1e-2 else "8-bit floating-point numbers"


def element_bands(changes: Changes) -> Floats:
    """[R, 3], the 5th, 50th and 95th percentile of the relative change of single elements of all moving tensors.

    Each tensor's five quantiles stand for the shares of its elements nearest to them, weighted by its size.
    """
    kept = moving(changes)
    values = changes.quantiles[:, kept].reshape(len(changes.change), -1)
    weights = np.outer(changes.sizes[kept], MASSES).ravel()
    order = np.argsort(values, axis=1)
    share = np.cumsum(weights[order], axis=1) / weights.sum()
    places = np.stack([(share < level).sum(axis=1) for level in (0.05, 0.5, 0.95)], axis=1)
    return np.asarray(np.take_along_axis(np.sort(values, axis=1), places.clip(max=values.shape[1] - 1), axis=1))


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


def moving(changes: Changes) -> Bools:
    """[T] the trained tensors that change at all in the history; all trained ones where none does.

    Checkpoints do not say what was frozen, a trace does; what never moved says nothing of either.
    """
    found = changes.trained & (changes.change != 0).any(axis=0)
    return found if found.any() else changes.trained


def model_rates(changes: Changes, kind: Kind) -> Floats:
    """[R] relative change of all moving tensors taken as one vector (elementwise: the mean over its elements)."""
    kept = moving(changes)
    if kind == "elementwise":
        weights = changes.sizes[kept] / changes.sizes[kept].sum()
        return np.asarray(changes.elementwise[:, kept] @ weights)
    if kind == "l1":
        return np.asarray(changes.l1_change[:, kept].sum(1) / changes.l1_norm[:, kept].sum(1))
    return np.asarray(np.sqrt(np.square(changes.change[:, kept]).sum(1) / np.square(changes.norm[:, kept]).sum(1)))


def stability(rates: Floats, lr: Floats) -> float | None:
    """Median absolute deviation of log(rate / lr) over the records; of log(rate) where the learning rate is unknown.

    Dividing by the learning rate keeps a schedule from reading as instability. 0 is perfectly steady; 0.7 means that
    half of the records are off by more than a factor of two. None with fewer than three moving records, or where more
    than half stand still: what stands has no logarithm, and what moves in between is not steady.
    """
    moving = rates > 0
    if moving.sum() < max(3, len(rates) / 2):
        return None
    known = np.isfinite(lr) & (lr > 0)
    logs = np.log(rates[moving]) - (np.log(lr[moving]) if known[moving].all() else 0.0)
    return float(np.median(np.abs(logs - np.median(logs))))


def early_ratios(changes: Changes, rates: Floats) -> dict[str, float]:
    """Mean rate of each matrix (tensor of two or more dimensions) in the first tenth of the records / the median's.

    Vectors (biases, norms' scales) are left out: they start near 0 or 1 and move at rates of their own. Tensors that
    never move are left out too, and those that begin at or near zero. Empty with fewer than two matrices.
    """
    first = max(1, round(EARLY_SHARE * len(rates)))
    early = rates[:first].mean(axis=0)
    kept = (changes.dims >= 2) & changes.trained & (rates.max(axis=0, initial=0.0) > 0) & ~from_zero(changes)
    if kept.sum() < 2 or not len(rates):
        return {}
    middle = float(np.median(early[kept]))
    if middle == 0:
        return {}
    return {changes.tensors[index]: float(early[index] / middle) for index in np.flatnonzero(kept)}


def from_zero(changes: Changes) -> Bools:
    """[T] the matrices whose root mean square at the start is below a hundredth of the median matrix's: new heads and
    adapters that begin at zero, of which a change relative to their size says nothing at first."""
    matrix = np.asarray(changes.dims >= 2)
    if not len(changes.norm):
        return np.zeros(len(matrix), dtype=np.bool_)
    start = changes.norm[0] / np.sqrt(changes.sizes)
    sized = start[matrix & (start > 0)]
    middle = float(np.median(sized)) if sized.size else 0.0
    return np.asarray(matrix & (start < NEAR_ZERO * middle))


def oddities(changes: Changes) -> tuple[str, ...]:
    """What a reader must know of single matrices and intervals, in sentences: matrices that begin at zero, intervals in
    which nothing moved (one checkpoint twice), and matrices that stop for good."""
    matrix, still = np.asarray(changes.dims >= 2), changes.change == 0
    if not len(still) or not matrix.any():
        return ()
    names = np.array(changes.tensors)
    late = matrix & still[-1] & ~still.all(axis=0) & (len(still) > 1)
    nothing = [f"{a} to {b}" for (a, b), row in zip(pairwise(changes.steps.tolist()), still, strict=True) if row.all()]
    said = (
        (names[from_zero(changes)], "{} matrices begin at or near zero and are left out of early_rate_ratio: {}."),
        (nothing, "In {} intervals nothing moved at all, as if one state stood there twice: steps {}."),
        (names[late] if not still[-1].all() else [], "{} matrices stood still at the end, having moved before: {}."),
    )
    return tuple(
        text.format(len(found), ", ".join(map(str, found[:5])) + (" ..." if len(found) > 5 else ""))
        for found, text in said
        if len(found)
    )


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
