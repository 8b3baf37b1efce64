"""Shift between two samples: how well a classifier that never saw an example can tell where it comes from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auditor.methods.data.labels import FOLDS, fitted, folds, standardized
from auditor.statistics import grouped, moments

Floats = NDArray[np.float64]

SHARED = (1 + FOLDS / (FOLDS - 1)) ** 0.5


@dataclass(frozen=True)
class Auroc:
    """The chance that a row of the second sample scores above one of the first (ties half), and its standard error."""

    value: float
    error: float
    n: int


def two_sample(first: Floats, second: Floats, groups: tuple[Sequence[str], Sequence[str]], seed: int) -> Auroc:
    """The classifier two-sample test, held out: .5 where nothing tells the samples apart, 1 where everything does.

    first [m, d], second [n, d]: features. A logistic regression is fitted on four folds and scores the fifth; the
    AUROC is the mean over folds, so no score is compared across fits. Lopez-Paz and Oquab, ICLR 2017. The folds share
    what they were fitted on, so the variance is that of independent tests times 1 + k / (k - 1) of k folds: Nadeau and
    Bengio, Inference for the generalization error, Machine Learning 52 (2003).
    """
    table = standardized(np.concatenate([first, second]))
    side = np.repeat([0, 1], [len(first), len(second)]).astype(np.int64)
    together = (*groups[0], *groups[1]) if groups[0] and groups[1] else ()
    place = np.full(len(side), np.nan)
    for fit, held in folds(side, together, seed):
        weight = np.bincount(side[fit], minlength=2)
        score = fitted(table[fit], side[fit]).decision_function(table[held]) if weight.min() else np.zeros(len(held))
        one = side[held] == 1
        if one.any() and not one.all():
            place[held[one]], place[held[~one]] = placements(score[~one], score[one])
    seen = np.isfinite(place)
    inside = [_part(values, seen[side == half]) for half, values in enumerate(groups)]
    found = _delong(place[seen & (side == 0)], place[seen & (side == 1)], inside[0], inside[1])
    return replace(found, error=found.error * SHARED)


def of_feature(first: Floats, second: Floats, groups: tuple[Sequence[str], Sequence[str]]) -> Auroc:
    """The AUROC of one column: first [m], second [n]."""
    above, below = placements(first, second)
    return _delong(below, above, *groups)


def placements(first: Floats, second: Floats) -> tuple[Floats, Floats]:
    """For each of the second its share of the first below it, for each of the first its share of the second above it.

    >>> [each.tolist() for each in placements(np.array([0.0, 1.0]), np.array([0.5, 1.0]))]
    [[0.5, 0.75], [1.0, 0.75]]
    """
    low, high = np.sort(first), np.sort(second)
    of_second = (np.searchsorted(low, second, "left") + np.searchsorted(low, second, "right")) / (2 * len(first))
    of_first = 1 - (np.searchsorted(high, first, "left") + np.searchsorted(high, first, "right")) / (2 * len(second))
    return of_second, of_first


def _delong(first: Floats, second: Floats, first_groups: Sequence[str], second_groups: Sequence[str]) -> Auroc:
    """DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988); with groups their means are the units."""
    parts = [_spread(first, first_groups), _spread(second, second_groups)]
    error = float(np.sqrt(sum(sd**2 / n for _, sd, n in parts)))
    return Auroc(parts[1][0], error, min(n for _, _, n in parts))


def _spread(values: Floats, groups: Sequence[str]) -> tuple[float, float, int]:
    return grouped(values, groups) if groups else moments(values)


def _part(groups: Sequence[str], kept: NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple(group for group, wanted in zip(groups, kept, strict=True) if wanted) if groups else ()
