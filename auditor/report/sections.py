"""One section a check, always in the same order: question, verdict, figures, how to read, method, limits, reproduce."""

from collections import Counter
from dataclasses import dataclass, replace

from auditor.evidence import Failure
from auditor.judge.verdict import Outcome, Shown, Verdict
from auditor.report import blockviews, expectations, formatting, messages, naming
from auditor.report.blockviews import BlockView
from auditor.report.expectations import Expectation
from auditor.report.plain import shorten
from auditor.report.ruler import Ruler, ruler
from auditor.report.summary import sentence
from auditor.results import Report, Result

MAX_ROWS = 30
MAX_OF = 8
MAX_PARAM = 160


@dataclass(frozen=True)
class Strip:
    """The verdict strip: the outcome, then cells of (text, label), then the ruler below."""

    outcome: Outcome
    waived: bool
    cells: tuple[tuple[str, str], ...]
    ruler: Ruler | None = None


@dataclass(frozen=True)
class Row:
    """One line of the table of measurements: what was found, and where something was expected, how that ended."""

    metric: str
    of: str
    value: str
    interval: str
    how: str
    unit: str
    n: str
    bound: str = ""
    margin: str = ""
    outcome: Outcome | None = None
    waived: bool = False
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Section:
    """All that the page of one check shows."""

    check: Result
    anchor: str
    title: str
    question: str
    pillar: str
    sentence: str
    strip: Strip
    rows: tuple[tuple[BlockView, ...], ...]
    table: tuple[Row, ...]
    table_more: int
    docs: tuple[tuple[str, str], ...]
    params: tuple[tuple[str, str], ...]
    advice: tuple[str, ...]
    failure: tuple[str, Failure] | None = None

    @property
    def short(self) -> bool:
        """Whether there is nothing but a reason to tell: the section needs no page of its own."""
        return not self.rows and not self.table


def sections(report: Report) -> tuple[Section, ...]:
    """The sections in the order of the report."""
    names = naming.titles(report)
    return tuple(_section(report, check, names[check.id]) for check in report.checks)


def _section(report: Report, check: Result, title: str) -> Section:
    rows = expectations.of_check(check)
    worst = min(rows, key=lambda row: expectations.rank(row.worst), default=None)
    table = _table(check)
    missed = {v.metric for v in check.verdicts if expectations.shown_outcome(v) in ("fail", "warn")}
    return Section(
        check=check, anchor=naming.anchor(check), title=title, question=check.question or check.about.question,
        pillar=messages.PILLAR_WORDS[check.pillar], sentence=messages.CHECK_SENTENCES[check.outcome],
        strip=_strip(report, check, worst),
        rows=pair([blockviews.view(block) for block in check.blocks]),
        table=table[:MAX_ROWS], table_more=_distinct(check) - len(table[:MAX_ROWS]),
        docs=_docs(check), params=_params(check),
        advice=tuple(sentence(check.what_to_try[m]) for m in sorted(missed) if check.what_to_try.get(m)),
        failure=(messages.FAILURES[check.failure.kind], check.failure) if check.failure else None,
    )  # fmt: skip


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
    name = f"{verdict.metric} of {verdict.of}" if verdict.of else verdict.metric
    cells = (
        (value, shorten(name, 40)),
        (interval, f"{report.spec.policy.confidence:.0%} interval{_method(check, verdict)}"),
        (formatting.bound(verdict.expect), shorten(expectations.set_by(verdict), 44)),
        (_margin(verdict), "margin"),
        (n, unit),
    )
    return Strip(check.outcome, verdict.waived, tuple(cell for cell in cells if cell[0]), _ruler(verdict))


def _described(check: Result) -> tuple[tuple[str, str], ...]:
    return tuple(
        (formatting.interval(m.value, m.low, m.high)[0] + (f" {m.unit}" if m.unit else ""), m.name)
        for m in check.measurements[:4]
        if not m.of
    )


def _method(check: Result, verdict: Verdict) -> str:
    for found in check.measurements:
        if (found.name, found.of) == (verdict.metric, verdict.of) and found.method != "none":
            return f" ({messages.INTERVAL_METHODS[found.method]})"
    return ""


def _margin(verdict: Verdict) -> str:
    if verdict.margin is None:
        return ""
    if verdict.low is None or verdict.high is None:
        sign = "+" if verdict.margin > 0 else ""
        return sign + formatting.number(verdict.margin)
    return formatting.signed(verdict.margin, formatting.decimals_for(verdict.low, verdict.high))


def _ruler(verdict: Verdict) -> Ruler | None:
    if verdict.value is None or verdict.bound is None:
        return None
    up = ">" in verdict.expect or "≥" in verdict.expect
    return ruler(verdict.value, verdict.bound, verdict.low, verdict.high, up=up)


def _table(check: Result) -> tuple[Row, ...]:
    """Every verdict with what it judged, the worst first; then what was measured and not judged.

    Of a metric with many `of` that nobody judged, the first few stand for the rest.
    """
    found = {(m.name, m.of): m for m in check.measurements}
    judged = []
    for verdict in sorted(check.verdicts, key=expectations.rank):
        measured = found.get((verdict.metric, verdict.of))
        row = _row(measured) if measured else Row(verdict.metric, shorten(verdict.of, 60), "", "", "", "", "")
        judged.append(_judged(row, verdict))
    seen = {(verdict.metric, verdict.of) for verdict in check.verdicts}
    left = [m for key, m in found.items() if key not in seen]
    at: Counter[str] = Counter()
    shown = []
    for measured in left:
        at[measured.name] += 1
        if at[measured.name] <= MAX_OF:
            shown.append(_row(measured))
    return (*judged, *shown)


def _distinct(check: Result) -> int:
    verdicts = len(check.verdicts)
    judged = {(verdict.metric, verdict.of) for verdict in check.verdicts}
    return verdicts + sum((m.name, m.of) not in judged for m in check.measurements)


def _row(found: Shown) -> Row:
    value, interval = formatting.interval(found.value, found.low, found.high)
    unit = messages.UNITS[found.unit_of_resampling][found.n != 1]
    return Row(
        found.name, shorten(found.of, 60), f"≥ {value}" if found.censored else value, interval,
        messages.KINDS[found.kind], found.unit, f"{formatting.count(found.n)} {unit}" if unit else "",
    )  # fmt: skip


def _judged(row: Row, verdict: Verdict) -> Row:
    replaced = f"replaces {formatting.bound(verdict.replaced)}" if verdict.replaced else ""
    adjusted = f"p {formatting.number(verdict.p, 2)} after Holm" if verdict.p is not None else ""
    remarks = (
        verdict.reason, verdict.would_decide, adjusted, f"bound set by {expectations.set_by(verdict)}", verdict.why,
        replaced, "loosened" if verdict.loosened else "", "severity warn" if verdict.severity == "warn" else "",
    )  # fmt: skip
    return replace(
        row, bound=formatting.bound(verdict.expect), margin=_margin(verdict), waived=verdict.waived,
        outcome=expectations.shown_outcome(verdict),
        remarks=tuple(shorten(remark, 300) for remark in remarks if remark),
    )  # fmt: skip


def _docs(check: Result) -> tuple[tuple[str, str], ...]:
    used = dict.fromkeys(m.name for m in check.measurements)
    return tuple((name, check.metric_docs[name]) for name in used if check.metric_docs.get(name))


def _params(check: Result) -> tuple[tuple[str, str], ...]:
    return tuple((name, shorten(readable(value), MAX_PARAM)) for name, value in check.params.items())


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
        case int() | float():
            return formatting.number(value, 6)
        case dict():
            return ", ".join(f"{key}: {readable(item)}" for key, item in value.items()) or "none"
        case list() | tuple():
            return ", ".join(readable(item) for item in value) or "none"
        case _:
            return str(value)
