"""Minimum: what is too little to decide anything (rule 4)."""

from math import isfinite

from auditor.evidence import Counts, CountsPair, Distribution, Enclosure, Measurement, Moments, Quantiles
from auditor.judge.messages import UNITS, say
from auditor.statistics import quantile_interval

EXAMPLES = 30
BOOTSTRAP = 64
SEEDS = 5
PROBES = 10
ROUNDING = 1e-9


def obstacle(measurement: Measurement, confidence: float) -> str:
    """Why this measurement can neither pass nor fail, in one sentence; "" if it can.

    Of a sampled number at least 30 examples, documents, groups or records (64 for a bootstrap; a proportion
    decides at any n, but never by one trial), 5 seeds or 10 probes; and the interval must have some width.
    """
    if measurement.kind == "exact":
        return ""
    if measurement.kind == "unreplicated":
        return say("unreplicated", metric=measurement.name)
    if isinstance(measurement.distribution, Enclosure):
        return ""
    return too_few(measurement) or _no_spread(measurement, confidence)


def too_few(measurement: Measurement) -> str:
    """Why so few units cannot decide, or ""."""
    words = {"metric": measurement.name, "units": UNITS[measurement.unit_of_resampling]}
    n, need = units(measurement), _needed(measurement)
    if n < 2:
        return say("single", need=need, **words)
    return say("too_few", n=n, need=need, **words) if n < need else ""


def _no_spread(measurement: Measurement, confidence: float) -> str:
    """An interval without width promises a certainty that no sample gives, whatever the unit: equal seeds of a number
    that can only take few values (a step on the grid of records) are common, and say nothing of the next seed. Widths
    in the range of rounding are none.
    """
    words = {"metric": measurement.name, "units": UNITS[measurement.unit_of_resampling]}
    match measurement.distribution:
        case Quantiles(values=values):
            low, high = quantile_interval(values, confidence)
            return say("zero_width", **words) if low == high or _flat(low, high) else ""
        case Moments(mean=mean, sd=sd, n=n) if sd <= ROUNDING * abs(mean):
            return say("no_spread", n=n, **words)
        case _:
            return ""


def _flat(low: float, high: float) -> bool:
    return isfinite(high - low) and high - low <= ROUNDING * max(abs(low), abs(high))


def units(measurement: Measurement) -> int:
    """How many units were drawn: what the distribution says, never more than the measurement does."""
    return min(measurement.n, _drawn(measurement.distribution, measurement.n))


def _drawn(distribution: Distribution, otherwise: int) -> int:
    match distribution:
        case Counts(n=n) | Moments(n=n):
            return n
        case CountsPair(n1=n1, n2=n2):
            return min(n1, n2)
        case _:
            return otherwise


def _needed(measurement: Measurement) -> int:
    if isinstance(measurement.distribution, Quantiles) and measurement.method != "chi2":
        return BOOTSTRAP
    by_unit = {"seed": SEEDS, "probe": PROBES}
    if measurement.unit_of_resampling in by_unit:
        return by_unit[measurement.unit_of_resampling]
    return 2 if isinstance(measurement.distribution, Counts) else EXAMPLES
