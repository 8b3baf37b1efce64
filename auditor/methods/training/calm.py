"""How calm the end of a run is: what its accuracy does beyond counting noise, and jumps of its loss."""

from math import copysign, sqrt

import numpy as np

from auditor.methods.training.gradients import residuals
from auditor.methods.training.record import Floats, Ints, Run, Side

LEAST = 6
"""Records below which nothing is said of a window."""

BEFORE = 3
"""Records that a jump is measured against."""


def window_of(records: int, share: float) -> int:
    """How many of the last records the window holds, 0 if these are too few."""
    size = round(share * records)
    return size if size >= LEAST else 0


def beyond_noise(steps: Ints, accuracy: Floats, rows: int) -> float:
    """The standard deviation of shares of `rows` examples around their line, less that of counting them.

    v = RSS / (n - 2) - mean p (1 - p) / rows, with its sign: sqrt(v), or -sqrt(-v) where there is less than counting
    alone would give. The examples are the same at each record, so counting noise is at most that.
    """
    around = residuals(steps.astype(np.float64), accuracy)
    noise = float(np.mean(accuracy * (1 - accuracy))) / rows
    excess = float(around @ around) / (len(accuracy) - 2) - noise
    return copysign(sqrt(abs(excess)), excess)


def jumps(losses: Floats, height: float) -> Ints:
    """The records at which a loss jumps: it lies more than `height` times the first loss above the median of the three
    records before (of those that there are); of several in a row the first. A loss that is not finite is a jump.

    >>> jumps(np.array([2.0, 1.0, 0.5, 0.4, 0.9, 0.8, 0.3]), 0.1).tolist()
    [4]
    """
    seen = np.where(np.isfinite(losses), losses, np.inf)
    up = np.zeros(len(seen), dtype=np.bool_)
    for place in range(1, len(seen)):
        before = seen[max(0, place - BEFORE) : place]
        up[place] = seen[place] == np.inf or seen[place] > float(np.median(before)) + height * seen[0]
    return np.flatnonzero(up & ~np.concatenate([[False], up[:-1]]))


def rolling(run: Run, side: Side, size: int) -> tuple[Ints, Floats]:
    """beyond_noise of every window of `size` records of a run with classes, at the last step of each."""
    steps, shares, rows = run.record_steps, run.accuracy(side), getattr(run, f"{side}_rows")
    if shares is None:
        raise ValueError("a task without classes has no accuracy")
    windows = [slice(end - size, end) for end in range(size, len(shares) + 1)]
    values = [beyond_noise(steps[window], shares[window], rows) for window in windows]
    return steps[size - 1 :], np.array(values, dtype=np.float64)


def last_window(run: Run, side: Side, size: int) -> float:
    """beyond_noise of the last `size` records of a run with classes."""
    return float(rolling(run, side, size)[1][-1])
