"""What influences say: how unequal they are, and who speaks for a decision."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def gini(values: Floats) -> float:
    """sum_i (2 i - n - 1) v_(i) / (n sum v) of values >= 0 in ascending order: 0 if all are equal, 1 - 1/n if one has
    all. NaN where all are 0. Gini, Variabilita e mutabilita (1912).

    >>> gini(np.array([1.0, 1.0])), gini(np.array([0.0, 0.0, 0.0, 2.0]))
    (0.0, 0.75)
    """
    ordered, n = np.sort(values), len(values)
    total = float(ordered.sum())
    ranks = 2 * np.arange(1, n + 1) - n - 1
    return float(ranks @ ordered) / (n * total) if total > 0 else float("nan")


def strongest(pairs: Floats, test: int, top: int, sign: float = 1.0) -> Ints:
    """The training examples of the largest influence on a test example, at most `top`, all of them above 0; the
    strongest first. sign -1: the opponents."""
    column = sign * pairs[:, test]
    order = np.argsort(-column, kind="stable")[:top]
    return order[column[order] > 0]


def same_class(pairs: Floats, train_labels: Floats, test_labels: Floats, top: int) -> tuple[Ints, NDArray[np.bool_]]:
    """Of the test examples that have a proponent: their places, and whether more than half of their strongest
    proponents, at most `top`, have the test example's label."""
    places, hits = [], []
    for test, label in enumerate(test_labels):
        found = strongest(pairs, test, top)
        if len(found):
            places.append(test)
            hits.append(bool((train_labels[found] == label).mean() > 0.5))
    return np.array(places, dtype=np.int64), np.array(hits, dtype=np.bool_)
