"""Inequality: how unequally importance is spread over the parameters, and how well the examples tell it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Single = NDArray[np.float32]
Ints = NDArray[np.int64]


def gini(values: NDArray[np.floating]) -> float | None:
    """Gini's coefficient of values >= 0: sum_ij abs(x_i - x_j) / (2 N sum x); 0 all equal, (N - 1)/N one has all.

    None where the sum is zero. Gini (1912); sorted: sum_i (2 i - N - 1) x_(i) / (N sum x).

    >>> gini(np.array([1.0, 1.0, 1.0])), gini(np.array([0.0, 0.0, 3.0]))
    (0.0, 0.6666666666666666)
    """
    ordered, n = np.sort(values), len(values)
    total = float(ordered.sum(dtype=np.float64))
    if total <= 0:
        return None
    ranks = 2 * np.arange(1, n + 1, dtype=np.float64) - n - 1
    return float(ranks @ ordered) / (n * total)


def effective_share(values: NDArray[np.floating]) -> float | None:
    """(sum x)^2 / (N sum x^2) of values >= 0: the share of equal parameters that would be as concentrated.

    None where all are zero. Kish, Survey Sampling (1965), on effective numbers.

    >>> effective_share(np.array([2.0, 2.0, 0.0, 0.0]))
    0.5
    """
    scaled = values.astype(np.float64) / max(float(values.max(initial=0.0)), np.finfo(np.float64).tiny)
    squares = float(scaled @ scaled)
    return float(scaled.sum()) ** 2 / (len(values) * squares) if squares > 0 else None


@dataclass(frozen=True)
class Told:
    """Pseudo-values of both numbers, one a block of examples: their mean is the estimate, their spread its error."""

    gini: Floats
    effective_share: Floats


def told(blocks: Single, counts: Ints) -> Told | None:
    """Both numbers of the importance that infinitely many examples would give, by leaving out one block in turn.

    blocks: [K, M], mean importance of M parameters on each block of counts[k] examples. Noise in an importance makes
    it look more concentrated than it is. For effective_share that is undone where it arises: (sum_j I_j)^2 and
    sum_j I_j^2 are both estimated by products of DIFFERENT blocks alone, whose noise is independent. For gini the
    jackknife takes its first order away. Pseudo-values: K T - (K - 1) T without block k (Quenouille 1956; Tukey 1958).
    None with fewer than three blocks, or where some T cannot be said.
    """
    count = len(counts)
    if count < 3:
        return None
    scale = max(float(blocks.max(initial=0.0)), float(np.finfo(np.float32).tiny))
    scaled = blocks / np.float32(scale)
    products = np.array([[float(np.dot(a, b)) for b in scaled] for a in scaled])
    sums = scaled.sum(axis=1, dtype=np.float64)
    whole = (scaled * (counts / counts.sum())[:, None].astype(np.float32)).sum(axis=0)
    columns: list[list[float | None]] = [[gini(whole)], [_share(products, sums, counts, scaled.shape[1])]]
    for out in range(count):
        rest = np.arange(count) != out
        left = counts[rest].sum()
        without = (whole * np.float32(counts.sum() / left) - scaled[out] * np.float32(counts[out] / left)).clip(min=0)
        columns[0].append(gini(without))
        part = products[np.ix_(rest, rest)]
        columns[1].append(_share(part, sums[rest], counts[rest], scaled.shape[1]))
    if any(value is None for column in columns for value in column):
        return None
    of_gini, of_share = (np.array(column, dtype=np.float64) for column in columns)
    return Told(*(count * column[0] - (count - 1) * column[1:] for column in (of_gini, of_share)))


def _share(products: Floats, sums: Floats, counts: Ints, parameters: int) -> float | None:
    """effective_share from products of different blocks: products [K, K], sums [K], weighted by the examples."""
    weight = np.outer(counts, counts).astype(np.float64)
    np.fill_diagonal(weight, 0.0)
    below = float((weight * products).sum())
    return float((weight * np.outer(sums, sums)).sum()) / (parameters * below) if below > 0 else None


def lorenz(values: NDArray[np.floating], points: int = 101) -> tuple[Floats, Floats]:
    """Share of the parameters, least important first, against their share of the importance."""
    ordered = np.sort(values)
    cumulated = np.concatenate([[0.0], np.cumsum(ordered, dtype=np.float64)])
    dense = np.linspace(0, 1, points // 2)
    share = np.unique(np.concatenate([dense, 1 - np.geomspace(1 / len(values), 1, points - len(dense))]).clip(0, 1))
    return share, np.interp(share * len(values), np.arange(len(cumulated)), cumulated / max(cumulated[-1], 1e-300))
