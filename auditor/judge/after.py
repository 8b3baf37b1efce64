"""After: a pass that rests on a precondition counts only if that passed (rule 7)."""

from collections.abc import Mapping, Sequence

from auditor.judge.cases import Case
from auditor.judge.messages import say
from auditor.judge.verdict import Outcome
from auditor.spec.model import CheckEntry


def unmet(entries: Sequence[CheckEntry], outcomes: Mapping[str, Outcome]) -> dict[str, tuple[str, ...]]:
    """By check, the preconditions that did not pass, given how each check ends by itself.

    A check passes in the end if it passes by itself and all its preconditions do: the least fixed point, so the
    order of the checks changes nothing and checks that wait for each other never pass. A check that is not in the
    audit did not pass.
    """
    passed: set[str] = set()
    for _ in entries:
        passed |= {e.id for e in entries if outcomes.get(e.id) == "pass" and passed.issuperset(e.after)}
    return {e.id: tuple(name for name in e.after if name not in passed) for e in entries}


def hold_back(case: Case, names: Sequence[str]) -> Case:
    """A pass (or a warning, which is one too) becomes inconclusive and names what did not pass; a fail stays."""
    if not names or case.verdict.outcome not in ("pass", "warn"):
        return case
    return case.ending("inconclusive", say("after", reason=case.verdict.reason, names=", ".join(names)))
