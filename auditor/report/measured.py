"""The table of a check's measurements: every verdict with what it judged, then what was measured and not judged."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from auditor.judge.verdict import Outcome, Shown, Verdict
from auditor.report import expectations, formatting, messages
from auditor.report.plain import shorten
from auditor.results import Result

MAX_ROWS = 30
MAX_OF = 3
PLAIN = ("example", "seed")  # the strip and the text name them; the rarer units stand beside their number


@dataclass(frozen=True)
class Row:
    """One line of the table: what was found, and where something was expected, how that ended.

    doc: what the metric means, where it stands for the first time. more: how many rows of this metric are left out.
    again: the row above is of the same metric, which is not named twice. span: over how many rows the cell of the doc
    reaches, 0 where a row above covers it.
    """

    metric: str
    of: str = ""
    value: str = ""
    interval: str = ""
    unit: str = ""
    n: str = ""
    doc: str = ""
    more: int = 0
    bound: str = ""
    margin: str = ""
    outcome: Outcome | None = None
    waived: bool = False
    remarks: tuple[str, ...] = ()
    again: bool = False
    span: int = 1


def table(check: Result, shown: Verdict | None = None) -> tuple[tuple[Row, ...], int]:
    """The rows, the worst verdict first, and how many were left out at the end.

    shown: the verdict of the strip; its sentence stands above the table and is not said again.
    """
    rows = _documented(check, (*_verdicts(check, shown), *_others(check)))
    return grouped(rows[:MAX_ROWS]), max(0, len(rows) - MAX_ROWS)


def grouped(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Rows of one metric below each other share its name, and those that nobody judged the cell of its meaning."""
    out: list[Row] = []
    for _, group in groupby(rows, key=lambda row: (row.metric, row.outcome is None)):
        first, *rest = group
        described = first.outcome is None
        more = sum(row.more for row in (first, *rest))
        span = 1 + len(rest) if described else 1
        out.append(replace(first, span=span, more=more, again=bool(out) and out[-1].metric == first.metric))
        out += [replace(row, span=0 if described else 1, more=0, again=True) for row in rest]
    return tuple(out)


def margin(verdict: Verdict) -> str:
    """The distance to the bound, with the decimals of the interval."""
    if verdict.margin is None:
        return ""
    if verdict.low is None or verdict.high is None:
        sign = "+" if verdict.margin > 0 else ""
        return sign + formatting.number(verdict.margin)
    return formatting.signed(verdict.margin, formatting.decimals_for(verdict.low, verdict.high))


def _verdicts(check: Result, shown: Verdict | None) -> Iterable[Row]:
    found = {(m.name, m.of): m for m in check.measurements}
    for verdict in sorted(check.verdicts, key=expectations.order):
        measured = found.get((verdict.metric, verdict.of))
        row = _row(measured) if measured else Row(verdict.metric, shorten(verdict.of, 60))
        yield _judged(row, verdict, said=verdict == shown)


def _others(check: Result) -> Iterable[Row]:
    """What nobody judged; of a metric with many `of` only the lowest and the highest, since figures show the rest."""
    judged = {(verdict.metric, verdict.of) for verdict in check.verdicts}
    groups: dict[str, list[Shown]] = {}
    for measured in check.measurements:
        if (measured.name, measured.of) not in judged:
            groups.setdefault(measured.name, []).append(measured)
    for group in groups.values():
        if len(group) <= MAX_OF:
            yield from map(_row, group)
            continue
        ranked = sorted(group, key=lambda measured: measured.value)
        yield from (_row(measured) for measured in ranked[: MAX_OF - 1])
        yield replace(_row(ranked[-1]), more=len(group) - MAX_OF)


def _documented(check: Result, rows: Iterable[Row]) -> tuple[Row, ...]:
    """The meaning of each metric, once."""
    said: set[str] = set()
    out = []
    for row in rows:
        doc = "" if row.metric in said else check.metric_docs.get(row.metric, "")
        said.add(row.metric)
        out.append(replace(row, doc=doc, remarks=((doc, *row.remarks) if doc else row.remarks) if row.outcome else ()))
    return tuple(out)


def _row(found: Shown) -> Row:
    value, interval = formatting.interval(found.value, found.low, found.high)
    unit = messages.UNITS[found.unit_of_resampling][found.n != 1]
    return Row(
        metric=found.name, of=shorten(found.of, 60), value=f"≥ {value}" if found.censored else value,
        interval=interval or messages.KINDS[found.kind], unit=found.unit,
        n=f"{formatting.count(found.n)}{'' if found.unit_of_resampling in PLAIN else f' {unit}'}" if unit else "",
    )  # fmt: skip


def _judged(row: Row, verdict: Verdict, *, said: bool) -> Row:
    replaced = f"Replaces {formatting.bound(verdict.replaced)}." if verdict.replaced else ""
    adjusted = f"p {formatting.number(verdict.p, 2)} after Holm." if verdict.p is not None else ""
    remarks = (
        "" if said else verdict.reason, "" if said else verdict.would_decide, adjusted,
        f"Bound: {expectations.set_by(verdict)}{f', “{verdict.why}”' if verdict.why else ''}.", replaced,
        "Loosened." if verdict.loosened else "", "Severity warn." if verdict.severity == "warn" else "",
    )  # fmt: skip
    return replace(
        row, bound=formatting.bound(verdict.expect), margin=margin(verdict), waived=verdict.waived,
        outcome=expectations.shown_outcome(verdict), value=row.value or "–",
        remarks=tuple(shorten(remark, 300) for remark in remarks if remark),
    )  # fmt: skip
