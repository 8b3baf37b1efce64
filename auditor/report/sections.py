"""One section a check, always in the same order: question, verdict, figures, how to read, method, limits, reproduce."""

from dataclasses import dataclass, field

from auditor.evidence import Failure
from auditor.judge.verdict import Outcome, Verdict
from auditor.report import blockviews, expectations, formatting, messages, naming
from auditor.report.blockviews import BlockView
from auditor.report.expectations import Expectation
from auditor.report.plain import shorten
from auditor.report.ruler import Ruler, ruler
from auditor.report.summary import sentence
from auditor.results import Report, Result

MAX_ROWS = 30
MAX_PARAM = 160


@dataclass(frozen=True)
class Strip:
    """The verdict strip: the outcome, then cells of (text, label), then the ruler below."""

    outcome: Outcome
    waived: bool
    cells: tuple[tuple[str, str], ...]
    ruler: Ruler | None = None


@dataclass(frozen=True)
class Bound:
    """One verdict in the table of expectations of a check."""

    metric: str
    of: str
    bound: str
    value: str
    interval: str
    margin: str
    n: str
    outcome: Outcome
    waived: bool
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Measured:
    """One line of the table of measurements."""

    metric: str
    of: str
    value: str
    interval: str
    unit: str
    n: str
    how: str


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
    bounds: tuple[Bound, ...]
    bounds_more: int
    rows: tuple[tuple[BlockView, ...], ...]
    measured: tuple[Measured, ...]
    measured_more: int
    docs: tuple[tuple[str, str], ...]
    params: tuple[tuple[str, str], ...]
    advice: tuple[str, ...]
    failure: tuple[str, Failure] | None = None
    notes: tuple[str, ...] = field(default=())


def sections(report: Report) -> tuple[Section, ...]:
    """The sections in the order of the report."""
    names = naming.titles(report)
    return tuple(_section(report, check, names[check.id]) for check in report.checks)


def _section(report: Report, check: Result, title: str) -> Section:
    rows = expectations.of_check(check)
    worst = min(rows, key=lambda row: expectations.rank(row.worst), default=None)
    verdicts = sorted(check.verdicts, key=expectations.rank) if len(check.verdicts) > MAX_ROWS else check.verdicts
    missed = {v.metric for v in check.verdicts if expectations.shown_outcome(v) in ("fail", "warn")}
    return Section(
        check=check, anchor=naming.anchor(check), title=title, question=check.question or check.about.question,
        pillar=messages.PILLAR_WORDS[check.pillar], sentence=messages.CHECK_SENTENCES[check.outcome],
        strip=_strip(report, check, worst),
        bounds=tuple(_bound(check, verdict) for verdict in verdicts[:MAX_ROWS]),
        bounds_more=max(0, len(verdicts) - MAX_ROWS),
        rows=pair([blockviews.view(block) for block in check.blocks]),
        measured=_measured(check), measured_more=max(0, len(check.measurements) - MAX_ROWS),
        docs=_docs(check), params=_params(check),
        advice=tuple(sentence(check.what_to_try[m]) for m in sorted(missed) if check.what_to_try.get(m)),
        failure=(messages.FAILURES[check.failure.kind], check.failure) if check.failure else None,
        notes=check.notes,
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


def _bound(check: Result, verdict: Verdict) -> Bound:
    value, interval = formatting.interval(verdict.value, verdict.low, verdict.high)
    replaced = f"replaces {formatting.bound(verdict.replaced)}" if verdict.replaced else ""
    remarks = (
        f"set by {expectations.set_by(verdict)}", replaced, "loosened" if verdict.loosened else "",
        "severity warn" if verdict.severity == "warn" else "", verdict.why, verdict.reason, verdict.would_decide,
    )  # fmt: skip
    return Bound(
        metric=verdict.metric, of=shorten(verdict.of, 60), bound=formatting.bound(verdict.expect), value=value,
        interval=interval, margin=_margin(verdict), n=expectations.sample(check, verdict)[0],
        outcome=expectations.shown_outcome(verdict), waived=verdict.waived,
        remarks=tuple(shorten(remark, 300) for remark in remarks if remark),
    )  # fmt: skip


def _measured(check: Result) -> tuple[Measured, ...]:
    rows = []
    for found in check.measurements[:MAX_ROWS]:
        value, interval = formatting.interval(found.value, found.low, found.high)
        unit = messages.UNITS[found.unit_of_resampling][found.n != 1]
        how = messages.KINDS[found.kind] or messages.INTERVAL_METHODS[found.method]
        value = f"≥ {value}" if found.censored else value
        n = f"{formatting.count(found.n)} {unit}".strip()
        rows.append(Measured(found.name, shorten(found.of, 60), value, interval, found.unit, n, how))
    return tuple(rows)


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
