"""One section a check, always in the same order: question, verdict, figures, how to read, method, limits, reproduce."""

from dataclasses import dataclass

from auditor.evidence import Failure
from auditor.judge.verdict import Outcome, Verdict
from auditor.report import blockviews, expectations, formatting, measured, messages, naming
from auditor.report.blockviews import BlockView
from auditor.report.drawn import Drawn
from auditor.report.expectations import Expectation
from auditor.report.measured import Row
from auditor.report.plain import shorten
from auditor.report.prose import Prose, prose
from auditor.report.ruler import Ruler, ruler
from auditor.report.summary import ended, sentence
from auditor.results import Report, Result

MAX_PARAM = 160


@dataclass(frozen=True)
class Strip:
    """The verdict strip: the outcome, then cells of (text, label), then the ruler below."""

    outcome: Outcome
    waived: bool
    cells: tuple[tuple[str, str], ...]
    ruler: Ruler | None = None


@dataclass(frozen=True)
class Section:
    """All that the page of one check shows."""

    check: Result
    anchor: str
    title: str
    question: str
    pillar: str
    sentence: str
    reason: str
    notes: tuple[str, ...]
    strip: Strip
    rows: tuple[tuple[BlockView, ...], ...]
    table: tuple[Row, ...]
    table_more: int
    prose: Prose
    advice: tuple[str, ...]
    failure: tuple[str, Failure] | None = None

    @property
    def short(self) -> bool:
        """Whether there is nothing but a reason to tell: the section needs no page of its own."""
        return not self.rows and not self.table


def sections(report: Report, drawn: Drawn | None = None) -> tuple[Section, ...]:
    """The sections in the order of the report; `drawn`: where figures are kept."""
    names = naming.titles(report)
    return tuple(_section(report, check, names[check.id], drawn or Drawn()) for check in report.checks)


def _section(report: Report, check: Result, title: str, drawn: Drawn) -> Section:
    rows = expectations.of_check(check)
    shown = expectations.shown(rows)
    table, more = measured.table(check, shown.worst if shown else None)
    views = pair(blockviews.said_once([blockviews.view(block, drawn) for block in check.blocks]))
    alone = bool(views) and len(views[-1]) == 1 and not views[-1][0].wide
    missed = {v.metric for v in check.verdicts if expectations.shown_outcome(v) in ("fail", "warn")}
    return Section(
        check=check, anchor=naming.anchor(check), title=title, question=check.question or check.about.question,
        pillar=messages.PILLAR_WORDS[check.pillar], sentence=messages.CHECK_SENTENCES[check.outcome],
        reason=_reason(check, shown), notes=tuple(ended(note.strip()) for note in check.notes if note.strip()),
        strip=_strip(report, check, shown), rows=views, table=table, table_more=more,
        prose=prose(check, _params(check), alone=alone),
        advice=tuple(sentence(check.what_to_try[m]) for m in sorted(missed) if check.what_to_try.get(m)),
        failure=(messages.FAILURES[check.failure.kind], check.failure) if check.failure else None,
    )  # fmt: skip


def _reason(check: Result, shown: Expectation | None) -> str:
    """Why it ended so; where nothing was expected, the strip has said it."""
    if shown and shown.worst.reason and not check.failure:
        return shown.worst.reason
    return "" if check.outcome == "info" and not check.verdicts else sentence(check.reason)


def pair(views: list[BlockView]) -> tuple[tuple[BlockView, ...], ...]:
    """Narrow blocks two by two, wide ones alone; the order stays.

    A narrow one may pass wide ones to find its neighbour, so that no half row stands empty but the last.
    """
    rows: list[tuple[BlockView, ...]] = []
    waiting: int | None = None
    for view in views:
        if view.wide:
            rows.append((view,))
        elif waiting is None:
            waiting = len(rows)
            rows.append((view,))
        else:
            rows[waiting] = (*rows[waiting], view)
            waiting = None
    if waiting is not None and waiting != len(rows) - 1:
        rows.append(rows.pop(waiting))
    return tuple(rows)


def _strip(report: Report, check: Result, worst: Expectation | None) -> Strip:
    if worst is None:
        return Strip(check.outcome, False, _described(check))
    verdict = worst.worst
    value, interval = formatting.interval(verdict.value, verdict.low, verdict.high)
    n, unit = expectations.sample(check, verdict)
    cells = (
        (value, _named(verdict.metric, verdict.of)),
        (interval, f"{report.spec.policy.confidence:.0%} interval{_method(check, verdict)}"),
        (formatting.bound(verdict.expect), shorten(expectations.set_by(verdict), 44)),
        (measured.margin(verdict), "margin"),
        (n, unit),
    )
    return Strip(check.outcome, verdict.waived, tuple(cell for cell in cells if cell[0]), _ruler(verdict))


def _described(check: Result) -> tuple[tuple[str, str], ...]:
    """The first numbers of a check that judges nothing: those of the whole, else the first of each metric."""
    whole = [found for found in check.measurements if not found.of]
    each = {found.name: found for found in reversed(check.measurements)}
    return tuple(
        (formatting.interval(m.value, m.low, m.high)[0] + (f" {m.unit}" if m.unit else ""), _named(m.name, m.of))
        for m in (whole or [found for found in check.measurements if each[found.name] is found])[:4]
    )


def _named(metric: str, of: str) -> str:
    return shorten(f"{metric} of {of}" if of else metric, 40)


def _method(check: Result, verdict: Verdict) -> str:
    for found in check.measurements:
        if (found.name, found.of) == (verdict.metric, verdict.of) and found.method != "none":
            return f" ({messages.INTERVAL_METHODS[found.method]})"
    return ""


def _ruler(verdict: Verdict) -> Ruler | None:
    """The ruler of a verdict; None where there is no interval to draw and the value lies on its bound."""
    if verdict.value is None or verdict.bound is None:
        return None
    flat = verdict.low is None or verdict.low == verdict.high
    if flat and verdict.value == verdict.bound:
        return None
    up = ">" in verdict.expect or "≥" in verdict.expect
    return ruler(verdict.value, verdict.bound, verdict.low, verdict.high, up=up)


def _params(check: Result) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name, shorten("default" if value in ("", [], (), {}) else readable(value), MAX_PARAM))
        for name, value in check.params.items()
        if value is not None
    )


def readable(value: object) -> str:
    """A parameter as a person would write it in the spec.

    >>> readable([1, "a"]), readable(None), readable(0.5), readable({"a": True})
    ('1, a', 'none', '0.5', 'a: yes')
    """
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case int():
            return str(value).replace("-", formatting.MINUS)
        case float():
            return formatting.number(value, 6)
        case dict():
            return ", ".join(f"{key}: {readable(item)}" for key, item in value.items()) or "none"
        case list() | tuple():
            return ", ".join(readable(item) for item in value) or "none"
        case _:
            return str(value)
