"""Tally: moments of a layer's units gathered batch by batch in constant memory, and what they say of the units."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEAD = 1e-12
"""A unit is dead at this share of its layer's variance, or below."""

DUPLICATE = 0.99
"""Two units are duplicates above this absolute correlation."""


@dataclass
class Moving:
    """Count, mean and sum of squares about the mean of columns, merged part by part in float64.

    Chan, Golub and LeVeque, The American Statistician 37 (1983): no sum of raw squares, so nothing cancels.
    """

    count: float = 0.0
    mean: "NDArray[np.float64] | float" = 0.0
    squares: "NDArray[np.float64] | float" = 0.0

    def add(self, count: float, mean: "NDArray[np.float64]", squares: "NDArray[np.float64]") -> None:
        """Merge a part that has its own moments; squares may be a vector or a matrix of products."""
        if count <= 0:
            return
        total = self.count + count
        gap = mean - self.mean
        product = gap**2 if squares.ndim == 1 else np.outer(gap, gap)
        self.squares = self.squares + squares + product * (self.count * count / total)
        self.mean = self.mean + gap * (count / total)
        self.count = total

    @property
    def variance(self) -> "NDArray[np.float64]":
        """squares / count; zeros where nothing was seen."""
        return np.asarray(self.squares / max(self.count, 1.0))


def merged(
    count: "NDArray[np.float64]", mean: "NDArray[np.float64]", squares: "NDArray[np.float64]"
) -> tuple[float, "NDArray[np.float64]", "NDArray[np.float64]"]:
    """Moments of all examples from those of each: count [n], mean and squares [n, units]."""
    total = float(count.sum())
    if total == 0:
        return 0.0, np.zeros(mean.shape[1]), np.zeros(mean.shape[1])
    weight = count[:, None]
    centre = (mean * weight).sum(axis=0) / total
    return total, centre, squares.sum(axis=0) + (weight * (mean - centre) ** 2).sum(axis=0)


def products(values: "NDArray[np.floating[Any]]") -> tuple[float, "NDArray[np.float64]", "NDArray[np.float64]"]:
    """Count, mean and centred products [units, units] of rows [n, units]."""
    rows = values.astype(np.float64)
    mean = rows.mean(axis=0)
    centred = rows - mean
    return float(len(rows)), mean, centred.T @ centred


def dead(variance: "NDArray[np.float64]") -> "NDArray[np.bool_]":
    """Which units are dead: variance at most 1e-12 of the mean over the layer's units; all, if none varies.

    >>> dead(np.array([1.0, 0.0, 1e-13])).tolist(), dead(np.zeros(2)).tolist()
    ([False, True, True], [True, True])
    """
    found: NDArray[np.bool_] = variance <= DEAD * variance.mean()
    return found


def duplicates(squares: "NDArray[np.float64]", live: "NDArray[np.bool_]") -> "NDArray[np.int64]":
    """For each unit the first earlier live unit that it repeats (absolute correlation above .99), or -1.

    squares: centred products [units, units]. Of two copies one is a duplicate, of three copies two are.

    >>> duplicates(np.array([[1.0, -2.0, 0.0], [-2.0, 4.0, 0.0], [0.0, 0.0, 1.0]]), np.ones(3, bool)).tolist()
    [-1, 0, -1]
    """
    scale = np.sqrt(np.diag(squares))
    live = live & (scale > 0)
    safe = np.where(live, scale, 1.0)
    close = np.abs(squares / np.outer(safe, safe)) > DUPLICATE
    earlier = np.tril(close & np.outer(live, live), -1)
    return np.where(earlier.any(axis=1), earlier.argmax(axis=1), -1).astype(np.int64)
