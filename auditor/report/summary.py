"""The page that is read if only one is: the verdict, the expectations, what matters most, what was not tested."""

import re
from dataclasses import dataclass

from auditor.check import PILLARS, Pillar
from auditor.judge.verdict import NotTested, Outcome
from auditor.report import expectations, formatting, messages, naming
from auditor.report.expectations import Expectation
from auditor.report.plain import shorten
from auditor.results import Report, Result

MAX_EXPECTATIONS = 14
MAX_FINDINGS = 3
MAX_NOT_TESTED = 5
_MATTERS: tuple[Outcome, ...] = ("fail", "error", "inconclusive", "warn")


@dataclass(frozen=True)
class Row:
    """One line of the table of expectations."""

    anchor: str
    pillar: Pillar
    check: str
    metric: str
    of: str
    bound: str
    value: str
    interval: str
    n: str
    set_by: str
    loosened: bool
    outcome: Outcome
    waived: bool


@dataclass(frozen=True)
class Finding:
    """One finding: the lead in bold, the consequence, what to try."""

    outcome: Outcome
    lead: str
    text: str
    advice: str
    anchor: str


@dataclass(frozen=True)
class PillarRow:
    """One pillar of the matrix: how many of its checks ended how."""

    pillar: Pillar
    word: str
    counts: tuple[tuple[Outcome, int], ...]


@dataclass(frozen=True)
class Summary:
    """All of the summary page."""

    rows: tuple[Row, ...]
    left_out: int
    bounds: str
    findings: tuple[Finding, ...]
    outcomes: tuple[Outcome, ...]
    matrix: tuple[PillarRow, ...]
    not_tested: tuple[NotTested, ...]
    not_tested_more: int


def summarize(report: Report) -> Summary:
    """The summary of a report."""
    names = naming.titles(report)
    everything = expectations.of_report(report)
    chosen = everything
    if len(everything) > MAX_EXPECTATIONS:
        chosen = tuple(sorted(everything, key=lambda row: expectations.rank(row.worst)))[:MAX_EXPECTATIONS]
    ended = tuple(outcome for outcome in messages.MARKS if any(check.outcome == outcome for check in report.checks))
    return Summary(
        rows=tuple(_row(row, names) for row in chosen),
        left_out=len(everything) - len(chosen),
        bounds=bounds_sentence(report),
        findings=_findings(report, everything, names),
        outcomes=ended,
        matrix=tuple(_pillar(report, pillar, ended) for pillar in PILLARS),
        not_tested=report.not_tested[:MAX_NOT_TESTED],
        not_tested_more=max(0, len(report.not_tested) - MAX_NOT_TESTED),
    )


def bounds_sentence(report: Report) -> str:
    """Who set the bounds, e.g. "7 bounds set by the owner, 5 by preset convention, 1 loosened."."""
    rules = [rule for check in report.spec.checks for rule in check.rules]
    if not rules:
        return "No bounds were set."
    preset, loosened = sum(rule.inherited for rule in rules), sum(rule.loosened for rule in rules)
    owner = messages.plural(len(rules) - preset, "bound")
    return f"{owner} set by the owner, {preset} by preset convention, {loosened or 'none'} loosened."


def _row(row: Expectation, names: dict[str, str]) -> Row:
    verdict = row.worst
    value, interval = formatting.interval(verdict.value, verdict.low, verdict.high)
    worst_of = f"{verdict.of} (worst of {row.count})" if row.count > 1 else verdict.of
    return Row(
        anchor=naming.anchor(row.check), pillar=row.check.pillar, check=shorten(names[row.check.id], 48),
        metric=verdict.metric, of=shorten(worst_of, 48), bound=formatting.bound(verdict.expect),
        value=value, interval=interval, n=expectations.sample(row.check, verdict)[0],
        set_by="preset" if verdict.inherited else "owner", loosened=verdict.loosened,
        outcome=row.outcome, waived=verdict.waived,
    )  # fmt: skip


def _pillar(report: Report, pillar: Pillar, ended: tuple[Outcome, ...]) -> PillarRow:
    found = [check.outcome for check in report.checks if check.pillar == pillar]
    counts = tuple((outcome, found.count(outcome)) for outcome in ended)
    return PillarRow(pillar, messages.PILLAR_WORDS[pillar], counts)


def _findings(report: Report, rows: tuple[Expectation, ...], names: dict[str, str]) -> tuple[Finding, ...]:
    """The three that matter most, one a check: fails, broken checks, undecided ones, warnings."""
    worst: dict[str, Expectation] = {}
    for row in sorted(rows, key=lambda row: expectations.rank(row.worst)):
        worst.setdefault(row.check.id, row)
    found: list[tuple[int, bool, Finding]] = []
    for check in report.checks:
        finding = _finding(check, worst.get(check.id), names)
        if finding.outcome in _MATTERS:
            lenient = check.id in worst and not worst[check.id].counts
            found.append((_MATTERS.index(finding.outcome), lenient, finding))
    found.sort(key=lambda item: item[:2])
    return tuple(finding for _, _, finding in found[:MAX_FINDINGS])


def _finding(check: Result, row: Expectation | None, names: dict[str, str]) -> Finding:
    title, anchor = shorten(names[check.id], 60), naming.anchor(check)
    if row is None or check.outcome == "error":
        lead = messages.FINDING_LEADS[check.outcome].format(title=title, metric="")
        reason = check.failure.message if check.failure else check.reason
        hint = check.failure.hint if check.failure else ""
        return Finding(check.outcome, lead, shorten(reason, 240), shorten(hint, 240), anchor)
    verdict = row.worst
    metric = f"{verdict.metric} of {verdict.of}" if verdict.of else verdict.metric
    value, interval = formatting.interval(verdict.value, verdict.low, verdict.high)
    text = messages.FINDING_VALUES.get(row.outcome, "").format(
        value=f"{value} {interval}".strip() or "No value",
        bound=formatting.bound(verdict.expect),
        set_by=expectations.set_by(verdict),
    )
    reason = shorten(verdict.reason or verdict.why, 200)
    advice = verdict.would_decide if row.outcome == "inconclusive" else check.what_to_try.get(verdict.metric, "")
    lead = messages.FINDING_LEADS[row.outcome].format(title=title, metric=shorten(metric, 60))
    return Finding(row.outcome, lead, f"{text} {sentence(reason)}".strip(), sentence(shorten(advice, 240)), anchor)


def sentence(text: str) -> str:
    """The text with a capital first and a full stop last.

    >>> sentence("about 47 examples would decide")
    'About 47 examples would decide.'
    """
    text = text.strip()
    if not text:
        return ""
    return text[0].upper() + ended(text[1:])


def ended(text: str) -> str:
    """The text with a full stop last, and its first letter as it is: it may begin with the name of a layer.

    >>> ended("layer1 is dead"), ended("Left out: layer2 ....")
    ('layer1 is dead.', 'Left out: layer2 …')
    """
    text = re.sub(r"\s*\.{3,}$", " …", text)
    return text + ("" if text.endswith((".", "!", "?", "…")) else ".")
