"""Copies of texts: candidates by MinHash, decided by the Jaccard index of their shingles."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.methods.data.matching import Keys, Matches, nothing

LETTERS = 5
BUCKETS = 512
BANDS, ROWS = 16, 4
"""64 minima in 16 bands of 4: a pair of Jaccard index .8 becomes a candidate with chance .9998, one of .5 with .64."""
PER_BAND = 64
"""Candidates of one text in one band; the rest of a larger bucket is not looked at."""
AT_ONCE = 2**16
"""Pairs whose minima are compared at once."""
SLACK = 0.25
"""How far below the threshold a Jaccard index estimated from 64 minima may lie and still be computed exactly."""

_SPACE = re.compile(r"\s+")
_PRIME = np.uint64(1099511628211)


@dataclass(frozen=True)
class Shingles:
    """The shingles of many texts: `flat` holds them one text after another, ascending; text i has
    flat[start[i]:start[i + 1]]."""

    flat: NDArray[np.uint32]
    start: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.start) - 1

    def of(self, row: int) -> NDArray[np.uint32]:
        """Those of one text."""
        return self.flat[self.start[row] : self.start[row + 1]]


def shingles(texts: Sequence[str]) -> Shingles:
    """Hashes of all runs of five bytes of each text, in lower case and with single spaces; a text is a set of them."""
    sets = [_runs(_SPACE.sub(" ", text.lower()).strip().encode()) for text in texts]
    start = np.cumsum([0, *(len(each) for each in sets)], dtype=np.int64)
    return Shingles(np.concatenate([np.zeros(0, np.uint32), *sets]), start)


def jaccard(mine: NDArray[np.uint32], other: NDArray[np.uint32]) -> float:
    """|A and B| / |A or B| of two sets.

    >>> jaccard(np.array([1, 2, 3], np.uint32), np.array([2, 3, 4], np.uint32))
    0.5
    """
    both = len(np.intersect1d(mine, other, assume_unique=True))
    return both / (len(mine) + len(other) - both)


def closest(
    mine: Shingles, others: Shingles, at_least: float, keys: Keys | None = None, other_keys: Keys | None = None
) -> Matches:
    """The text whose shingles agree most with each text's, where the Jaccard index is at least `at_least`.

    Broder, On the resemblance and containment of documents (1997).
    """
    found = nothing(len(mine))
    if not len(mine) or not len(others):
        return found
    signatures, other_signatures = _minima(mine), _minima(others)
    first, second = _candidates(signatures, other_signatures)
    if keys is not None and other_keys is not None:
        differ = keys[first] != other_keys[second]
        first, second = first[differ], second[differ]
    likely = _agreement(signatures, other_signatures, first, second) >= at_least - SLACK
    for row, place in zip(first[likely].tolist(), second[likely].tolist(), strict=True):
        value = jaccard(mine.of(row), others.of(place))
        if value >= at_least and value > found.similarity[row]:
            found.row[row], found.similarity[row] = place, value
    return found


def _agreement(
    mine: NDArray[np.uint32], others: NDArray[np.uint32], first: NDArray[np.int64], second: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The share of minima that the texts of each pair have in common; ten million pairs at once need gigabytes."""
    found = np.empty(len(first))
    for start in range(0, len(first), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        found[part] = (mine[first[part]] == others[second[part]]).mean(axis=1)
    return found


def buckets(sets: Shingles, count: int = BUCKETS) -> NDArray[np.float64]:
    """How many shingles of each text fall into each of `count` buckets, as shares of the text's: [n, count]."""
    sizes = np.diff(sets.start)
    row = np.repeat(np.arange(len(sets)), sizes)
    found = np.bincount(row * count + sets.flat[: sets.start[-1]] % count, minlength=len(sets) * count).reshape(
        len(sets), count
    )
    shares: NDArray[np.float64] = found / np.maximum(sizes, 1)[:, None]
    return shares


def _runs(content: bytes) -> NDArray[np.uint32]:
    padded = np.frombuffer(content.ljust(LETTERS, b" "), dtype=np.uint8).astype(np.uint64)
    hashed = np.zeros(len(padded) - LETTERS + 1, dtype=np.uint64)
    for place in range(LETTERS):
        hashed = (hashed ^ padded[place : place + len(hashed)]) * _PRIME
    return np.unique((hashed >> np.uint64(16)).astype(np.uint32))


def _minima(sets: Shingles) -> NDArray[np.uint32]:
    """MinHash signatures, [n, 64]: the least of each of 64 hashes of a text's shingles."""
    rng = np.random.default_rng(0)  # fixed: the hashes are part of the definition, not of a run
    odd, shift = rng.integers(0, 2**63, (2, BANDS * ROWS), dtype=np.uint64)
    found = np.empty((len(sets), BANDS * ROWS), dtype=np.uint32)
    for row in range(len(sets)):
        mixed = sets.of(row).astype(np.uint64)[:, None] * (odd * np.uint64(2) + np.uint64(1)) + shift
        found[row] = (mixed.min(axis=0, initial=2**64 - 1, where=True) >> np.uint64(32)).astype(np.uint32)
    return found


def _candidates(mine: NDArray[np.uint32], others: NDArray[np.uint32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of rows that agree in all minima of some band, each once."""
    pairs = [
        _equal(_folded(mine[:, band : band + ROWS]), _folded(others[:, band : band + ROWS]), len(others))
        for band in range(0, BANDS * ROWS, ROWS)
    ]
    each = np.unique(np.concatenate(pairs))
    return each // len(others), each % len(others)


def _folded(band: NDArray[np.uint32]) -> NDArray[np.uint64]:
    folded: NDArray[Any] = np.zeros(len(band), dtype=np.uint64)
    for column in range(band.shape[1]):
        folded = (folded ^ band[:, column].astype(np.uint64)) * _PRIME
    return folded


def _equal(mine: NDArray[np.uint64], others: NDArray[np.uint64], count: int) -> NDArray[np.int64]:
    """Pairs (row, place) of equal values as row * count + place."""
    order = np.argsort(others, kind="stable")
    ranked = others[order]
    low = np.searchsorted(ranked, mine, "left")
    size = np.minimum(np.searchsorted(ranked, mine, "right") - low, PER_BAND)
    rows = np.repeat(np.arange(len(mine)), size)
    within = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    found: NDArray[np.int64] = (rows * count + order[np.repeat(low, size) + within]).astype(np.int64)
    return found
