"""Regions of fixed position: where the maps of a group agree, and the same region elsewhere."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

SHARES = (0.04, 0.07)
"""Largest shares of a picture that a compact region may cover."""
OVERLAP = 0.5
GRID = 16

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]


def on_cells(maps: NDArray[np.floating], side: int) -> Floats:
    """Maps [n, h, w] as shares of the absolute value in side x side cells, [n, side, side]; each sums to 1.

    A coarser map is enlarged bilinearly; one that is zero everywhere becomes even.
    """
    size = torch.from_numpy(np.abs(maps).astype(np.float32))[:, None]
    if min(size.shape[2:]) < side:
        size = functional.interpolate(size, size=(side, side), mode="bilinear", align_corners=False)
    cells = functional.adaptive_avg_pool2d(size, side)[:, 0].double().numpy()
    return shares(cells)


def shares(values: NDArray[np.floating]) -> Floats:
    """Absolute values of each example as shares of their sum; even where all are zero."""
    size = np.abs(values.astype(np.float64))
    total = size.reshape(len(size), -1).sum(axis=1).reshape(-1, *[1] * (size.ndim - 1))
    even = 1 / size[0].size
    found: Floats = np.where(total > 0, size / np.where(total > 0, total, 1), even)
    return found


def window(mean: Floats, share: float) -> Mask:
    """The square of at most that share of the cells where the mean map [side, side] holds most; at least one cell."""
    side = len(mean)
    width = max(1, int(np.sqrt(share) * side))
    sums = np.pad(mean.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    inside = sums[width:, width:] - sums[:-width, width:] - sums[width:, :-width] + sums[:-width, :-width]
    top, left = np.unravel_index(int(inside.argmax()), inside.shape)
    found = np.zeros(mean.shape, dtype=bool)
    found[top : top + width, left : left + width] = True
    return found


def ring(side: int) -> Mask:
    """The outermost cells."""
    found = np.ones((side, side), dtype=bool)
    found[1:-1, 1:-1] = False
    return found


def corners(side: int) -> list[Mask]:
    """The four corners, as large as a window may be."""
    width = max(1, int(np.sqrt(SHARES[-1]) * side))
    found = []
    for down in (slice(None, width), slice(-width, None)):
        for across in (slice(None, width), slice(-width, None)):
            mask = np.zeros((side, side), dtype=bool)
            mask[down, across] = True
            found.append(mask)
    return found


def neighbours(mask: Mask) -> list[Mask]:
    """A window moved by one cell up, down, left and right, as far as it stays inside; the frame has none."""
    if np.array_equal(mask, ring(len(mask))):
        return []
    down, across = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    room = {(-1, 0): down[0] > 0, (1, 0): down[-1] < len(mask) - 1,
            (0, -1): across[0] > 0, (0, 1): across[-1] < len(mask) - 1}  # fmt: skip
    return [np.roll(mask, shift, axis=(0, 1)) for shift, free in room.items() if free]


def candidates(means: Sequence[Floats]) -> list[Mask]:
    """The windows of all mean maps, the corners and the frame (where marks are left), each once, small ones first."""
    found = [window(mean, share) for mean in means for share in SHARES]
    found += [*corners(len(means[0])), ring(len(means[0]))]
    each = {mask.tobytes(): mask for mask in found}
    return sorted(each.values(), key=lambda mask: (int(mask.sum()), mask.tobytes()))


def elsewhere(mask: Mask, count: int, rng: np.random.Generator) -> list[Mask]:
    """The same region rolled on the torus to `count` places that share at most half of it, as far as there are any."""
    shifts = [(down, across) for down in range(mask.shape[0]) for across in range(mask.shape[1])]
    rolled = [np.roll(mask, shift, axis=(0, 1)) for shift in shifts]
    common = np.array([(mask & each).sum() for each in rolled]) / mask.sum()
    far = np.flatnonzero(common <= max(OVERLAP, float(common.min())))
    return [rolled[place] for place in rng.choice(far, count).tolist()]


def named(mask: Mask) -> str:
    """Where a region lies, in words: rows and columns of cells counted from the upper left.

    >>> named(np.array([[True, True], [False, False]]))
    'rows 1-1, columns 1-2 of 2 x 2 cells'
    """
    side = len(mask)
    if np.array_equal(mask, ring(side)):
        return f"the frame (outermost of {side} x {side} cells)"
    down, across = np.flatnonzero(mask.any(axis=1)) + 1, np.flatnonzero(mask.any(axis=0)) + 1
    return f"rows {down[0]}-{down[-1]}, columns {across[0]}-{across[-1]} of {side} x {side} cells"
