"""Copies of rows of numbers: every column within a small part of its standard deviation."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.methods.data.matching import Keys, Matches, nothing

LOOKED_AT = 16
"""Nearest rows looked at for one of another key, before all within reach are."""

Rows = NDArray[np.float64]


def closest(
    mine: Rows, others: Rows, within: float, keys: Keys | None = None, other_keys: Keys | None = None
) -> Matches:
    """The nearest row of each row, where no column differs by more than `within` standard deviations of `others`.

    mine [n, d], others [m, d]. Columns without spread in `others` must agree to `within` of their size.
    similarity = 1 - the largest difference of a column in standard deviations; 1 for equal rows.
    """
    found = nothing(len(mine))
    if not len(mine) or not len(others):
        return found
    from scipy.spatial import cKDTree

    spread = others.std(axis=0)
    size = np.where(spread > 0, spread, np.maximum(np.abs(others).max(axis=0), 1e-12))
    table, tree = mine / size, cKDTree(others / size)
    count = 1 if keys is None else min(LOOKED_AT, len(others))
    far, place = tree.query(table, k=[*range(1, count + 1)], p=np.inf, distance_upper_bound=within * (1 + 1e-9))
    allowed = np.isfinite(far)
    if keys is not None and other_keys is not None:
        allowed &= other_keys[np.minimum(place, len(others) - 1)] != keys[:, None]
    rows = np.flatnonzero(allowed.any(axis=1))
    first = allowed[rows].argmax(axis=1)
    found.row[rows], found.similarity[rows] = place[rows, first], 1 - far[rows, first]
    if keys is not None and other_keys is not None:
        crowded = np.flatnonzero(np.isfinite(far).all(axis=1) & ~allowed.any(axis=1))
        for row in crowded.tolist():
            _look_further(tree, table, row, within, keys, other_keys, found)
    return found


def _look_further(
    tree: Any, table: Rows, row: int, within: float, keys: Keys, other_keys: Keys, found: Matches
) -> None:
    """Among all rows within reach, the first of another key."""
    reach = np.sort(np.asarray(tree.query_ball_point(table[row], within, p=np.inf), dtype=np.int64))
    differ = reach[other_keys[reach] != keys[row]]
    if len(differ):
        found.row[row] = differ[0]
        found.similarity[row] = 1 - float(np.abs(tree.data[differ[0]] - table[row]).max())
