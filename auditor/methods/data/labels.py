"""Doubtful labels: what a probe that never saw a label confidently says instead (confident learning)."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

FOLDS, COMPONENTS, PER_CLASS = 5, 64, 20

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def large_enough(labels: Ints) -> Ints:
    """Rows whose class has at least 20 examples: with fewer a probe's doubt says nothing."""
    names, counts = np.unique(labels, return_counts=True)
    return np.flatnonzero(np.isin(labels, names[counts >= PER_CLASS]))


def copies(rows: Floats) -> list[int]:
    """Of each row the place of the first that is equal to it.

    >>> copies(np.array([[1.0, 2.0], [0.0, 2.0], [1.0, 2.0]]))
    [0, 1, 0]
    """
    first: dict[bytes, int] = {}
    return [first.setdefault(row.tobytes(), place) for place, row in enumerate(np.ascontiguousarray(rows))]


def together(same: Sequence[int], groups: Sequence[str]) -> tuple[str, ...]:
    """The unit of each row: its group (a row without one stands alone), joined with those that hold copies of its rows.

    same: as from copies. Empty where every row is a unit of its own.

    >>> together([0, 1, 0, 3], ()), together([0, 1, 0, 3], ("a", "b", "b", "")), together([0, 1], ("a", "b"))
    (('0', '1', '0', '2'), ('0', '0', '0', '1'), ())
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    first: dict[str, int] = {}
    own = [first.setdefault(group, place) if group else place for place, group in enumerate(groups)]
    ends = np.array([*same, *own], dtype=np.int64)
    starts = np.arange(len(ends)) % max(1, len(same))
    links = coo_matrix((np.ones(len(ends)), (starts, ends)), shape=(len(same), len(same)))
    count, parts = connected_components(links, directed=False)
    return () if count == len(same) else tuple(map(str, parts.tolist()))


def folds(labels: Ints, groups: Sequence[str], seed: int) -> list[tuple[Ints, Ints]]:
    """Five times (rows to fit, rows held out), the shares of the labels kept; whole groups are held out together."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    if not groups or len(set(groups)) < FOLDS:
        found = StratifiedKFold(FOLDS, shuffle=True, random_state=seed % 2**32).split(labels, labels)
    else:
        grouped = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed % 2**32)
        found = grouped.split(labels, labels, np.unique(np.asarray(groups), return_inverse=True)[1])
    return [(fit, held) for fit, held in found if len(held) and len(np.unique(labels[fit])) > 1]


def standardized(features: Floats) -> Floats:
    """Columns of mean 0 and standard deviation 1; those without spread become 0."""
    spread = features.std(axis=0)
    found: Floats = (features - features.mean(axis=0)) / np.where(spread > 1e-12, spread, np.inf)
    return found


def reduced(features: Floats, seed: int) -> Floats:
    """Standardized columns, or where there are more than 64 their first 64 principal components, of comparable size."""
    standard = standardized(features)
    if standard.shape[1] <= COMPONENTS:
        return standard
    from sklearn.decomposition import PCA

    count = min(COMPONENTS, len(features) - 1)
    found: Floats = PCA(count, svd_solver="randomized", random_state=seed % 2**32).fit_transform(standard)
    found /= found.std(axis=0)[0]
    return found


def out_of_fold(features: Floats, labels: Ints, groups: Sequence[str], seed: int) -> Floats:
    """p(class | features) of each row by a logistic regression fitted on the other folds: [n, classes that occur].

    features [n, d]; labels [n]. Rows that no fold holds out (too few groups) keep the shares of the classes.
    """
    return held_out(reduced(features, seed), labels, groups, seed)


def held_out(table: Floats, labels: Ints, groups: Sequence[str], seed: int) -> Floats:
    """out_of_fold of columns that are reduced already."""
    names, index = np.unique(labels, return_inverse=True)
    found = np.tile(np.bincount(index) / len(index), (len(labels), 1))
    for fit, held in folds(index.astype(np.int64), groups, seed):
        model = fitted(table[fit], index[fit].astype(np.int64))
        row = np.zeros((len(held), len(names)))
        row[:, model.classes_] = model.predict_proba(table[held])
        found[held] = row
    return found


def judged(shares: Floats, labels: Ints, rows: Ints) -> tuple[Ints, Ints, NDArray[np.bool_]]:
    """Of the rows that a probe could give right: their places, the class it gives, and whether it doubts the label.

    Where all rows of a class are held out together it never heard of that class: such rows are left out; all are where
    fewer than two classes remain. shares: of these rows, as from held_out. labels: of all rows.
    """
    asked = labels[rows]
    names, index = np.unique(asked, return_inverse=True)
    known = shares[np.arange(len(index)), index] > 0
    left, own = rows[known], np.isin(names, asked[known])
    if own.sum() < 2:
        return left[:0], left[:0], np.zeros(0, bool)
    return left, names[shares[known].argmax(axis=1)], confident_disagreement(shares[known][:, own], labels[left])


def confident_disagreement(shares: Floats, labels: Ints) -> NDArray[np.bool_]:
    """Which rows are confidently given another class than their label.

    shares [n, classes that occur], out of fold. A class is a candidate of a row where its share is at least the mean
    share of that class among the rows labelled so; the row disagrees when its likeliest candidate is not its label.
    Northcutt, Jiang and Chuang, Confident learning, Journal of Artificial Intelligence Research 70 (2021).

    >>> shares = np.array([[.9, .1], [.8, .2], [.1, .9], [.95, .05]])
    >>> confident_disagreement(shares, np.array([0, 0, 1, 1])).tolist()
    [False, False, False, True]
    """
    names, index = np.unique(labels, return_inverse=True)
    threshold = np.array([shares[index == column, column].mean() for column in range(len(names))])
    candidate = np.where(shares >= threshold, shares, -1.0)
    guess = candidate.argmax(axis=1)
    found: NDArray[np.bool_] = (candidate.max(axis=1) >= 0) & (guess != index)
    return found


def fitted(table: Floats, labels: Ints) -> Any:
    """A logistic regression of standardized features, lightly held back."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a probe that is nearly fitted is good enough
        return LogisticRegression(C=0.1, max_iter=300).fit(table, labels)
