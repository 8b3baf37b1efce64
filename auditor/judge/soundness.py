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
    "wilson": (Counts, Quantiles),
    "t": (Moments,),
    "newcombe": (CountsPair, Moments),
    "bootstrap": (Quantiles,),
    "moving_blocks": (Quantiles,),
    "chi2": (Quantiles,),
    "enclosure": (Enclosure,),
    "none": (),
}
"""Which distributions each declared method reads; a difference of rates may be paired (moments), and a rate may be held
against one that is known, its ends moved by it (quantiles)."""

ROUNDING = 1e-6
"""How far a number may lie from what its distribution says, relative to the larger of itself and 1."""


def flaws(evidence: Evidence) -> tuple[str, ...]:
    """What is wrong with the numbers of an evidence, one sentence each; empty if it is sound."""
    found = [flaw(measurement) for measurement in evidence.measurements]
    names = [(measurement.name, measurement.of) for measurement in evidence.measurements]
    twice = [say("twice", metric=_named(*name)) for name in dict.fromkeys(names) if names.count(name) > 1]
    columns = [say("not_finite", metric=name) for name, column in evidence.samples.items() if not _finite(column)]
    return tuple(problem for problem in (*found, *twice, *columns) if problem)


def flaw(measurement: Measurement) -> str:
    """Why a measurement is no evidence: a non-finite number, or a distribution that its method cannot read; or ""."""
    metric = _named(measurement.name, measurement.of)
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
    if low > high:
        return say("upside_down", metric=metric, low=low, high=high)
    ends = _estimate(measurement.distribution)
    room = ROUNDING * max(1.0, abs(measurement.value))
    if ends is None or ends[0] - room <= measurement.value <= ends[1] + room:
        return ""
    return say("contradicted", metric=metric, value=measurement.value)


def _estimate(distribution: Distribution) -> tuple[float, float] | None:
    """Between what the number itself must lie, as its distribution has it; None where the distribution cannot say."""
    match distribution:
        case Counts(k=k, n=n):
            return k / n, k / n
        case CountsPair(k1=k1, n1=n1, k2=k2, n2=n2):
            return k1 / n1 - k2 / n2, k1 / n1 - k2 / n2
        case Moments(mean=mean):
            return mean, mean
        case Enclosure(low=low, high=high):
            return low, high
        case _:
            return None


def _named(name: str, of: str) -> str:
    return f"{name} ({of})" if of else name


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
