"""Copies of pictures: candidates by their lowest frequencies, decided by the correlation of small grey pictures."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.methods.data.matching import Keys, Matches, comparable, nothing

SIDE, FREQUENCIES = 32, 8
CANDIDATE = 0.95
"""Whatever correlates at .99 has this cosine in its lowest frequencies if they hold a fifth of its energy."""
FLAT = 2.0
"""Grey levels of standard deviation below which a picture has nothing to correlate."""
BLOCK = 256

Bytes = NDArray[np.uint8]


def thumbnail(pixels: Bytes) -> Bytes:
    """uint8 [h, w, 3] as a grey picture [32, 32]: means of boxes; a smaller picture keeps its pixels as squares."""
    from PIL import Image

    grey = Image.fromarray(pixels).convert("L")
    return np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.uint8)


def closest(
    mine: Bytes, others: Bytes, at_least: float, keys: Keys | None = None, other_keys: Keys | None = None
) -> Matches:
    """The picture that correlates most with each, where that is at least `at_least`.

    mine [n, 32, 32], others [m, 32, 32]. The perceptual hash is the vector of the 8 x 8 lowest frequencies of the
    discrete cosine transform without the mean (Zauner 2010, kept as numbers instead of bits); pairs whose hashes have
    a cosine of .95 are decided by Pearson's correlation of all 32 x 32 grey values. Brightness and contrast do not
    count. Pictures without contrast match nothing here.
    """
    found = nothing(len(mine))
    if not len(mine) or not len(others):
        return found
    (whole, low), (other_whole, other_low) = _prepared(mine), _prepared(others)
    for start in range(0, len(mine), BLOCK):
        stop = min(start + BLOCK, len(mine))
        near = low[start:stop] @ other_low.T >= CANDIDATE
        allowed = comparable(None if keys is None else keys[start:stop], other_keys)
        near = near if allowed is None else near & allowed
        rows = np.flatnonzero(near.any(axis=1))
        if len(rows):
            alike = np.where(near[rows], whole[start:stop][rows] @ other_whole.T, -1.0)
            best = alike.argmax(axis=1)
            value = np.minimum(alike[np.arange(len(rows)), best], 1.0)
            kept = value >= at_least
            found.row[start + rows[kept]], found.similarity[start + rows[kept]] = best[kept], value[kept]
    return found


def frequencies(pictures: Bytes) -> NDArray[np.float64]:
    """The 8 x 8 lowest frequencies of each grey picture [n, 32, 32], without its mean: [n, 63]."""
    basis = _cosines().astype(np.float64)
    found: NDArray[np.float64] = (basis @ pictures.astype(np.float64) @ basis.T).reshape(len(pictures), -1)[:, 1:]
    return found


def _prepared(pictures: Bytes) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Unit vectors of the centred pictures, and of their lowest frequencies; zero for flat pictures."""
    grey: NDArray[Any] = pictures.astype(np.float32)
    grey -= grey.mean(axis=(1, 2), keepdims=True)
    grey[grey.std(axis=(1, 2)) < FLAT] = 0
    basis = _cosines()
    low = (basis @ grey @ basis.T).reshape(len(grey), -1)
    return _unit(grey.reshape(len(grey), -1)), _unit(low)


def _unit(rows: NDArray[Any]) -> NDArray[np.float32]:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(length > 0, length, 1)).astype(np.float32)


def _cosines() -> NDArray[np.float32]:
    """The first rows of the orthonormal cosine transform (type II), [8, 32]."""
    place, frequency = np.arange(SIDE), np.arange(FREQUENCIES)[:, None]
    basis: NDArray[Any] = np.cos(np.pi * (place + 0.5) * frequency / SIDE) * np.sqrt(2 / SIDE)
    basis[0] /= np.sqrt(2)
    return basis.astype(np.float32)
