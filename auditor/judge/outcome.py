"""Outcome: how a check ends, and how the audit ends (rules 7 and 9)."""

from collections.abc import Sequence

from auditor.judge.messages import say
from auditor.judge.standing import Standing
from auditor.judge.verdict import AuditOutcome, Judged, Outcome, RuleOutcome, Verdict

WORST_FIRST: tuple[RuleOutcome, ...] = ("fail", "inconclusive", "warn", "pass")
NAMED = 4


def of_check(stands: Standing, verdicts: Sequence[Verdict]) -> tuple[Outcome, str]:
    """The worst of its verdicts (a fail of severity warn counts as warn), info if nothing was expected, or error,
    skipped, not_run; with the reason.
    """
    if stands.kind != "evidence":
        return stands.kind, stands.reason
    if not verdicts:
        return "info", say("info")
    weighed = [(_weighed(verdict), verdict) for verdict in verdicts]
    outcome = next(o for o in WORST_FIRST if any(o == own for own, _ in weighed))
    return outcome, next(verdict.reason for own, verdict in weighed if own == outcome)


def _weighed(verdict: Verdict) -> RuleOutcome:
    return "warn" if verdict.outcome == "fail" and verdict.severity == "warn" else verdict.outcome


def of_audit(checks: Sequence[Judged], partial: bool) -> tuple[AuditOutcome, str]:
    """Fail if an unwaived expectation of severity error failed; else inconclusive if one is, if a check ended in
    error, or if nothing was judged; else pass. A verdict of severity warn never moves it.
    """
    asked = [(check.id, v) for check in checks for v in check.verdicts if v.severity == "error"]
    failed = [_name(check, v) for check, v in asked if v.outcome == "fail" and not v.waived]
    undecided = [_name(check, v) for check, v in asked if v.outcome == "inconclusive"]
    broken = [check.id for check in checks if check.outcome == "error"]
    outcome: AuditOutcome = "fail" if failed else "inconclusive" if undecided or broken or not asked else "pass"
    if failed:
        reason = _listed("audit_fail", failed, len(asked))
    elif undecided:
        reason = _listed("audit_open", undecided, len(asked))
    elif broken:
        reason = _listed("audit_error", broken, len(checks))
    else:
        reason = _passed([v for _, v in asked])
    return outcome, say("partial", reason=reason) if partial else reason


def _passed(verdicts: Sequence[Verdict]) -> str:
    if not verdicts:
        return say("audit_nothing")
    waived = sum(verdict.waived for verdict in verdicts)
    return say("audit_waived" if waived else "audit_pass", total=len(verdicts), waived=waived)


def _name(check: str, verdict: Verdict) -> str:
    return f"{check}.{verdict.metric}" + (f" ({verdict.of})" if verdict.of else "")


def _listed(key: str, names: Sequence[str], total: int) -> str:
    shown = list(dict.fromkeys(names))
    more = f" and {len(shown) - NAMED} more" if len(shown) > NAMED else ""
    return say(key, count=len(names), total=total, names=", ".join(shown[:NAMED]) + more)
