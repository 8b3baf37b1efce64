"""What a classifier can promise: split conformal sets, refusing below a confidence, and telling strangers apart."""

from collections.abc import Sequence
from math import ceil, inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.methods.calibration import blocks
from auditor.methods.classification import Scores, log_softmax
from auditor.statistics import cluster_bootstrap, stratified_bootstrap

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]
Doubles = NDArray[np.float64]


def nonconformity(logits: Floats, labels: Ints) -> Doubles:
    """1 - p of the label, for each row of logits [n, classes]: the LAC score of Sadinle, Lei and Wasserman (2019)."""
    found = np.empty(len(labels))
    for rows in blocks(logits):
        p = log_softmax(logits[rows])
        found[rows] = -np.expm1(np.take_along_axis(p, labels[rows, None].astype(np.int64), axis=1)[:, 0])
    return found


def conformal_quantile(scores: Doubles, level: float) -> float:
    """The ceil((n + 1) level)-th smallest score; infinite if there are too few scores for that level.

    A new, exchangeable score is at most this with probability at least `level`, and below level + 1 / (n + 1) without
    ties, whatever the model. Vovk, Gammerman and Shafer, Algorithmic learning in a random world (2005).

    >>> conformal_quantile(np.arange(1.0, 10.0), 0.9), conformal_quantile(np.arange(1.0, 9.0), 0.9)
    (9.0, inf)
    """
    rank = ceil((len(scores) + 1) * level - 1e-9)
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else inf


def set_sizes(logits: Floats, quantile: float) -> NDArray[np.int64]:
    """How many classes each row's set holds: those with 1 - p at most `quantile` (perhaps none)."""
    found = np.empty(len(logits), dtype=np.int64)
    for rows in blocks(logits):
        found[rows] = (-np.expm1(log_softmax(logits[rows])) <= quantile).sum(axis=1)
    return found


def certainty(logits: Floats) -> Doubles:
    """log(p / (1 - p)) of the largest probability p of each row.

    It orders rows as p does (Hendrycks and Gimpel, ICLR 2017), also where p itself is rounded to 1.
    """
    found = np.empty(len(logits))
    for rows in blocks(logits):
        z = logits[rows].astype(np.float64)
        best = z.argmax(axis=1)[:, None]
        top = np.take_along_axis(z, best, axis=1)
        z -= top
        np.put_along_axis(z, best, -inf, axis=1)
        second = z.max(axis=1, keepdims=True)
        found[rows] = -(second[:, 0] + np.log(np.exp(z - second).sum(axis=1)))
    return found


def accepting(certain: Doubles, share: float) -> float:
    """The certainty at or above which the surest `share` of the rows lie.

    >>> accepting(np.array([1.0, 4.0, 3.0, 2.0]), 0.5)
    3.0
    """
    kept = max(1, ceil(len(certain) * share - 1e-9))
    return float(np.sort(certain)[-kept])


def risk_coverage(certain: Doubles, hit: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows accepted and errors among them, at each certainty that occurs, the highest first.

    Geifman and El-Yaniv, Selective classification for deep neural networks, NeurIPS 2017.
    """
    order = np.argsort(-certain, kind="stable")
    errors = np.cumsum(~hit[order], dtype=np.int64)
    last: NDArray[np.int64] = np.flatnonzero(np.append(np.diff(certain[order]) != 0, True))
    return last + 1, errors[last]


def told_apart(
    inside: Doubles, outside: Doubles, groups: Sequence[str], other_groups: Sequence[str], seed: int
) -> tuple[float, tuple[float, ...], int]:
    """P(inside is surer than outside), ties counting half; its bootstrap distribution; units on the smaller side.

    Rows are drawn anew on each side; where one side has groups, whole groups are drawn.
    """
    _, place = np.unique(np.concatenate([inside, outside]), return_inverse=True)
    rank = place.ravel() / len(place)  # ranks as logits: no rounding makes two certainties equal
    sides = np.repeat(np.array([0, 1]), [len(inside), len(outside)])
    scores = Scores(np.stack([rank, -rank], axis=1), sides)
    estimate, value = scores.auroc_to_first_order if scores.large else scores.auroc, scores.auroc(scores.rows)
    if not (groups or other_groups):
        return value, stratified_bootstrap(estimate, sides, seed), min(len(inside), len(outside))
    units = [groups or [str(row) for row in range(len(inside))], other_groups or [str(r) for r in range(len(outside))]]
    named = [f"{side}:{unit}" for side in (0, 1) for unit in units[side]]
    return value, cluster_bootstrap(estimate, named, seed), min(len(set(unit)) for unit in units)
