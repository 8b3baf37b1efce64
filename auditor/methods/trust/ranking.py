"""Ranking: the best of several methods, chosen on half of the examples and tested on the other half."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.statistics import grouped, halves, moments, t_interval

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Lead:
    """How far the chosen method is ahead of another on the examples that did not choose it, with its interval."""

    other: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Choice:
    """The method that is best on one half; its leads, and its own gain, on the other half."""

    chosen: int
    n: int
    leads: tuple[Lead, ...]
    own: Lead

    @property
    def clear(self) -> bool:
        """Whether it beats every other method, and its own null, with an interval that excludes zero."""
        return all(each.low > 0 for each in (*self.leads, self.own))


def choice(gains: Floats, groups: Sequence[str], seed: int, confidence: float = 0.95) -> Choice | None:
    """The best of m methods by gains [m, n]; None where the halves are too small to tell (fewer than 2 units each).

    Intervals are those of paired differences, corrected by Bonferroni for the m - 1 comparisons.
    """
    units = list(groups) if groups else list(range(gains.shape[1]))
    if len(set(units)) < 4:
        return None
    first, second = halves(units, seed)
    chosen = int(gains[:, first].mean(axis=1).argmax())
    level = 1 - (1 - confidence) / max(1, len(gains) - 1)
    inside = [groups[row] for row in second] if groups else []
    differences = {
        other: gains[chosen, second] - gains[other, second] for other in range(len(gains)) if other != chosen
    }
    leads = tuple(_lead(other, values, inside, level) for other, values in differences.items())
    return Choice(chosen, len(second), leads, _lead(chosen, gains[chosen, second], inside, level))


def _lead(other: int, values: Floats, groups: Sequence[str], level: float) -> Lead:
    mean, sd, n = grouped(values, groups) if groups else moments(values)
    return Lead(other, mean, *t_interval(mean, sd, n, level))
