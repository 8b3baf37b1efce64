"""Baseline: the change since an earlier audit, paired by example where it can be (rule 5)."""

from dataclasses import replace
from typing import Literal

from auditor.evidence import Evidence, Measurement, Moments
from auditor.judge.intervals import Estimate, interval, is_sampled
from auditor.judge.messages import say
from auditor.judge.minimum import obstacle, too_few, units
from auditor.judge.soundness import flaws
from auditor.statistics import Interval, difference, paired, t_interval

Better = Literal["up", "down"]


def column(name: str, of: str) -> str:
    """The name of the column of Evidence.samples whose mean is this metric: `name`, or `name[of]`."""
    return f"{name}[{of}]" if of else name


def change(
    now: Measurement, evidence: Evidence, before: Evidence | None, better: Better, confidence: float
) -> Estimate | str:
    """The change since the baseline, for the better if positive; or why there is none.

    Paired over the examples that both audits hold (by digest), if examples are the unit and both audits keep the
    metric example by example; otherwise as two independent estimates.
    """
    then = _measured(before, now)
    if before is None or then is None:
        return say("baseline_missing", metric=now.name)
    if flaws(before):
        return say("baseline_flawed", metric=now.name, reason=flaws(before)[0])
    sign = 1 if better == "up" else -1
    common = None if now.censored or then.censored else _pairs(now, evidence, then, before)
    if common:
        return _paired(now, common, sign)
    return _unpaired(now, then, sign, confidence)


def _measured(evidence: Evidence | None, like: Measurement) -> Measurement | None:
    found = [] if evidence is None else [m for m in evidence.measurements if (m.name, m.of) == (like.name, like.of)]
    return found[0] if found else None


def _pairs(now: Measurement, evidence: Evidence, then: Measurement, before: Evidence) -> tuple[list[float], ...] | None:
    if {now.unit_of_resampling, then.unit_of_resampling} != {"example"}:
        return None
    here, there = _by_example(now, evidence), _by_example(then, before)
    common = sorted(here.keys() & there.keys())
    return ([here[digest] for digest in common], [there[digest] for digest in common]) if common else None


def _by_example(measurement: Measurement, evidence: Evidence) -> dict[str, float]:
    """The metric by example digest; empty unless its column is there and its mean is the metric."""
    values = evidence.samples.get(column(measurement.name, measurement.of), ())
    if not values or abs(sum(values) / len(values) - measurement.value) > 1e-4 * max(1.0, abs(measurement.value)):
        return {}
    return dict(zip(evidence.examples, values, strict=True))


def _paired(now: Measurement, common: tuple[list[float], ...], sign: int) -> Estimate:
    mean, sd, n = paired(*common)
    moments = Moments(mean=sign * mean, sd=sd, n=n)
    differences = now.model_copy(
        update={"value": moments.mean, "n": n, "kind": "sampled", "method": "t", "distribution": moments}
    )
    return Estimate(
        value=moments.mean,
        n=n,
        unit="example",
        at=lambda at: t_interval(moments.mean, moments.sd, n, at),
        obstacle=too_few(differences),
        remark=say("paired", n=n),
    )


def _unpaired(now: Measurement, then: Measurement, sign: int, confidence: float) -> Estimate:
    def at(level: float) -> Interval:
        low, high = difference(now.value, interval(now, level), then.value, interval(then, level))
        return (low, high) if sign > 0 else (-high, -low)

    estimate = Estimate(
        value=sign * (now.value - then.value),
        n=min(units(now), units(then)),
        unit=now.unit_of_resampling,
        at=at,
        sampled=is_sampled(now) or is_sampled(then),
        obstacle=obstacle(now, confidence) or obstacle(then, confidence),
        censored=now.censored or then.censored,
    )
    return replace(estimate, remark=say("unpaired")) if estimate.sampled else estimate
