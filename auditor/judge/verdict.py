"""Verdicts: what judge says of one expectation, one check and the whole audit."""

from typing import Literal

from auditor.evidence import Failure, Measurement
from auditor.spec.model import Severity
from auditor.values import Value

RuleOutcome = Literal["pass", "warn", "fail", "inconclusive"]
Outcome = Literal["pass", "warn", "fail", "inconclusive", "info", "error", "skipped", "not_run"]
AuditOutcome = Literal["pass", "fail", "inconclusive"]


class Verdict(Value):
    """The outcome of one expectation for one `of`. `expect` is the bound as text, e.g. ">= 0.85".

    low and high are its displayed (marginal) interval; margin is the distance from the estimate to the bound,
    positive on the good side; p is the Holm-adjusted one-sided p-value of a sampled fail.
    would_decide: "about n' examples would decide" for an inconclusive one.
    """

    metric: str
    of: str = ""
    expect: str
    outcome: RuleOutcome
    waived: bool = False
    severity: Severity = "error"
    reason: str = ""
    why: str = ""
    set_by: str
    inherited: bool = False
    replaced: str = ""
    loosened: bool = False
    value: float | None = None
    low: float | None = None
    high: float | None = None
    bound: float | None = None
    margin: float | None = None
    n: int | None = None
    p: float | None = None
    would_decide: str = ""


class Shown(Measurement):
    """A measurement with its marginal interval, as results.json shows it."""

    low: float | None = None
    high: float | None = None


class Judged(Value):
    """One check, judged."""

    id: str
    outcome: Outcome
    reason: str = ""
    measurements: tuple[Shown, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    failure: Failure | None = None


class NotTested(Value):
    """Something that this audit does not speak about: what, why, and how one would test it."""

    what: str
    why: str
    how: str = ""


class Judgement(Value):
    """The audit, judged."""

    outcome: AuditOutcome
    reason: str = ""
    checks: tuple[Judged, ...]
    not_tested: tuple[NotTested, ...] = ()
