"""Holm: failures corrected for the number of expectations; what it drops is inconclusive, never a pass (rule 3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from auditor.evidence import Metric
from auditor.judge.cases import Case, decide
from auditor.judge.intervals import p_value
from auditor.judge.messages import UNITS, bound_text, number, say
from auditor.spec.model import Spec

BISECTION = 1e-6
"""Room for the width at which the bisection of a p-value ends."""


@dataclass(frozen=True)
class Family:
    """The sampled expectations of severity error: `size` of them, fixed at plan time, judged at `confidence`."""

    size: int
    confidence: float

    @property
    def tail(self) -> float:
        """The one-sided level of a failure: (1 - confidence) / 2."""
        return (1 - self.confidence) / 2


def family(spec: Spec, metrics: Mapping[str, Sequence[Metric]]) -> Family:
    """All expectations of severity error of the resolved spec whose metric can be sampled, measured or not.

    A metric that nothing is known of counts.
    """
    exact = {(check, m.name) for check, known in metrics.items() for m in known if m.interval in ("none", "enclosure")}
    asked = ((entry.id, rule.metric) for entry in spec.checks for rule in entry.rules if rule.severity == "error")
    return Family(sum(pair not in exact for pair in asked), spec.policy.confidence)


def correct(cases: Sequence[Case], fam: Family) -> tuple[Case, ...]:
    """Holm's step-down over the expectations, each counted once with Bonferroni over its `of`.

    A raw fail stays one if its adjusted p-value is at most (1 - confidence) / 2. Holm, Scandinavian Journal of
    Statistics 6 (1979).
    """
    raw = {place: _p(case, fam.tail) for place, case in enumerate(cases) if _counts(case)}
    many = {key: sum(1 for case in cases if case.key == key) for key in {cases[place].key for place in raw}}
    whole = {key: min(1.0, many[key] * min(p for place, p in raw.items() if cases[place].key == key)) for key in many}
    size = max(fam.size, len(whole))
    left = {key: size - sum(1 for p in whole.values() if p < whole[key]) for key in whole}
    adjusted = {key: max(left[k] * p for k, p in whole.items() if p <= whole[key]) for key in whole}
    return tuple(
        case
        if place not in raw
        else _settle(case, max(adjusted[case.key], left[case.key] * many[case.key] * raw[place]),
                     left[case.key] * many[case.key], Family(size, fam.confidence))
        for place, case in enumerate(cases)
    )  # fmt: skip


def _counts(case: Case) -> bool:
    failed = case.verdict.outcome == "fail" and case.rule.severity == "error"
    return failed and case.estimate is not None and case.estimate.sampled


def _p(case: Case, tail: float) -> float:
    """The p-value of the interval, or the exact one where that is larger; never above `tail`, where it excludes."""
    estimate, made = case.estimate, case.claim
    assert estimate is not None
    p = p_value(made.excluded, estimate.at, tail)
    return min(tail, max(p, estimate.chance(made.bound, made.sign))) if estimate.chance else p


def _settle(case: Case, p: float, share: int, fam: Family) -> Case:
    p = min(1.0, p)
    kept = case.ending("fail", case.verdict.reason, p=p)
    return kept if p <= fam.tail * (1 + BISECTION) else _drop(kept, share, fam)


def _drop(case: Case, share: int, fam: Family) -> Case:
    estimate, bound = case.estimate, case.claim.bound
    assert estimate is not None
    advice = decide(case.claim, estimate, estimate.at(1 - 2 * fam.tail / share))
    words = {"value": number(estimate.value, bound), "bound": bound_text(bound), "units": UNITS[estimate.unit]}
    return case.ending("inconclusive", say("dropped", family=fam.size, decide=advice, **words), would_decide=advice)
