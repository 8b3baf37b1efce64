"""Cases: each expectation put to each number it speaks of, one raw verdict a number (rules 1, 2 and 10)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import isfinite

from auditor.evidence import Evidence, Measurement, Metric
from auditor.judge.baseline import change
from auditor.judge.bounds import Claim, claim
from auditor.judge.intervals import Estimate, chance, interval, is_sampled
from auditor.judge.messages import UNITS, bound_text, number, say
from auditor.judge.minimum import obstacle, units
from auditor.judge.standing import Standing
from auditor.judge.verdict import RuleOutcome, Verdict
from auditor.spec.model import CheckEntry, Rule

Key = tuple[str, int]


@dataclass(frozen=True)
class Case:
    """One expectation on one number, with its verdict so far. `key`: the check's id and the place of its rule.

    measurement: the number itself, also where its change is what is judged.
    """

    key: Key
    rule: Rule
    claim: Claim
    verdict: Verdict
    estimate: Estimate | None = None
    measurement: Measurement | None = None

    def ending(self, outcome: RuleOutcome, reason: str, **more: object) -> "Case":
        """The same case with another outcome and reason."""
        update = {"outcome": outcome, "reason": reason, **more}
        return replace(self, verdict=self.verdict.model_copy(update=update))


@dataclass(frozen=True)
class Court:
    """What every case of a check needs: the confidence, its metrics, and what an earlier audit found."""

    confidence: float
    metrics: Mapping[str, Metric]
    before: Evidence | None = None


def cases(entry: CheckEntry, stands: Standing, court: Court) -> tuple[Case, ...]:
    """All cases of a check. Without evidence every expectation is inconclusive, but for one that a preset set on a
    check or a metric that does not apply: that one is not tested, and listed so.
    """
    return tuple(
        case
        for place, rule in enumerate(entry.rules)
        if not (rule.inherited and stands.cannot_be(rule.metric))
        for case in _of_rule((entry.id, place), rule, stands, court)
    )


def _of_rule(key: Key, rule: Rule, stands: Standing, court: Court) -> Iterator[Case]:
    if stands.evidence is None:
        yield _without(key, rule, say(stands.kind, metric=rule.metric, reason=stands.reason))
        return
    found = [m for m in stands.evidence.measurements if m.name == rule.metric]
    if not found:
        reason = stands.cannot_be(rule.metric)
        yield _without(key, rule, reason or say("unmeasured", metric=rule.metric))
    for measurement in found:
        estimate = _estimate(rule, measurement, stands.evidence, court)
        if isinstance(estimate, str):
            yield _without(key, rule, estimate, measurement)
        else:
            yield _with(key, rule, estimate, measurement, court.confidence)


def _estimate(rule: Rule, measurement: Measurement, evidence: Evidence, court: Court) -> Estimate | str:
    if rule.versus == "baseline":
        better = court.metrics[rule.metric].better if rule.metric in court.metrics else "up"
        return change(measurement, evidence, court.before, better, court.confidence)
    return Estimate(
        value=measurement.value,
        n=units(measurement) if is_sampled(measurement) else measurement.n,
        unit=measurement.unit_of_resampling,
        at=lambda confidence: interval(measurement, confidence),
        sampled=is_sampled(measurement),
        obstacle=obstacle(measurement, court.confidence),
        censored=measurement.censored,
        chance=chance(measurement),
    )


def _without(key: Key, rule: Rule, reason: str, measurement: Measurement | None = None) -> Case:
    made = claim(rule)
    of = measurement.of if measurement else ""
    verdict = _verdict(rule, made, of=of, outcome="inconclusive", reason=reason)
    return Case(key, rule, made, verdict, measurement=measurement)


def _with(key: Key, rule: Rule, estimate: Estimate, measurement: Measurement, confidence: float) -> Case:
    made, (low, high) = claim(rule), estimate.at(confidence)
    outcome = "inconclusive" if estimate.obstacle else made.outcome((low, high))
    reason, advice = _reason(made, estimate, outcome, (low, high))
    shown = (low, high) if estimate.sampled or low != high else (-float("inf"), float("inf"))
    verdict = _verdict(
        rule, made, of=measurement.of, outcome=outcome, reason=" ".join(filter(None, (reason, estimate.remark))),
        value=estimate.value, low=finite(shown[0]), high=finite(shown[1]), margin=made.margin(estimate.value),
        n=estimate.n, would_decide=advice if outcome == "inconclusive" else "",
    )  # fmt: skip
    return Case(key, rule, made, verdict, estimate, measurement)


def _verdict(rule: Rule, made: Claim, **fields: object) -> Verdict:
    whose = {"set_by": rule.set_by, "inherited": rule.inherited, "replaced": rule.replaced, "loosened": rule.loosened}
    about = {"metric": rule.metric, "expect": made.text, "severity": rule.severity, "why": rule.why}
    return Verdict.model_validate({**about, **whose, "bound": made.bound, **fields})


def _reason(made: Claim, estimate: Estimate, outcome: RuleOutcome, ends: tuple[float, float]) -> tuple[str, str]:
    """The sentence, and what would decide."""
    if estimate.obstacle:
        return estimate.obstacle, ""
    low, high = ends
    above = estimate.value > made.bound or (estimate.value == made.bound and made.sign > 0)
    advice = decide(made, estimate, ends)
    words = {
        "value": number(estimate.value, made.bound), "bound": bound_text(made.bound), "low": number(low, made.bound),
        "high": number(high, made.bound), "warn": bound_text(made.bound if made.warn is None else made.warn),
        "end": number(low if above else high, made.bound), "way": "down to" if above else "up to",
        "side": "at" if estimate.value == made.bound else "above" if above else "below",
        "n": estimate.n, "units": UNITS[estimate.unit], "decide": advice,
    }  # fmt: skip
    return say(_message(outcome, estimate, ends), **words), advice


def _message(outcome: RuleOutcome, estimate: Estimate, ends: tuple[float, float]) -> str:
    if outcome != "inconclusive":
        if ends[0] != ends[1]:
            return outcome
        return f"{outcome}_flat" if estimate.sampled else f"{outcome}_exact"
    if estimate.censored:
        return "open_censored"
    return "open" if estimate.sampled else "open_enclosure"


def decide(made: Claim, estimate: Estimate, ends: tuple[float, float]) -> str:
    """What would decide, as a clause: "about 47 would decide", or that no realistic number would."""
    needed = made.would_decide(estimate.value, ends, estimate.n)
    return say("none_realistic", units=UNITS[estimate.unit]) if needed is None else say("about", n=needed)


def finite(end: float) -> float | None:
    """An end of an interval as it is shown: None where there is none."""
    return end if isfinite(end) else None
