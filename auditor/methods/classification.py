"""Scores of a classifier on any rows of its predictions, fast enough to be resampled thousands of times."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]


def log_softmax(logits: Floats) -> NDArray[np.float64]:
    """log softmax over the last axis in float64: z - max(z) - log sum exp(z - max(z)). Shape as `logits`."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    found: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return found


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
        order = np.argsort(scores, axis=1, kind="stable")
        lines = [(np.sort(line), line) for line in scores]
        first = np.stack([np.searchsorted(ordered, line, side="left") for ordered, line in lines])
        last = np.stack([np.searchsorted(ordered, line, side="right") for ordered, line in lines])
        return cls(order, first, last, inside)
