"""Agreement: whether two maps of an example rank its places alike, beyond what shifted maps of the same shape do."""

import numpy as np
from numpy.typing import NDArray

from auditor.methods.similarity.ranks import signed_rank_correlation

Floats = NDArray[np.float64]
FEWEST = 4
"""Places below which shifts say nothing."""


def beyond_shifts(first: Floats, second: Floats, rng: np.random.Generator, shifts: int = 8) -> float:
    """The rank correlation of two maps minus its mean over `shifts` random shifts of the first; NaN if undecidable.

    Maps [h, w] are rolled on the torus, lines [t] around their end: the null keeps the map's own form, so that two
    smooth maps, or two that favour neighbours, earn nothing for that. Where fewer shifts exist, all are taken.
    Undecidable: fewer than 4 places, or a map that is the same everywhere.

    >>> a = np.arange(8.0) % 3
    >>> beyond_shifts(a, a, np.random.default_rng(0)) > 0.5
    True
    """
    if first.shape != second.shape:
        raise ValueError(f"expected two maps of one shape, found {first.shape} and {second.shape}")
    if first.size < FEWEST or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    drawn = rng.permutation(first.size - 1)[:shifts] + 1
    axes = tuple(range(first.ndim))
    moved = [np.roll(first, tuple(map(int, np.unravel_index(step, first.shape))), axes) for step in drawn]
    found = signed_rank_correlation(np.stack([first, *moved]), np.broadcast_to(second, (1 + len(moved), *second.shape)))
    return float(found.values[0] - found.values[1:].mean())
