"""Scores of a classifier on any rows of its predictions, fast enough to be resampled thousands of times."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]

EXACT = 200_000
BLOCK = 2**20
"""Logits taken at once, so that many rows of many classes need little memory."""


def log_softmax(logits: Floats) -> NDArray[np.float64]:
    """log softmax over the last axis in float64: z - max(z) - log sum exp(z - max(z)). Shape as `logits`."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    found: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return found


def log_softmax_at(logits: Floats, columns: Ints) -> NDArray[np.float64]:
    """log softmax at one column of each row [n]: the numbers of log_softmax, in little memory.

    >>> bool((log_softmax_at(np.eye(2), np.array([1, 1])) == log_softmax(np.eye(2))[:, 1]).all())
    True
    """
    most, rest = normalizers(logits)
    return np.take_along_axis(logits, columns[:, None].astype(np.int64), axis=1)[:, 0] - most - rest


def normalizers(logits: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """max(z) and log sum exp(z - max(z)) of each row [n]; log softmax is z minus the one, then minus the other."""
    most, rest = logits.max(axis=1).astype(np.float64), np.empty(len(logits))
    size = max(1, BLOCK // max(1, logits.shape[1]))
    for start in range(0, len(logits), size):
        part = slice(start, start + size)
        rest[part] = np.log(np.exp(logits[part].astype(np.float64) - most[part, None]).sum(axis=1))
    return most, rest


def ranks_of_label(logits: Floats, labels: Ints) -> NDArray[np.int64]:
    """How many classes score above the label's class, for each row (0: the label wins); ties count against it."""
    own = np.take_along_axis(logits, labels[:, None].astype(np.int64), axis=1)
    found: NDArray[np.int64] = (logits >= own).sum(axis=1) - 1
    return found


@dataclass(frozen=True)
class Scores:
    """Labels [n] and logits [n, classes] of one model; each method scores the rows it is given (repeats allowed)."""

    logits: Floats
    labels: Ints

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """The class of the largest logit."""
        found: NDArray[np.int64] = self.logits.argmax(axis=1)
        return found

    @property
    def rows(self) -> NDArray[np.int64]:
        """All rows."""
        return np.arange(len(self.labels))

    @property
    def large(self) -> bool:
        """Whether auroc is too slow to be resampled thousands of times."""
        return len(self.labels) * len(np.unique(self.labels)) > EXACT

    @property
    def estimates(self) -> "dict[str, Callable[[Ints], float]]":
        """The scores that have no interval of their own, by name; auroc as fast as it needs to be."""
        area = self.auroc_to_first_order if self.large else self.auroc
        return {"balanced_accuracy": self.balanced_accuracy, "macro_f1": self.macro_f1, "mcc": self.mcc, "auroc": area}

    def balanced_accuracy(self, rows: Ints) -> float:
        """The mean of the recalls of the classes among the labels: mean_c TP_c / P_c."""
        hits, actual, _ = self._counts(rows)
        present = actual > 0
        return float((hits[present] / actual[present]).mean())

    def macro_f1(self, rows: Ints) -> float:
        """The mean of 2 TP_c / (P_c + Q_c), Q_c how often c is predicted, over the classes labelled or predicted."""
        hits, actual, predicted = self._counts(rows)
        total = actual + predicted
        return float((2 * hits[total > 0] / total[total > 0]).mean())

    def mcc(self, rows: Ints) -> float:
        """Matthews' correlation for several classes; 0 if all labels or all predictions are one class.

        (c s - sum_k P_k Q_k) / sqrt((s^2 - sum_k Q_k^2)(s^2 - sum_k P_k^2)), c hits of s rows. Gorodkin (2004).
        """
        hits, actual, predicted = (column.astype(np.float64) for column in self._counts(rows))
        s = float(len(rows))
        spread = (s * s - predicted @ predicted) * (s * s - actual @ actual)
        return float((hits.sum() * s - actual @ predicted) / np.sqrt(spread)) if spread > 0 else 0.0

    def never_predicted(self, least: int) -> int:
        """How many classes with at least `least` examples are no row's prediction."""
        _, actual, predicted = self._counts(self.rows)
        return int(((actual >= least) & (predicted == 0)).sum())

    def auroc(self, rows: Ints) -> float:
        """The mean over classes c of P(p_c of an example of c > p_c of another), ties counting half; NaN if undefined.

        One against the rest over softmax probabilities, over the classes with rows both inside and outside.
        """
        ranking = self._ranking
        weight = np.bincount(rows, minlength=len(self.labels)).astype(np.float64)
        own = weight * ranking.inside
        below = np.zeros((len(own), len(weight) + 1))
        np.cumsum(np.take_along_axis(weight - own, ranking.order, axis=1), axis=1, out=below[:, 1:])
        beaten = np.take_along_axis(below, ranking.first, axis=1) + np.take_along_axis(below, ranking.last, axis=1)
        pairs = own.sum(axis=1) * (weight.sum() - own.sum(axis=1))
        defined = pairs > 0
        if not defined.any():
            return float("nan")
        return float(((own * beaten / 2).sum(axis=1)[defined] / pairs[defined]).mean())

    def auroc_to_first_order(self, rows: Ints) -> float:
        """auroc linearized in how often each row is drawn (the delta method): auroc(all) + sum_rows influence.

        The influence of row i on class c is (V_i - AUC_c) / m, V_i the share of the other side that it is ranked
        rightly against, m the size of its own side. For many classes and rows, where auroc itself is too slow to be
        resampled. DeLong, DeLong and Clarke-Pearson (1988).
        """
        whole, influence = self._influence
        return whole + float(influence[rows].sum())

    @cached_property
    def _influence(self) -> tuple[float, NDArray[np.float64]]:
        total, n = np.zeros(len(self.labels)), len(self.labels)
        most, rest = normalizers(self.logits)
        areas = []
        for column in np.unique(self.labels).tolist():  # one class at a time: all at once may not fit in memory
            inside = self.labels == column
            own = int(inside.sum())
            if own == n:
                continue
            order, first, last = (line[0] for line in _placed((self.logits[:, column] - most - rest)[None]))
            below = np.concatenate([[0], np.cumsum(inside[order])])
            mine = (below[first] + below[last]) / 2
            others = (first + last) / 2 - mine
            right = np.where(inside, others / (n - own), 1 - mine / own)
            areas.append(float(right[inside].mean()))
            total += (right - areas[-1]) / np.where(inside, own, n - own)
        return (float(np.mean(areas)), total / len(areas)) if areas else (float("nan"), total)

    def _counts(self, rows: Ints) -> tuple[Ints, Ints, Ints]:
        """Hits, labels and predictions by class."""
        labels, predicted, size = self.labels[rows], self.predicted[rows], self.logits.shape[1]
        hits = np.bincount(labels[labels == predicted], minlength=size)
        return hits, np.bincount(labels, minlength=size), np.bincount(predicted, minlength=size)

    @cached_property
    def _ranking(self) -> "_Ranking":
        classes = np.unique(self.labels)
        return _Ranking.of(log_softmax(self.logits)[:, classes].T, classes[:, None] == self.labels[None])


@dataclass(frozen=True)
class _Ranking:
    """For each class [k, n]: rows by ascending score, each row's tie group as positions [first, last), membership."""

    order: Ints
    first: Ints
    last: Ints
    inside: NDArray[np.bool_]

    @classmethod
    def of(cls, scores: NDArray[np.float64], inside: NDArray[np.bool_]) -> "_Ranking":
        return cls(*_placed(scores), inside)


def _placed(scores: NDArray[np.float64]) -> tuple[Ints, Ints, Ints]:
    """Rows by ascending score, and where each row's tie group begins and ends, line by line of scores [k, n]."""
    order = np.argsort(scores, axis=1, kind="stable")
    lines = [(np.sort(line), line) for line in scores]
    first = np.stack([np.searchsorted(ordered, line, side="left") for ordered, line in lines])
    last = np.stack([np.searchsorted(ordered, line, side="right") for ordered, line in lines])
    return order, first, last
