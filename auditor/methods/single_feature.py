"""Single feature: how well a small tree on one column alone predicts a label, chosen and judged on different rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

FOLDS = 5
DEPTH = 2


def best_single_feature(
    table: NDArray[np.floating[Any]], labels: NDArray[np.int64], units: Sequence[str], seed: int
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Whether a tree of depth 2 on one column predicts each row's label, and the column chosen in the row's fold.

    In each of five folds the column (and its tree) that is most often right on the other folds is chosen, and judged
    on the fold. units: rows with one name stay in one fold. table [n, columns]; both results [n].
    """
    from sklearn.tree import DecisionTreeClassifier

    folds = _folds(units, seed)
    hits, chosen = np.zeros(len(labels), dtype=bool), np.zeros(len(labels), dtype=np.int64)
    for fold in np.unique(folds):
        inside, outside = folds == fold, folds != fold
        if not outside.any():
            raise ValueError("a single group cannot be split into folds")
        trees = [
            DecisionTreeClassifier(max_depth=DEPTH, random_state=0).fit(table[outside, at : at + 1], labels[outside])
            for at in range(table.shape[1])
        ]
        right = [tree.score(table[outside, at : at + 1], labels[outside]) for at, tree in enumerate(trees)]
        best = int(np.argmax(right))
        chosen[inside] = best
        hits[inside] = trees[best].predict(table[inside, best : best + 1]) == labels[inside]
    return hits, chosen


def _folds(units: Sequence[str], seed: int) -> NDArray[np.int64]:
    """The fold of each row: units in a seeded order, dealt out in turn."""
    names, places = np.unique(np.asarray(units), return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    found: NDArray[np.int64] = (np.argsort(order) % FOLDS)[places.ravel()]
    return found
