"""Grids: maps of any resolution on one common grid, each cell the mean of the map over its area."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def on_grid(maps: NDArray[np.floating[Any]], rows: int, columns: int) -> Floats:
    """Maps [n, h, w] on a grid of rows x columns, [n, rows, columns]; a coarser map repeats its values by area.

    >>> on_grid(np.array([[[0.0, 3.0, 6.0]]]), 1, 2).tolist()
    [[[1.0, 5.0]]]
    """
    down, across = _weights(maps.shape[1], rows), _weights(maps.shape[2], columns)
    found: Floats = np.einsum("rh,nhw,cw->nrc", down, maps.astype(np.float64), across, optimize=True)
    return found


def _weights(size: int, cells: int) -> Floats:
    """The share of each of `size` places in each of the cells, [cells, size]; every row sums to 1."""
    edges, places = np.arange(cells + 1) * size / cells, np.arange(size)
    low, high = np.maximum(edges[:-1, None], places), np.minimum(edges[1:, None], places + 1)
    found: Floats = np.clip(high - low, 0, None) * cells / size
    return found
