"""Intervals: from a measurement's sampling distribution to its interval and its p-value (rule 1)."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
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
from auditor.statistics import (
    Interval,
    binomial_tail,
    clopper_pearson,
    difference,
    newcombe,
    quantile_interval,
    t_interval,
    wilson,
)

SMALLEST, LARGEST = 1e-12, 0.45


@dataclass(frozen=True)
class Estimate:
    """One number as judge sees it: its interval at any confidence, and whether it may decide.

    sampled: drawn at random, so that its failures are corrected. obstacle: why it cannot decide (rule 4), or "".
    censored: the number is only known to be at least `value`. chance: where it is known, the probability of
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
    """The tail probability of a proportion, exact, or of a difference of two, from exact intervals; else None."""
    match measurement.distribution:
        case Counts(k=k, n=n):
            return lambda bound, side: binomial_tail(k, n, bound, side)
        case CountsPair():
            return partial(_chance_of_pair, measurement.distribution)
        case _:
            return None


def _chance_of_pair(pair: CountsPair, bound: float, side: int) -> float:
    """As p_value, with Clopper and Pearson's intervals in the place of Wilson's: never below the true chance in all
    pairs of sizes tried, where Newcombe's far tail is up to 7.5 times too light.
    """

    def at(confidence: float) -> Interval:
        first = clopper_pearson(pair.k1, pair.n1, confidence)
        second = clopper_pearson(pair.k2, pair.n2, confidence)
        return difference(pair.k1 / pair.n1, first, pair.k2 / pair.n2, second)

    def excluded(ends: Interval) -> bool:
        return ends[1] < bound if side > 0 else ends[0] > bound

    return p_value(excluded, at, LARGEST) if excluded(at(1 - 2 * LARGEST)) else 1.0


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
