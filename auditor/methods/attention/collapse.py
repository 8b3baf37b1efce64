"""Collapse: layers in which every head attends alike whatever the query."""

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from auditor.statistics import grouped, moments, t_interval

COLLAPSED, SURE, FEWEST = 0.05, 0.999, 30
"""Query dependence below which a head has collapsed; how sure the interval of each head is; units for an interval."""


def collapsed_layers(dependence: Sequence[NDArray[Any]], groups: Sequence[str] = ()) -> tuple[int, int, int]:
    """How many layers have collapsed: by the means, surely, and possibly.

    dependence: one array [n, heads] a layer, the query dependence of each example. A layer has collapsed if the mean
    of each of its heads is below .05; surely if the upper end of each head's 99.9% interval is, possibly if the lower
    end is; with fewer than 30 units nothing is sure and all is possible. groups: the unit that was drawn, if not the
    example. Healthy models have single heads below, so heads are not judged.
    """
    found = surely = possibly = 0
    for layer in dependence:
        ends = [_ends(head.tolist(), groups) for head in layer.T]
        found += bool((layer.mean(axis=0) < COLLAPSED).all())
        surely += all(high < COLLAPSED for _, high in ends)
        possibly += all(low < COLLAPSED for low, _ in ends)
    return found, surely, possibly


def _ends(values: list[float], groups: Sequence[str]) -> tuple[float, float]:
    mean, sd, n = grouped(values, groups) if groups else moments(values)
    return t_interval(mean, sd, n, SURE) if n >= FEWEST else (0.0, 1.0)
