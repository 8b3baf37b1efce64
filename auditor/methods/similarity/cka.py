"""CKA: how alike two representations of the same examples are, whatever their width, rotation and scale."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FEWEST = 4
"""The debiased estimator needs four examples; below some hundreds it is noise."""


def linear_cka(x: NDArray[Any], y: NDArray[Any]) -> float:
    """Debiased linear CKA of two representations, [n, p] and [n, q]: 1 for equal ones, 0 for unrelated ones.

    HSIC(X, Y) / sqrt(HSIC(X, X) HSIC(Y, Y)) with the unbiased HSIC of the linear kernels; it can fall a little below
    0 by chance. Without debiasing, random representations of width near n look alike. Raises ValueError for fewer than
    4 examples, numbers that are not finite, or a representation that does not vary.
    Kornblith et al., "Similarity of neural network representations revisited" (2019); Song et al., "Feature selection
    via dependence maximization" (2012); Nguyen et al., "Do wide and deep networks learn the same things?" (2021).
    """
    k, el = _kernels(x, y)
    return float(_cka(_hsic(k, el), _hsic(k, k), _hsic(el, el)))


def cka_by_example(x: NDArray[Any], y: NDArray[Any]) -> Floats:
    """The jackknife's pseudo-values of linear_cka, [n]: their mean estimates it, their spread is its sampling error.

    p_i = n theta - (n - 1) theta_(-i), where theta_(-i) leaves example i out, in closed form for all i at once.
    Efron and Stein, "The jackknife estimate of variance" (1981). Raises as linear_cka does.
    """
    k, el = _kernels(x, y)
    n = len(k)
    if n <= FEWEST:
        raise ValueError(f"leaving one out needs more than {FEWEST} examples, found {n}")
    whole = _cka(_hsic(k, el), _hsic(k, k), _hsic(el, el))
    without = _cka(_hsic_without(k, el), _hsic_without(k, k), _hsic_without(el, el))
    found: Floats = n * whole - (n - 1) * without
    return found


def _kernels(x: NDArray[Any], y: NDArray[Any]) -> tuple[Floats, Floats]:
    first, second = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if first.ndim != 2 or second.ndim != 2 or len(first) != len(second):
        raise ValueError(f"expected [n, p] and [n, q], found {first.shape} and {second.shape}")
    if len(first) < FEWEST:
        raise ValueError(f"CKA needs at least {FEWEST} examples, found {len(first)}")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("a representation holds numbers that are not finite")
    return _kernel(first), _kernel(second)


def _kernel(x: Floats) -> Floats:
    """The linear kernel without its diagonal, scaled to a mean square of 1."""
    centred = x - x.mean(axis=0)  # changes no HSIC, and keeps what is large and equal from drowning the rest
    spread = float(np.sqrt((centred**2).sum(axis=1).mean()))
    if spread <= 1e-12 * max(1.0, float(np.abs(x).max())):
        raise ValueError("a representation does not vary over the examples")
    found: Floats = centred @ centred.T / spread**2
    np.fill_diagonal(found, 0)
    return found


def _hsic(k: Floats, el: Floats) -> Floats:
    """The unbiased HSIC of two kernels without diagonal."""
    n, sums_k, sums_l = len(k), k.sum(axis=1), el.sum(axis=1)
    return _unbiased(n, np.sum(k * el), sums_k.sum(), sums_l.sum(), sums_k @ sums_l)


def _hsic_without(k: Floats, el: Floats) -> Floats:
    """The unbiased HSIC with each example left out in turn, [n]."""
    n, sums_k, sums_l = len(k), k.sum(axis=1), el.sum(axis=1)
    shared = np.sum(k * el, axis=1)
    crossed = sums_k @ sums_l - sums_k * sums_l - el @ sums_k - k @ sums_l + shared
    trace = np.sum(k * el) - 2 * shared
    return _unbiased(n - 1, trace, sums_k.sum() - 2 * sums_k, sums_l.sum() - 2 * sums_l, crossed)


def _unbiased(n: int, trace: Any, total_k: Any, total_l: Any, crossed: Any) -> Floats:
    found: Floats = trace + total_k * total_l / ((n - 1) * (n - 2)) - 2 * crossed / (n - 2)
    return np.asarray(found / (n * (n - 3)))


def _cka(both: Floats, own_x: Floats, own_y: Floats) -> Floats:
    if np.min(own_x) <= 0 or np.min(own_y) <= 0:
        raise ValueError("a representation varies too little over the examples for CKA")
    found: Floats = both / np.sqrt(own_x * own_y)
    return found
