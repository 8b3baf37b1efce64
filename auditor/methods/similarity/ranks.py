"""Ranks: how far two maps of the same example agree on the order of its places, and on the foremost of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Ranked:
    """Rank correlations, one an example; 0 where `constant` says that one of the two maps has no order at all."""

    values: Floats
    constant: Flags


@dataclass(frozen=True)
class Overlap:
    """How far the foremost places of two maps are the same ones, one value an example.

    iou: |A and B| / |A or B|. share: 2 |A and B| / (|A| + |B|), the usual top-k agreement. chance: what `share` is on
    average for sets of these sizes in places drawn at random. All are 0 where `constant` says that a map has no order.
    """

    iou: Floats
    share: Floats
    chance: Floats
    constant: Flags

    @property
    def corrected(self) -> Floats:
        """The share above chance, (o - k) / (1 - k): 1 the same places, 0 as by chance."""
        room = 1 - self.chance
        return np.divide(self.share - self.chance, room, out=np.zeros_like(room), where=room > 0)


def signed_rank_correlation(a: ArrayLike, b: ArrayLike, lengths: ArrayLike | None = None) -> Ranked:
    """Spearman's correlation of two signed maps of each example, [n, ...] -> [n]; ties share their mean rank.

    lengths: how many of the first places belong to each example (tokens before the padding); None for all.
    Raises ValueError for maps of different shapes, or with numbers that are not finite.

    >>> a = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    >>> found = signed_rank_correlation(a, [[2.0, 4.0, 9.0], [3.0, 2.0, 1.0], [1.0, 2.0, 3.0]])
    >>> found.values.round(9).tolist(), found.constant.tolist()
    ([1.0, -1.0, 0.0], [False, False, True])
    """
    first, second = _rows(a, b, lengths)
    constant = np.array([_flat(x) or _flat(y) for x, y in zip(first, second, strict=True)], dtype=bool)
    found = [0.0 if flat else _pearson(ranks(x), ranks(y)) for x, y, flat in zip(first, second, constant, strict=True)]
    return Ranked(np.array(found, dtype=np.float64), constant)


def top_k_overlap(a: ArrayLike, b: ArrayLike, share: float = 0.1, lengths: ArrayLike | None = None) -> Overlap:
    """How far the foremost `share` of the places (largest values, at least one place) agree, [n, ...] -> [n].

    Places that tie across the limit are all left out, unless they are the foremost of all: they are then all taken.
    So many equal places never look like agreement in the order in which they happen to stand. Give absolute values
    for maps whose sign does not count. lengths: as in signed_rank_correlation.

    >>> found = top_k_overlap([[4.0, 3.0, 2.0, 1.0]], [[4.0, 1.0, 3.0, 2.0]], share=0.5)
    >>> found.iou.round(3).tolist(), found.share.tolist(), found.chance.tolist()
    ([0.333], [0.5], [0.5])
    """
    if not 0 < share <= 1:
        raise ValueError(f"expected a share above 0 and at most 1, found {share}")
    first, second = _rows(a, b, lengths)
    constant = np.array([_flat(x) or _flat(y) for x, y in zip(first, second, strict=True)], dtype=bool)
    columns = np.zeros((3, len(first)))
    for row in np.flatnonzero(~constant):
        columns[:, row] = _agreed(foremost(first[row], share), foremost(second[row], share))
    return Overlap(columns[0], columns[1], columns[2], constant)


def ranks(values: NDArray[Any]) -> Floats:
    """The ranks 1 ... n of a line of values; equal values share their mean rank.

    >>> ranks(np.array([5.0, 1.0, 5.0])).tolist()
    [2.5, 1.0, 2.5]
    """
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    found: Floats = (np.cumsum(counts) - (counts - 1) / 2)[place.ravel()]
    return found


def foremost(values: NDArray[Any], share: float) -> Flags:
    """Which places of a line hold its largest values; how many, and what of ties, top_k_overlap says."""
    wanted = max(1, round(share * values.size))
    limit = np.partition(values, values.size - wanted)[values.size - wanted]
    whole, above = values >= limit, values > limit
    found: Flags = above if whole.sum() > wanted and above.any() else whole
    return found


def _agreed(a: Flags, b: Flags) -> tuple[float, float, float]:
    both, size_a, size_b = int((a & b).sum()), int(a.sum()), int(b.sum())
    total = size_a + size_b
    return both / (total - both), 2 * both / total, 2 * size_a * size_b / (a.size * total)


def _rows(a: ArrayLike, b: ArrayLike, lengths: ArrayLike | None) -> tuple[list[Floats], list[Floats]]:
    """Both maps as one line an example, cut to its own places."""
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape or first.ndim < 2 or not first.size:
        raise ValueError(f"expected maps [n, ...] of one shape, found {first.shape} and {second.shape}")
    own = np.full(len(first), first[0].size) if lengths is None else np.asarray(lengths)
    if own.shape != (len(first),) or own.min() < 1 or own.max() > first[0].size:
        raise ValueError(f"expected {len(first)} lengths from 1 to {first[0].size}, found {own.tolist()[:8]}")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("a map holds numbers that are not finite")
    return _lines(first, own), _lines(second, own)


def _lines(maps: Floats, lengths: NDArray[Any]) -> list[Floats]:
    return [row.ravel()[:size] for row, size in zip(maps, lengths, strict=True)]


def _flat(values: Floats) -> bool:
    return bool(values.min() == values.max())


def _pearson(a: Floats, b: Floats) -> float:
    x, y = a - a.mean(), b - b.mean()
    return float(np.clip(x @ y / np.sqrt((x @ x) * (y @ y)), -1, 1))
