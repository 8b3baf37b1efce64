"""Waivers: an accepted shortfall is a flag beside the raw outcome, and holds only within its limit (rule 8)."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime

from auditor.judge.cases import Case
from auditor.judge.intervals import interval
from auditor.judge.messages import bound_text, say
from auditor.spec.model import Waiver

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def waive(cases: Sequence[Case], waivers: Sequence[Waiver], started: datetime, confidence: float,
          better: dict[tuple[str, str], str]) -> tuple[Case, ...]:  # fmt: skip
    """Mark the failures that a waiver accepts; any other waiver that speaks of one says why it does not hold.

    better: "up" or "down" by check and metric. Only failures are waived: what is undecided stays undecided.
    """
    day = (started.astimezone(UTC) if started.tzinfo else started).date()
    return tuple(_waive(case, waivers, day, confidence, better) for case in cases)


def _waive(
    case: Case, waivers: Sequence[Waiver], day: date, confidence: float, better: dict[tuple[str, str], str]
) -> Case:
    if case.verdict.outcome != "fail":
        return case
    about = [w for w in waivers if _speaks_of(w, case)]
    keys = [_state(w, case, day, confidence, better.get((w.check, w.metric), "up")) for w in about]
    for waiver, key in sorted(zip(about, keys, strict=True), key=lambda pair: pair[1] != "waived"):
        limit = "" if waiver.no_worse_than is None else bound_text(waiver.no_worse_than)
        reason = say(key, reason=case.verdict.reason, expires=waiver.expires, approved_by=waiver.approved_by,
                     why=waiver.reason, limit=limit)  # fmt: skip
        return case.ending("fail", reason, waived=key == "waived")
    return case


def _speaks_of(waiver: Waiver, case: Case) -> bool:
    same = (waiver.check, waiver.metric) == (case.key[0], case.rule.metric)
    return same and waiver.of in ("", case.verdict.of)


def _state(waiver: Waiver, case: Case, day: date, confidence: float, better: str) -> str:
    """The key of the message: "waived", or why the waiver does not hold."""
    expires = _day(waiver.expires)
    if expires is None:
        return "waiver_unreadable"
    if expires < day:
        return "waiver_expired"
    if waiver.no_worse_than is None:
        return "waiver_open"
    return "waived" if _within(waiver.no_worse_than, case, confidence, better) else "waiver_exceeded"


def _within(limit: float, case: Case, confidence: float, better: str) -> bool:
    """Whether the whole interval of the number itself is no worse than the limit."""
    if case.measurement is None:
        return False
    low, high = interval(case.measurement, confidence)
    up = better == "up" if case.rule.versus else case.claim.sign > 0
    return low >= limit if up else high <= limit


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        return None
