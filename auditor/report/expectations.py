"""Expectations as rows: the verdicts of one rule, of all its `of`, under the worst of them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from auditor.judge.verdict import Outcome, Verdict
from auditor.report import formatting, messages
from auditor.results import Report, Result

_ORDER: tuple[Outcome, ...] = ("fail", "inconclusive", "warn", "pass")


@dataclass(frozen=True)
class Expectation:
    """One expectation of one check: its worst verdict stands for it, `count` verdicts lie behind it."""

    check: Result
    worst: Verdict
    count: int

    @property
    def outcome(self) -> Outcome:
        """What is shown: a fail of severity warn is a warning."""
        return shown_outcome(self.worst)

    @property
    def counts(self) -> bool:
        """Whether it can move the verdict of the audit."""
        return self.worst.severity == "error" and not self.worst.waived


def shown_outcome(verdict: Verdict) -> Outcome:
    """The outcome of a verdict on the page: a fail of severity warn is a warning."""
    return "warn" if verdict.outcome == "fail" and verdict.severity == "warn" else verdict.outcome


def rank(verdict: Verdict) -> tuple[int, bool, float]:
    """Sort key: the worst first; among equals unwaived before waived, then the widest miss."""
    return _ORDER.index(shown_outcome(verdict)), verdict.waived, _relative_margin(verdict)


def order(verdict: Verdict) -> tuple[int, bool, float]:
    """Sort key of the expectations of one check: the worst first, passes as they stand in the spec."""
    at, waived, miss = rank(verdict)
    return at, waived, 0.0 if verdict.outcome == "pass" else miss


def of_check(check: Result) -> tuple[Expectation, ...]:
    """The expectations of one check in the order of the spec."""
    groups: dict[tuple[str, str, str], list[Verdict]] = {}
    for verdict in check.verdicts:
        groups.setdefault((verdict.metric, verdict.expect, verdict.set_by), []).append(verdict)
    return tuple(Expectation(check, min(group, key=rank), len(group)) for group in groups.values())


def of_report(report: Report) -> tuple[Expectation, ...]:
    """All expectations in the order of the report."""
    return tuple(expectation for check in report.checks for expectation in of_check(check))


def tally(expectations: Iterable[Expectation]) -> str:
    """How many expectations ended how, as a sentence."""
    rows = tuple(expectations)
    if not rows:
        return "Nothing was expected of this model, so nothing was judged."
    by = {outcome: sum(row.outcome == outcome for row in rows) for outcome in _ORDER}
    waived = sum(row.worst.waived for row in rows)
    tail = f" ({waived} waived)" if waived else ""
    if by["pass"] == len(rows):
        return f"All {messages.plural(len(rows), 'expectation')} passed{tail}." if len(rows) > 1 else "It passed."
    told = [
        messages.TALLY[outcome].format(n=by[outcome], are="is" if by[outcome] == 1 else "are")
        for outcome in _ORDER
        if by[outcome]
    ]
    first, _, rest = told[0].partition(" ")
    of = f"{first} of {messages.plural(len(rows), 'expectation')} {rest}"
    return f"{', '.join([of, *told[1:]])}{tail}."


def shown(rows: tuple[Expectation, ...]) -> Expectation | None:
    """The expectation that stands for a check: the worst; where all are equal, the first of the spec."""
    return min(rows, key=lambda row: order(row.worst), default=None)


def set_by(verdict: Verdict) -> str:
    """Who set the bound, in a few words."""
    if verdict.inherited:
        return f"preset {verdict.set_by}"
    return f"owner, {place(verdict.set_by)}" if verdict.set_by else "owner"


def place(where: str) -> str:
    """A line of the spec, without the path that every line of it shares.

    >>> place("specs/quickstart.yaml:46"), place("command line")
    ('spec line 46', 'command line')
    """
    found = re.fullmatch(r".*\.ya?ml:(\d+)", where)
    return f"spec line {found.group(1)}" if found else where


def sample(check: Result, verdict: Verdict) -> tuple[str, str]:
    """The sample size and its unit, or the word "exact"."""
    found = next((m for m in check.measurements if (m.name, m.of) == (verdict.metric, verdict.of)), None)
    if found is not None and found.kind == "exact":
        return "exact", "no sampling"
    if verdict.n is None or (found is not None and found.method == "enclosure"):
        return "", ""
    one, many = messages.UNITS[found.unit_of_resampling] if found else ("", "")
    return formatting.count(verdict.n), one if verdict.n == 1 else many


def _relative_margin(verdict: Verdict) -> float:
    if verdict.margin is None:
        return 0.0
    return verdict.margin / (abs(verdict.bound or 0.0) or 1.0)
