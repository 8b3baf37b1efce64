"""Jumps: where one tensor moved far more than its neighbours in time and the other tensors in the same interval."""

from dataclasses import dataclass

import numpy as np

from auditor.methods.training.rates import DECIDABLE, decidable
from auditor.methods.training.record import Bools, Changes, Floats, Ints

FACTOR, SCATTERS = 2.0, 4.0
DENSER, FACTOR_DENSER = 0.15, 1.2
"""With 4 scatters these fail 2 of 120 healthy small trainings: docs/design/015-jumps-and-order.md."""

FEWEST_INTERVALS, FEWEST_TENSORS = 6, 3


@dataclass(frozen=True)
class Jumps:
    """Columns follow `places`, those of the tensors in the history.

    excess: [R, T] the log of how far a tensor's change stands above the larger of its neighbours' in time, after the
    level of each interval (the median over the other tensors) is taken out; -inf where it cannot be said.
    found: [R, T] the jumps. dense: those seen by how few elements moved."""

    places: Ints
    excess: Floats
    found: Bools
    dense: Bools

    @property
    def intervals(self) -> Ints:
        """The intervals with a jump."""
        return np.flatnonzero(self.found.any(axis=1))


def jumps_of(changes: Changes) -> Jumps | None:
    """The jumps of the matrices (of all tensors, with fewer than 3 matrices) of a history of even intervals.

    With e = log norm(change) less its median over the other tensors that moved in the interval, the excess of
    interval i is e_i - max(e_(i-1), e_(i+1)); at an end, e_0 - max(e_1, 2 e_1 - e_2). A jump has an excess of
    at least log 2 and 4 times the tensor's own scatter (1.4826 x the median of abs(e_i - median of its 4 neighbours)),
    or one
    of at least log 1.2 while few elements carry the change: the same excess of log(sqrt(size) norm(change) /
    l1(change)), which training hardly moves, of at least .15 and 4 of its scatters (one neuron zeroed: a row of many).
    A tensor that moved in one interval and not at all in both beside it has jumped; one that begins or ends to move
    has not. None for fewer than 6 intervals or 3 tensors that move.
    """
    places = _followed(changes)
    if len(changes.change) < FEWEST_INTERVALS or len(places) < FEWEST_TENSORS:
        return None
    moved, rounding = changes.change[:, places], DECIDABLE * changes.resolution[:, places]
    clear = np.where(decidable(changes)[:, places], moved, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        own, beside = np.log(clear), np.log(np.maximum(moved, rounding))
        density = np.where(clear > 0, np.log(clear / changes.l1_change[:, places]), -np.inf)
    level = _level(own)
    own, beside, density = own - level, beside - level, density - _level(density)
    excess = _excess(own, beside)
    denser = _excess(density, np.where(np.isfinite(density), density, np.inf))
    far = _stands_out(excess, own, np.log(FACTOR))
    dense = (excess >= np.log(FACTOR_DENSER)) & _stands_out(denser, density, DENSER) & ~far
    return Jumps(places, excess, far | dense, dense)


def _stands_out(excess: Floats, own: Floats, least: float) -> Bools:
    return np.asarray(excess >= np.maximum(least, SCATTERS * _scatter(own)))


def _followed(changes: Changes) -> Ints:
    moving = changes.change.max(axis=0, initial=0.0) > 0
    matrices = np.flatnonzero(moving & (changes.dims >= 2))
    return matrices if len(matrices) >= FEWEST_TENSORS else np.flatnonzero(moving)


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


def _excess(own: Floats, beside: Floats) -> Floats:
    above = np.full(own.shape, -np.inf)
    higher = np.maximum(beside[:-2], beside[2:])
    above[1:-1] = _less(own[1:-1], higher)
    for end, near, far in ((0, 1, 2), (-1, -2, -3)):
        with np.errstate(invalid="ignore"):
            trend = 2 * beside[near] - beside[far]
        above[end] = _less(own[end], np.where(np.isfinite(trend), np.maximum(beside[near], trend), np.inf))
    return above


def _less(own: Floats, beside: Floats) -> Floats:
    """own - beside, -inf where the tensor did not move."""
    still = ~np.isfinite(own)
    return np.where(still, -np.inf, np.where(still, 0.0, own) - beside)


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
