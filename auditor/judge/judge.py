"""Judge: the rules of a spec and the findings of its checks become verdicts."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from auditor.evidence import Evidence, Finding, Metric
from auditor.judge.after import hold_back, unmet
from auditor.judge.cases import Case, Court, cases, finite
from auditor.judge.holm import correct, family
from auditor.judge.intervals import interval
from auditor.judge.not_tested import not_tested
from auditor.judge.outcome import of_audit, of_check
from auditor.judge.standing import Standing, standing
from auditor.judge.verdict import Judged, Judgement, Shown
from auditor.judge.waivers import waive
from auditor.spec.model import Spec


def judge(
    spec: Spec,
    findings: Mapping[str, Finding],
    metrics: Mapping[str, tuple[Metric, ...]],
    started: datetime,
    *,
    baseline: Mapping[str, Evidence] | None = None,
    partial: bool = False,
) -> Judgement:
    """Judge an audit. Pure: the same rules, findings and start give the same verdicts, in whatever order.

    findings, metrics and baseline (the evidence of an earlier audit) are by check id. A check without a finding was
    not run. started: when the audit began; waivers are judged at that day. partial: some checks were deselected.
    Raises ValueError for a rule that names no bound.
    """
    stands = {entry.id: standing(findings.get(entry.id)) for entry in spec.checks}
    raw = tuple(
        case
        for entry in spec.checks
        for case in cases(entry, stands[entry.id], _court(spec, entry.id, metrics, baseline or {}))
    )
    corrected = correct(raw, family(spec, metrics))
    better: dict[tuple[str, str], str] = {(check, m.name): m.better for check, ms in metrics.items() for m in ms}
    waived = waive(corrected, spec.waivers, started, spec.policy.confidence, better)
    checks = _checks(spec, stands, _held_back(spec, stands, waived))
    outcome, reason = of_audit(checks, partial)
    return Judgement(outcome=outcome, reason=reason, checks=checks, not_tested=not_tested(spec, stands))


def _court(
    spec: Spec, check: str, metrics: Mapping[str, tuple[Metric, ...]], baseline: Mapping[str, Evidence]
) -> Court:
    known = {metric.name: metric for metric in metrics.get(check, ())}
    return Court(spec.policy.confidence, known, baseline.get(check))


def _held_back(spec: Spec, stands: Mapping[str, Standing], found: Sequence[Case]) -> tuple[Case, ...]:
    alone = {judged.id: judged.outcome for judged in _checks(spec, stands, found)}
    names = unmet(spec.checks, alone)
    return tuple(hold_back(case, names[case.key[0]]) for case in found)


def _checks(spec: Spec, stands: Mapping[str, Standing], found: Sequence[Case]) -> tuple[Judged, ...]:
    return tuple(
        _judged(entry.id, stands[entry.id], [case for case in found if case.key[0] == entry.id], spec)
        for entry in spec.checks
    )


def _judged(check: str, stands: Standing, found: Sequence[Case], spec: Spec) -> Judged:
    verdicts = tuple(case.verdict for case in found)
    outcome, reason = of_check(stands, verdicts)
    shown = _shown(stands.evidence, spec.policy.confidence)
    return Judged(
        id=check, outcome=outcome, reason=reason, measurements=shown, verdicts=verdicts, failure=stands.failure
    )


def _shown(evidence: Evidence | None, confidence: float) -> tuple[Shown, ...]:
    """Each measurement with its marginal interval; an exact fact has none."""
    shown = []
    for measurement in evidence.measurements if evidence else ():
        low, high = interval(measurement, confidence)
        exact = measurement.kind == "exact" and low == high
        ends = {} if exact else {"low": finite(low), "high": finite(high)}
        shown.append(Shown(**dict(measurement), **ends))
    return tuple(shown)
