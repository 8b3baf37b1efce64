"""Intervals: from a measurement's sampling distribution to its interval and its p-value (rule 1)."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, isfinite, log

from auditor.evidence import (
    Counts,
    CountsPair,
    Distribution,
    Enclosure,
    Measurement,
    Moments,
    NoDistribution,
    Quantiles,
    Unit,
)
from auditor.judge.messages import say
from auditor.statistics import Interval, newcombe, quantile_interval, t_interval, wilson

SMALLEST = 1e-12

READS: dict[str, tuple[type, ...]] = {
    "wilson": (Counts,),
    "t": (Moments,),
    "newcombe": (CountsPair, Moments),
    "bootstrap": (Quantiles,),
    "moving_blocks": (Quantiles,),
    "enclosure": (Enclosure,),
    "none": (),
}
"""Which distributions each declared method reads; a difference of rates may be paired (moments)."""


@dataclass(frozen=True)
class Estimate:
    """One number as judge sees it: its interval at any confidence, and whether it may decide.

    sampled: drawn at random, so that its failures are corrected. obstacle: why it cannot decide (rule 4), or "".
    censored: the number is only known to be at least `value`.
    """

    value: float
    n: int
    unit: Unit
    at: Callable[[float], Interval]
    sampled: bool = True
    obstacle: str = ""
    censored: bool = False
    remark: str = ""


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
    while log(high / low) > 1e-6:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if excluded(at(1 - 2 * middle)) else (middle, high)
    return high


def flaw(measurement: Measurement) -> str:
    """Why a measurement is no evidence at all: a non-finite number, or a method that cannot read it; "" if sound."""
    metric = f"{measurement.name} ({measurement.of})" if measurement.of else measurement.name
    if not all(isfinite(x) for x in (measurement.value, *_numbers(measurement.distribution))):
        return say("not_finite", metric=metric)
    enclosure = measurement.distribution if isinstance(measurement.distribution, Enclosure) else None
    if enclosure is not None and enclosure.low > enclosure.high:
        return say("upside_down", metric=metric, low=enclosure.low, high=enclosure.high)
    if measurement.kind != "sampled":
        return ""
    if not isinstance(measurement.distribution, READS[measurement.method]):
        found = measurement.distribution.kind
        return say("malformed", metric=metric, method=measurement.method, found=found)
    try:
        _sampled(measurement, 0.95)
    except ValueError as problem:
        return f"{metric}: {problem}"
    return ""


def _numbers(distribution: Distribution) -> tuple[float, ...]:
    fields = (getattr(distribution, name) for name in type(distribution).model_fields if name != "kind")
    return tuple(x for field in fields for x in (field if isinstance(field, tuple) else (field,)))
