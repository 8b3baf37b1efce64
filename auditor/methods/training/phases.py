"""Phases of training: where the rate of change or the loss jumps to another level, as against drifting there."""

from itertools import pairwise

import numpy as np

from auditor.methods.training.record import Floats

SHORTEST = 4
"""Records of a phase at least: two give its line, two more say whether it holds."""

FLOOR = 0.05
"""Natural logarithms below which a scatter is not believed: a twentieth is no phase, however smooth the curve."""

JUMP = float(np.log(2))
PENALTY = 2.0


def noise(values: Floats) -> float:
    """The standard deviation of the scatter around any smooth curve: of second differences, by their median."""
    if len(values) < 3:
        return FLOOR
    return max(FLOOR, float(np.median(np.abs(np.diff(values, 2)))) / (0.6745 * 6**0.5))


def change_points(series: Floats) -> tuple[int, ...]:
    """Where phases after the first begin, of series [K, N] that share them (logarithms; all finite).

    Each phase is a straight line in each series, found exactly by dynamic programming: least squares over the squared
    scatter of each series plus PENALTY (2 K + 1) log N a phase, as in the Bayesian information criterion. A border
    counts only if some series jumps there by a factor of two (natural log .69) and by three of its scatters, so that
    a schedule that falls smoothly is one phase. Phases have SHORTEST records at least.
    Jackson et al., An algorithm for optimal partitioning of data on an interval (2005).
    """
    count = series.shape[1]
    if count < 2 * SHORTEST:
        return ()
    scatter = np.array([noise(one) for one in series])
    starts = _segments(series / scatter[:, None])
    while starts:
        jumps = [_jump(series, scatter, *around) for around in _around(starts, count)]
        least = int(np.argmin(jumps))
        if jumps[least] >= 1:
            break
        starts.pop(least)
    return tuple(starts)


def _around(starts: list[int], count: int) -> list[tuple[int, int, int]]:
    ends = [0, *starts, count]
    return [(ends[place], ends[place + 1], ends[place + 2]) for place in range(len(starts))]


def _jump(series: Floats, scatter: Floats, first: int, border: int, last: int) -> float:
    """How far the lines before and after a border are apart there, in units of what counts, in the clearest series."""
    apart = []
    for values, sd in zip(series, scatter, strict=True):
        sides = [
            _at(np.arange(a, b, dtype=np.float64), values[a:b], border - 0.5)
            for a, b in pairwise((first, border, last))
        ]
        apart.append(abs(sides[1] - sides[0]) / max(JUMP, 3 * sd))
    return float(max(apart))


def _at(x: Floats, y: Floats, place: float) -> float:
    """The least-squares line through the points, at a place."""
    centred = x - x.mean()
    slope = float(centred @ y) / float(centred @ centred)
    return float(y.mean() + slope * (place - x.mean()))


def _segments(series: Floats) -> list[int]:
    """The starts, but the first, of the partition into lines that costs least; series in units of their scatter."""
    tracks, count = series.shape
    penalty = PENALTY * (2 * tracks + 1) * np.log(count)
    best, came = np.full(count + 1, np.inf), np.zeros(count + 1, dtype=np.int64)
    best[0] = 0.0
    costs = _costs(series)
    for end in range(SHORTEST, count + 1):
        totals = best[: end - SHORTEST + 1] + costs[: end - SHORTEST + 1, end] + penalty
        came[end] = int(np.argmin(totals))
        best[end] = totals[came[end]]
    starts, at = [], int(came[count])
    while at > 0:
        starts.append(at)
        at = int(came[at])
    return starts[::-1]


def _costs(series: Floats) -> Floats:
    """[N + 1, N + 1] at (a, b) the squared residuals of a line through records a ... b - 1, over all series."""
    count = series.shape[1]
    x = np.arange(count, dtype=np.float64)
    sums = [_between(column) for column in (np.ones(count), x, x * x)]
    n, sx, sxx = np.maximum(sums[0], 1.0), sums[1], sums[2]
    spread = np.maximum(sxx - sx * sx / n, 1e-12)
    total = np.zeros((count + 1, count + 1))
    for y in series - series.mean(axis=1, keepdims=True):
        sy, sxy, syy = _between(y), _between(x * y), _between(y * y)
        total += np.maximum(syy - sy * sy / n - np.square(sxy - sx * sy / n) / spread, 0.0)
    return total


def _between(column: Floats) -> Floats:
    """[N + 1, N + 1] at (a, b) the sum of a column over a ... b - 1."""
    sums = np.concatenate([[0.0], np.cumsum(column)])
    return np.asarray(sums[None, :] - sums[:, None])
