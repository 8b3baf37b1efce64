"""Soundness: a number that is not finite, or that its method cannot read, is no evidence (rule 4)."""

from math import isfinite

from auditor.evidence import (
    Counts,
    CountsPair,
    Distribution,
    Enclosure,
    Evidence,
    Measurement,
    Moments,
    NoDistribution,
    Quantiles,
)
from auditor.judge.intervals import interval
from auditor.judge.messages import say

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


def flaws(evidence: Evidence) -> tuple[str, ...]:
    """What is wrong with the numbers of an evidence, one sentence each; empty if it is sound."""
    found = [flaw(measurement) for measurement in evidence.measurements]
    columns = [say("not_finite", metric=name) for name, column in evidence.samples.items() if not _finite(column)]
    return tuple(problem for problem in (*found, *columns) if problem)


def flaw(measurement: Measurement) -> str:
    """Why a measurement is no evidence: a non-finite number, or a distribution that its method cannot read; or ""."""
    metric = f"{measurement.name} ({measurement.of})" if measurement.of else measurement.name
    if not _finite((measurement.value, *_numbers(measurement.distribution))):
        return say("not_finite", metric=metric)
    if measurement.kind == "sampled" and not isinstance(measurement.distribution, READS[measurement.method]):
        found = measurement.distribution.kind
        return say("malformed", metric=metric, method=measurement.method, found=found)
    return _broken(measurement, metric)


def _broken(measurement: Measurement, metric: str) -> str:
    try:
        low, high = interval(measurement, 0.95)
    except ValueError as problem:
        return f"{metric}: {problem}"
    return "" if low <= high else say("upside_down", metric=metric, low=low, high=high)


def _numbers(distribution: Distribution) -> tuple[float, ...]:
    match distribution:
        case Counts(k=k, n=n):
            return (k, n)
        case CountsPair(k1=k1, n1=n1, k2=k2, n2=n2):
            return (k1, n1, k2, n2)
        case Moments(mean=mean, sd=sd, n=n):
            return (mean, sd, n)
        case Quantiles(values=values):
            return values
        case Enclosure(low=low, high=high):
            return (low, high)
        case NoDistribution():
            return ()


def _finite(numbers: tuple[float, ...]) -> bool:
    return all(isfinite(x) for x in numbers)
