"""The last lines of a run: a table of verdicts, the next step for each open one, and where the reports are."""

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from auditor.judge.verdict import Verdict
from auditor.results import Report, Result

LOOKS = {
    "pass": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "bold red"), "inconclusive": ("?", "yellow"),
    "info": ("·", "dim"), "error": ("✗", "bold red"), "skipped": ("-", "dim"), "not_run": ("-", "dim"),
}  # fmt: skip
OPEN = {"fail", "inconclusive", "error"}
PAGES = ("report.html", "report.pdf", "junit.xml", "results.json")


def show(console: Console, report: Report, folder: Path) -> None:
    """Print the verdicts, what to do next, what was not tested, the outcome and the paths of the pages."""
    console.print(_table(report))
    for line in (*_next_steps(report), *_not_tested(report)):
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    audit = report.audit
    words = [word for word, holds in (("PARTIAL", audit.partial), ("INTERRUPTED", audit.interrupted)) if holds]
    mark, style = LOOKS[audit.outcome]
    console.print()
    console.print(Text(f"{mark} {' '.join((audit.outcome.upper(), *words))}", style=style), Text(audit.reason))
    console.print(f"finding digest {report.finding_digest[:16]}", highlight=False, style="dim")
    for name in PAGES:
        if (folder / name).is_file():
            console.print(f"  {folder / name}", soft_wrap=True, highlight=False, markup=False)


def _table(report: Report) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("", "check", "metric", "value", "interval", "expected"):
        table.add_column(column, justify="right" if column in {"value", "interval"} else "left", overflow="fold")
    for result in report.checks:
        verdicts = () if result.outcome == "not_run" else result.verdicts  # one line says it for all of them
        if not verdicts:
            table.add_row(_mark(result.outcome), result.id, Text(_clause(_first_line(result)), style="dim"))
        for verdict in verdicts:
            table.add_row(*_cells(result, verdict))
    return table


def _cells(result: Result, verdict: Verdict) -> tuple[Text | str, ...]:
    metric = f"{verdict.metric} of {verdict.of}" if verdict.of else verdict.metric
    value = "" if verdict.value is None else f"{verdict.value:.4g}"
    has_interval = verdict.low is not None and verdict.high is not None
    interval = f"[{verdict.low:.3g}, {verdict.high:.3g}]" if has_interval else ""
    return _mark(verdict.outcome, waived=verdict.waived), result.id, metric, value, interval, verdict.expect


def _mark(outcome: str, *, waived: bool = False) -> Text:
    mark, style = LOOKS[outcome]
    return Text(f"{mark} {outcome.replace('_', ' ')}{' (waived)' if waived else ''}", style=style)


def _first_line(result: Result) -> str:
    reason = result.failure.message if result.failure else result.reason
    return (reason.splitlines() or [""])[0]


def _next_steps(report: Report) -> Iterator[str]:
    """One line for each check that did not come to a good end: what would decide or mend it."""
    steps = [*_open_checks(report), *_own_bounds(report)]
    if steps:
        yield "\nNext steps"
    yield from steps


def _open_checks(report: Report) -> Iterator[str]:
    for result in report.checks:
        if result.outcome in OPEN or _left_open(result):
            worst = next((v for v in result.verdicts if v.outcome == result.outcome and not v.waived), None)
            yield f"  {result.id}: {_step(result, worst)}"


def _own_bounds(report: Report) -> Iterator[str]:
    """Where nothing can pass or fail: how to write a bound that decides, with one of this audit as the example."""
    judged = [(result, verdict) for result in report.checks for verdict in result.verdicts]
    if any(verdict.severity == "error" for _, verdict in judged):
        return
    yield "  the spec: write a bound of your own into it, those of presets only warn; for instance, under `checks`:"
    result, verdict = judged[0] if judged else (None, None)
    yield f"      - id: {result.id if result else 'ID'}"
    yield f'        expect: {{{verdict.metric}: "{verdict.expect}"}}' if verdict else "        expect: {METRIC: BOUND}"


def _left_open(result: Result) -> bool:
    """Whether a check that does not apply leaves something undecided that counts: its reason is what to mend."""
    undecided = any(verdict.outcome == "inconclusive" and verdict.severity == "error" for verdict in result.verdicts)
    return result.outcome == "skipped" and undecided


def _step(result: Result, verdict: Verdict | None) -> str:
    if result.failure is not None:
        return result.failure.hint or _first_line(result)
    if verdict is None:
        return result.reason
    advice = result.what_to_try.get(verdict.metric, "") if verdict.outcome == "fail" else verdict.would_decide
    return advice or verdict.reason or result.reason


def _not_tested(report: Report) -> Iterator[str]:
    """The gaps; those of one reason stand together."""
    if report.not_tested:
        yield "\nNot tested"
    alike: dict[tuple[str, str], list[str]] = {}
    for gap in report.not_tested:
        alike.setdefault((_clause(gap.why), gap.how), []).append(gap.what)
    for (why, how), names in alike.items():
        yield f"  {', '.join(names)}: {why}"
        yield from (f"      {line}" for line in how.splitlines())


def _clause(reason: str) -> str:
    """What is the matter; what to do about it follows a semicolon, and the report has it."""
    return reason.partition("; ")[0]
