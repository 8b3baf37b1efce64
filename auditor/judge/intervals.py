"""Intervals: from a measurement's sampling distribution to its interval and its p-value (rule 1)."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, log

from auditor.evidence import (
    Counts,
    CountsPair,
    Enclosure,
    Measurement,
    Moments,
    NoDistribution,
    Quantiles,
    Unit,
)
from auditor.statistics import Interval, binomial_tail, newcombe, quantile_interval, t_interval, wilson

SMALLEST = 1e-12


@dataclass(frozen=True)
class Estimate:
    """One number as judge sees it: its interval at any confidence, and whether it may decide.

    sampled: drawn at random, so that its failures are corrected. obstacle: why it cannot decide (rule 4), or "".
    censored: the number is only known to be at least `value`. chance: where it is known, the exact probability of
    a number as low (side 1) or as high (side -1) if the truth were at the bound.
    """

    value: float
    n: int
    unit: Unit
    at: Callable[[float], Interval]
    sampled: bool = True
    obstacle: str = ""
    censored: bool = False
    remark: str = ""
    chance: Callable[[float, int], float] | None = None


def interval(measurement: Measurement, confidence: float) -> Interval:
    """The two-sided interval by the measurement's own distribution.

    An exact fact is its own interval, a number measured once has none (-inf, inf), a censored one no upper end.
    """
    match measurement.kind:
        case "unreplicated":
            return -inf, inf
        case "exact" if not isinstance(measurement.distribution, Enclosure):
            low, high = measurement.value, measurement.value
        case _:
            low, high = _sampled(measurement, confidence)
    return (low, inf) if measurement.censored else (low, high)


def _sampled(measurement: Measurement, confidence: float) -> Interval:
    match measurement.distribution:
        case Counts(k=k, n=n):
            return wilson(k, n, confidence)
        case CountsPair(k1=k1, n1=n1, k2=k2, n2=n2):
            return newcombe(k1, n1, k2, n2, confidence)
        case Moments(mean=mean, sd=sd, n=n):
            return t_interval(mean, sd, n, confidence)
        case Quantiles(values=values):
            return quantile_interval(values, confidence)
        case Enclosure(low=low, high=high):
            return low, high
        case NoDistribution():
            raise ValueError(f"{measurement.name}: a sampled measurement needs its sampling distribution")


def chance(measurement: Measurement) -> Callable[[float, int], float] | None:
    """The exact tail probability of a proportion; None for what has none."""
    counts = measurement.distribution
    if not isinstance(counts, Counts):
        return None
    return lambda bound, side: binomial_tail(counts.k, counts.n, bound, side)


def is_sampled(measurement: Measurement) -> bool:
    """Whether chance decides its interval: neither an exact fact, nor measured once, nor a rigorous enclosure."""
    return measurement.kind == "sampled" and not isinstance(measurement.distribution, Enclosure)


def p_value(excluded: Callable[[Interval], bool], at: Callable[[float], Interval], tail: float) -> float:
    """The smallest one-sided level at which the interval still excludes the bound; it does at `tail`.

    The p-value that belongs to the interval, whatever its method: found by bisection of the level's logarithm
    between 1e-12 and `tail`, rounded up.
    """
    low, high = SMALLEST, tail
    if excluded(at(1 - 2 * low)):
        return low
    while log(high / low) > 1e-9:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if excluded(at(1 - 2 * middle)) else (middle, high)
    return high
