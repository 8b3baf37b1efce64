"""Transferability: how well frozen features of a model suit the labels of a task, before anything is trained."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from auditor.methods.data.labels import out_of_fold, standardized

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

NEIGHBOURS = 5
_ROUNDS, _TOLERANCE = 10_000, 1e-8


def neighbours_right(features: Floats, labels: Ints, groups: Sequence[str] = (), k: int = NEIGHBOURS) -> Bools:
    """[n] whether the k nearest other rows vote for a row's label: by cosine of standardized features.

    Ties of the vote go to the class whose nearest voter is nearest. Rows of the row's own group do not vote. A row
    without any voter is wrong.
    """
    table = standardized(features)
    length = np.linalg.norm(table, axis=1, keepdims=True)
    table = table / np.where(length > 0, length, 1.0)
    names, index = np.unique(labels, return_inverse=True)
    units = np.unique(np.asarray(groups), return_inverse=True)[1] if groups else np.arange(len(labels))
    found = np.zeros(len(labels), dtype=np.bool_)
    for row in range(len(labels)):
        nearness = np.where(units == units[row], -np.inf, table @ table[row])
        near = np.argsort(-nearness, kind="stable")[:k]
        near = near[np.isfinite(nearness[near])]
        votes = np.bincount(index[near], minlength=len(names))
        first = next((vote for vote in index[near] if votes[vote] == votes.max()), -1)
        found[row] = first == index[row]
    return found


def probe_right(features: Floats, labels: Ints, groups: Sequence[str], seed: int) -> Bools:
    """[n] whether a logistic regression that never saw a row (five folds, whole groups held out) gives its label."""
    names = np.unique(labels)
    return np.asarray(names[out_of_fold(features, labels, groups, seed).argmax(axis=1)] == labels)


def logme(features: Floats, labels: Ints) -> float:
    """LogME: the largest log evidence per example of a Bayesian linear regression from the features to the labels.

    For each class the 0/1 labels y ~ N(F w, 1/b), w ~ N(0, I/a): the mean over the classes of
    max over a, b of log p(y | F, a, b) / n, by the fixed-point iteration of You et al., LogME: Practical Assessment of
    Pre-trained Models for Transfer Learning, ICML 2021. Features as they are, [n, d]; nats; higher is better.
    """
    n = len(labels)
    left, singular, _ = np.linalg.svd(features, full_matrices=False)
    squares = np.square(singular)
    found = []
    for name in np.unique(labels):
        y = (labels == name).astype(np.float64)
        projected = np.square(left.T @ y)
        found.append(_evidence(squares, projected, float(y @ y), n, features.shape[1]) / n)
    return float(np.mean(found))


def _evidence(squares: Floats, projected: Floats, total: float, n: int, d: int) -> float:
    """The log evidence at its fixed point. squares: of the singular values; projected: of y on the left vectors."""
    a = b = 1.0
    outside = max(total - float(projected.sum()), 0.0)  # what no direction of the features can say
    for _ in range(_ROUNDS):
        shrink = a + b * squares
        size = float((b**2 * squares * projected / shrink**2).sum())
        residual = outside + float((projected * (a / shrink) ** 2).sum())
        gamma = float((b * squares / shrink).sum())
        new_a = gamma / max(size, 1e-12) if gamma > 0 else a  # features that are all 0 say the same whatever a is
        new_b = (n - gamma) / max(residual, 1e-12)
        done = abs(new_a / new_b - a / b) <= _TOLERANCE * a / b
        a, b = new_a, new_b
        if done:
            break
    shrink = a + b * squares
    size = float((b**2 * squares * projected / shrink**2).sum())
    residual = outside + float((projected * (a / shrink) ** 2).sum())
    log_det = float(np.log(shrink).sum()) + max(0, d - len(squares)) * np.log(a)
    rest = n * np.log(b) + d * np.log(a) - n * np.log(2 * np.pi)
    return float(0.5 * (rest - b * residual - a * size - log_det))


def h_score(features: Floats, labels: Ints) -> float:
    """H-score: tr(cov(f)^-1 cov(E[f | y])), with Ledoit and Wolf's shrunk covariance; 0 says nothing of the labels.

    The covariance of the class means is shrunk by the same share. Bao et al., An Information-Theoretic Approach to
    Transferability in Task Transfer Learning, ICIP 2019; with shrinkage: Ibrahim, Ponomareva & Mazumder (2021).
    """
    from sklearn.covariance import ledoit_wolf

    centred = features - features.mean(axis=0)
    covariance, share = ledoit_wolf(centred, assume_centered=True)
    means = np.zeros_like(centred)
    for name in np.unique(labels):
        rows = labels == name
        means[rows] = centred[rows].mean(axis=0)
    between = means.T @ means / len(labels)
    return float((1 - share) * np.trace(np.linalg.pinv(covariance, hermitian=True) @ between))
