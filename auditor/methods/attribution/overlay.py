"""Overlay: an attribution map in colour over the picture that it explains."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.floating[Any]]
Pixels = NDArray[np.uint8]

INFERNO = np.array(
    [(0, 0, 4), (31, 12, 72), (85, 15, 109), (136, 34, 106), (186, 54, 85), (227, 89, 51), (249, 140, 10),
     (249, 201, 50), (252, 255, 164)], dtype=np.float64,
)  # fmt: skip
"""Nine anchors of a perceptually even scale, dark to bright, which colour-blind readers and grey prints keep."""


def colours(values: Map) -> Pixels:
    """Values in [0, 1], of any shape, as RGB on the scale of INFERNO; values outside are clipped.

    >>> colours(np.array([0.0, 1.0])).tolist()
    [[0, 0, 4], [252, 255, 164]]
    """
    place = np.clip(values, 0, 1) * (len(INFERNO) - 1)
    low = np.minimum(place.astype(np.int64), len(INFERNO) - 2)
    part = (place - low)[..., None]
    found: Pixels = ((1 - part) * INFERNO[low] + part * INFERNO[low + 1]).round().astype(np.uint8)
    return found


def scaled(values: Map, percentile: float = 99.0) -> Map:
    """A map divided by its percentile of absolute values (by its largest where that is zero); all-zero maps stay zero.

    One extreme pixel would leave the rest of a saliency map black.
    """
    size = np.abs(values).astype(np.float64)
    top = float(np.percentile(size, percentile)) or float(size.max())
    found: Map = np.clip(values / top, -1, 1) if top > 0 else np.zeros_like(size)
    return found


def overlay(picture: Pixels, values: Map) -> Pixels:
    """The map (same height and width, in [0, 1]) in colour over the picture in grey: RGB of the picture's shape.

    The stronger the map, the more it covers, so that the picture stays readable where the map says little.
    """
    grey = picture.astype(np.float64).mean(axis=2, keepdims=True)
    cover = 0.35 + 0.45 * np.clip(values, 0, 1)[..., None]
    found: Pixels = ((1 - cover) * grey + cover * colours(values)).round().astype(np.uint8)
    return found


def enlarged(picture: NDArray[Any], side: int) -> NDArray[Any]:
    """Small pictures with each pixel as a square, so that the shorter side comes near `side`; larger ones unchanged."""
    factor = max(1, side // min(picture.shape[:2]))
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)
