"""Concentration: whether an attribution map lies on few places or is spread over many."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def gini(values: NDArray[np.floating[Any]]) -> float:
    """The Gini coefficient of the absolute values: 0 all equal, 1 - 1/n all in one place; NaN if all are zero.

    sum_i (2 i - n - 1) x_(i) / (n sum x) over the ascending values x_(i), i = 1 ... n.

    >>> gini(np.array([0.0, 0.0, 0.0, 1.0]))
    0.75
    """
    ordered = np.sort(np.abs(values).astype(np.float64).ravel())
    total, n = float(ordered.sum()), ordered.size
    if total == 0:
        return float("nan")
    return float((2 * np.arange(1, n + 1) - n - 1) @ ordered / (n * total))
