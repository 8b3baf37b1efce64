"""Jumps: where one tensor moved far more than its neighbours in time and the other tensors in the same interval."""

from dataclasses import dataclass

import numpy as np

from auditor.methods.training.rates import DECIDABLE, decidable
from auditor.methods.training.record import Bools, Changes, Floats, Ints

FACTOR, SCATTERS = float(np.e), 3.0
DENSER, FACTOR_DENSER, SCATTERS_DENSER = 0.25, 1.2, 4.0
"""Of 89 healthy histories none has a jump by these: docs/design/016-jumps-and-order.md."""

FACTOR_AT_AN_END, BESIDE_AN_END = 4.0, 3
"""Of 120 healthy histories none reaches 2.3 at an end."""

FEWEST_INTERVALS, FEWEST_TENSORS = 6, 3


@dataclass(frozen=True)
class Jumps:
    """Columns follow `places`, those of the tensors in the history.

    excess: [R, T] the log of how far a tensor's rate stands above those of its neighbours in time, after what all
    tensors did (the median) is taken out; -inf where it cannot be said. found: [R, T] the jumps. dense: those seen
    by how few elements moved. judged: [R] intervals in which some tensor moved by more than the rounding of its stored
    numbers, and three could be compared with the intervals beside it."""

    places: Ints
    excess: Floats
    found: Bools
    dense: Bools
    judged: Bools

    @property
    def intervals(self) -> Ints:
        """The intervals with a jump."""
        return np.flatnonzero(self.found.any(axis=1))


def jumps_of(changes: Changes) -> Jumps | None:
    """The jumps of the matrices (of all tensors, with fewer than 3 matrices) of a history of even intervals.

    With r = log(norm(change) / norm(weights before)), the excess of interval i is x_i - the median of x_i over the
    tensors, x_i = r_i - (r_(i-1) + r_(i+1)) / 2: the mean of both neighbours follows a rate that falls or rises, and
    the median takes out what all tensors did. A jump has an excess above 1 (e times as fast) and 3 times its scatter in
    that tensor (1.4826 x median absolute deviation). Or one above log 1.2 while few elements carry the change: then
    f = log(norm(change) / l1(change)), less its median over the other tensors, which training hardly moves, stands
    .25 and 4 of its scatters above both neighbours (one neuron zeroed: a row of many).
    A tensor that moved in one interval and not at all in both beside it has jumped; one that begins or ends to move
    has not. The first and the last interval have one neighbour: there log(norm(change)) is compared with its median
    over the nearest three intervals, the level over the tensors is taken out too, and a jump is 4 times as fast. (Rates
    of the first interval mislead where a tensor starts near zero.) None for fewer than 6 intervals or 3 tensors, and
    where no interval could be judged.
    """
    places = _followed(changes)
    if len(changes.change) < FEWEST_INTERVALS or len(places) < FEWEST_TENSORS:
        return None
    moved, rounding = changes.change[:, places], DECIDABLE * changes.resolution[:, places]
    certain = decidable(changes)[:, places]
    clear = np.where(certain, moved, 0.0)
    size = np.log(np.maximum(changes.norm[:, places], np.finfo(np.float64).tiny))
    with np.errstate(divide="ignore", invalid="ignore"):
        own, beside = np.log(clear) - size, np.log(np.maximum(moved, rounding)) - size
        density = np.where(clear > 0, np.log(clear / changes.l1_change[:, places]), -np.inf)
    expected = _expected(beside, size)
    judged = certain.any(axis=1) & ((np.isfinite(beside) & np.isfinite(expected)).sum(axis=1) >= FEWEST_TENSORS)
    if not judged.any():
        return None
    density = density - _level(density)
    excess, denser = _excess(own, beside, expected), _above_both(density)
    factors = np.full((len(excess), 1), FACTOR)
    factors[[0, -1]] = FACTOR_AT_AN_END
    far = excess > np.maximum(np.log(factors), SCATTERS * _spread(excess[1:-1]))
    few = denser > np.maximum(DENSER, SCATTERS_DENSER * _scatter(density))
    dense = few & (excess > np.log(FACTOR_DENSER)) & ~far
    return Jumps(places, excess, far | dense, dense, judged)


def _followed(changes: Changes) -> Ints:
    moving = changes.change.max(axis=0, initial=0.0) > 0
    matrices = np.flatnonzero(moving & (changes.dims >= 2))
    return matrices if len(matrices) >= FEWEST_TENSORS else np.flatnonzero(moving)


def _expected(beside: Floats, size: Floats) -> Floats:
    """What the intervals beside each one say of its log rate; -inf where one of them is unknown."""
    found = np.full(beside.shape, -np.inf)
    found[1:-1] = (beside[:-2] + beside[2:]) / 2
    for end, near in ((0, slice(1, 1 + BESIDE_AN_END)), (-1, slice(-1 - BESIDE_AN_END, -1))):
        changed = beside[near] + size[near]
        found[end] = np.where(np.isfinite(changed).all(axis=0), np.median(changed, axis=0) - size[end], -np.inf)
    return found


def _excess(own: Floats, beside: Floats, expected: Floats) -> Floats:
    """+inf for a tensor that moved in this interval alone, -inf for one that did not move, or not in one beside it.

    A tensor that stands still to the rounding of its numbers shares in the level by the most it may have moved."""
    known = np.isfinite(beside) & np.isfinite(expected)
    near = np.where(known, expected, 0.0)
    level = _median(np.where(known, np.where(known, beside, 0.0) - near, np.nan))
    moved = np.isfinite(own)
    above = np.where(known & moved, np.where(moved, own, 0.0) - near - level, -np.inf)
    alone = moved[1:-1] & np.isneginf(beside[:-2]) & np.isneginf(beside[2:])
    above[1:-1][alone] = np.inf
    return above


def _median(logs: Floats) -> Floats:
    """[R, 1] over the tensors of which it can be said; 0 where there is none."""
    seen = [row[np.isfinite(row)] for row in logs]
    return np.array([[np.median(row) if row.size else 0.0] for row in seen])


def _spread(excess: Floats) -> Floats:
    """[T] 1.4826 x the median absolute deviation of each column."""
    found = np.zeros(excess.shape[1])
    for place, column in enumerate(excess.T):
        values = column[np.isfinite(column)]
        found[place] = 1.4826 * float(np.median(np.abs(values - np.median(values)))) if values.size else 0.0
    return found


def _above_both(own: Floats) -> Floats:
    """own_i - max(own_(i-1), own_(i+1)); -inf where one of the three is unknown."""
    above = np.full(own.shape, -np.inf)
    known = np.isfinite(own)
    here, higher = np.where(known, own, 0.0)[1:-1], np.maximum(own[:-2], own[2:])
    whole = known[1:-1] & known[:-2] & known[2:]
    above[1:-1] = np.where(whole, here - np.where(whole, higher, 0.0), -np.inf)
    return above


def _level(logs: Floats) -> Floats:
    """[R, T] the median over the other tensors that moved in the interval; 0 where none did."""
    return np.array([_median_of_others(row) for row in logs]).reshape(logs.shape)


def _median_of_others(values: Floats) -> Floats:
    """For each value the median of the others, those that are not finite left out; 0 without any."""
    order = np.argsort(np.where(np.isfinite(values), values, np.inf), kind="stable")
    known = int(np.isfinite(values).sum())
    rank = np.empty(len(values), dtype=np.int64)
    rank[order] = np.arange(len(values))
    rank[~np.isfinite(values)] = known  # none of the known ones is left out for it
    others = np.where(rank < known, known - 1, known)
    if known == 0 or (others == 0).all():
        return np.zeros(len(values))
    high = np.maximum(others // 2, 0)
    low = np.maximum((others - 1) // 2, 0)
    ordered = values[order]
    picked = [ordered[np.minimum(place + (place >= rank), known - 1)] for place in (low, high)]
    return np.where(others > 0, (picked[0] + picked[1]) / 2, 0.0)


def _scatter(own: Floats) -> Floats:
    """[T] of each tensor around the median of its four neighbours, over the intervals in which it moved."""
    found = np.zeros(own.shape[1])
    for place, column in enumerate(own.T):
        values = column[np.isfinite(column)]
        if len(values) >= FEWEST_INTERVALS:
            windows = np.lib.stride_tricks.sliding_window_view(np.pad(values, 2, constant_values=np.nan), 5)
            around = np.nanmedian(windows[:, [0, 1, 3, 4]], axis=1)
            found[place] = 1.4826 * float(np.median(np.abs(values - around)))
    return found
