"""Standing: what came back of a check before any expectation is put to it (rule 7)."""

from dataclasses import dataclass
from typing import Literal

from auditor.evidence import Absent, Evidence, Failure, Finding
from auditor.judge.messages import say
from auditor.judge.soundness import flaws


@dataclass(frozen=True)
class Standing:
    """Evidence, or the way in which there is none, with the reason in plain words."""

    kind: Literal["evidence", "skipped", "not_run", "error"]
    reason: str = ""
    evidence: Evidence | None = None
    failure: Failure | None = None

    def cannot_be(self, metric: str) -> str:
        """Why this metric does not apply here, or ""; what merely was not measured does apply."""
        if self.kind == "skipped":
            return self.reason
        return self.evidence.inapplicable.get(metric, "") if self.evidence else ""


def standing(finding: Finding | None) -> Standing:
    """How a check stands. Evidence with a number that is none ends in error; no finding at all is not run."""
    match finding:
        case None:
            return Standing("not_run", say("missing"))
        case Absent(kind=kind, reason=reason):
            return Standing(kind, reason)
        case Failure(kind="not_applicable"):
            return Standing("skipped", finding.message)
        case Failure(kind="interrupted"):
            return Standing("not_run", finding.message, failure=finding)
        case Failure():
            return Standing("error", finding.message, failure=finding)
        case Evidence():
            return _sound(finding)


def _sound(evidence: Evidence) -> Standing:
    found = flaws(evidence)
    if not found:
        return Standing("evidence", evidence=evidence)
    return Standing("error", found[0], failure=Failure(kind="exception", message=" ".join(found)))
