"""The pointing game: whether the largest value of a map lies on the object."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def pointed(values: NDArray[np.floating[Any]], shape: tuple[int, ...]) -> tuple[int, int]:
    """The pixel of a picture of that shape at the centre of a map's largest value (the first of several equal ones).

    A map coarser than the picture is largest, once enlarged, at the centre of its largest place.

    >>> pointed(np.array([[0.0, 1.0], [0.0, 0.0]]), (10, 10))
    (2, 7)
    """
    row, column = np.unravel_index(int(values.argmax()), values.shape)
    height, width = values.shape
    return int((row + 0.5) * shape[0] / height), int((column + 0.5) * shape[1] / width)


def hits(maps: NDArray[np.floating[Any]], regions: NDArray[np.bool_]) -> list[bool]:
    """For each example, whether its map points into its region; a map without a positive value points nowhere.

    maps [n, rows, columns]; regions bool [n, h, w]. Zhang et al., "Top-down neural attention by excitation backprop"
    (2016), without their tolerance of 15 pixels around the object.
    """
    found = [region[pointed(values, region.shape)] for values, region in zip(maps, regions, strict=True)]
    return [bool(hit) and bool(values.max() > 0) for hit, values in zip(found, maps, strict=True)]
