"""Audits in this process: the five stages without a worker and without a report, so that hundreds take minutes."""

import contextlib
import io
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from auditor.audit.prepare import Options, Prepared, prepare, validate
from auditor.blocks import Text
from auditor.evidence import Evidence, Failure, Finding
from auditor.execute.workshop import Workshop
from auditor.judge.judge import judge
from auditor.judge.verdict import Judgement, Verdict


@dataclass(frozen=True)
class Audited:
    """An audit's judgement, what each check found, and the seconds each took."""

    judgement: Judgement
    findings: Mapping[str, Finding]
    seconds: Mapping[str, float]

    def failed(self) -> tuple[str, ...]:
        """The expectations of severity error that failed, as check.metric."""
        return tuple(dict.fromkeys(name for name, verdict in self._verdicts() if _fails(verdict)))

    def open(self) -> tuple[str, ...]:
        """The expectations of severity error that stayed undecided."""
        return tuple(
            dict.fromkeys(
                name
                for name, verdict in self._verdicts()
                if verdict.severity == "error" and verdict.outcome == "inconclusive"
            )
        )

    def warned(self) -> tuple[str, ...]:
        """The expectations that warned."""
        return tuple(
            dict.fromkeys(
                name
                for name, verdict in self._verdicts()
                if verdict.outcome == "warn" or (verdict.severity == "warn" and verdict.outcome == "fail")
            )
        )

    def broken(self) -> dict[str, str]:
        """The checks that ended in error, and how."""
        return {each.id: each.reason for each in self.judgement.checks if each.outcome == "error"}

    def values(self) -> Iterable[tuple[str, str, float]]:
        """Each measurement: check.metric, of, value."""
        for each in self.judgement.checks:
            for found in each.measurements:
                yield f"{each.id}.{found.name}", found.of, found.value

    def told(self, title: str) -> str:
        """The text that a check shows under this title, "" where none does."""
        blocks = (block for found in self.findings.values() if isinstance(found, Evidence) for block in found.blocks)
        return next((block.text for block in blocks if isinstance(block, Text) and block.title == title), "")

    def _verdicts(self) -> Iterable[tuple[str, Verdict]]:
        for each in self.judgement.checks:
            for verdict in each.verdicts:
                yield f"{each.id}.{verdict.metric}", verdict


def _fails(verdict: Verdict) -> bool:
    return verdict.severity == "error" and verdict.outcome == "fail" and not verdict.waived


def deciding(spec: Path, family: str = "") -> str:
    """The words of -k for the checks that can fail this audit: those with an expectation of severity error.

    family: how their names begin.
    The others cannot move the outcome, and leaving them out leaves Holm's family as it is (it is fixed by the spec).
    """
    entries = validate(spec).spec.checks
    chosen = (each for each in entries if each.use.startswith(family))
    return " or ".join(each.use for each in chosen if any(rule.severity == "error" for rule in each.rules))


def audit(spec: Path, cache: Path, trust: Iterable[str] = (), only: str = "") -> Audited:
    """Spec, plan, execute and judge, on one thread; faults of checks stay theirs, as in a real audit."""
    prepared = prepare(spec, Options(cache=cache, trust=frozenset(trust), only=only))
    failures, seconds = _work(prepared)
    findings: dict[str, Finding] = dict(prepared.plan.absent)
    for check_id, key in prepared.plan.measures.items():
        findings[check_id] = failures[key] if key in failures else prepared.store.get(key, Evidence)
    loaded = prepared.loaded.spec
    metrics = {entry.id: prepared.registry.check(entry.use).metrics for entry in loaded.checks}
    judgement = judge(loaded, findings, metrics, datetime.now(UTC), partial=bool(prepared.deselected))
    return Audited(judgement, findings, seconds)


def _work(prepared: Prepared) -> tuple[dict[str, Failure], dict[str, float]]:
    """The jobs one after another; a job whose upstream failed fails with it."""
    workshop = Workshop(prepared.loaded.root, prepared.store, threads=1, note=lambda text: None)
    failures: dict[str, Failure] = {}
    seconds: dict[str, float] = {}
    for job in prepared.plan.jobs:
        cause = next((failures[key] for key in job.requires if key in failures), None)
        if cause is not None:
            failures.update({key: cause for key in job.produces})
            continue
        began = time.process_time()
        with contextlib.redirect_stderr(io.StringIO()):  # a failure's trace; the failure itself is kept
            failures.update(workshop.make([prepared.plan.nodes[key] for key in job.produces], lambda *told: None))
        seconds[job.title] = seconds.get(job.title, 0.0) + time.process_time() - began
    return failures, seconds
