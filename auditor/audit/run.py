"""run(): spec, plan, execute, judge, report, each called once."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from auditor.audit.assemble import assemble
from auditor.audit.journal import Journal, OnEvent, Planned
from auditor.audit.prepare import Options, Prepared, prepare
from auditor.audit.provenance import hardware, provenance
from auditor.audit.writing import point_latest, require_printable, require_writable, write
from auditor.check import Check
from auditor.errors import StoreError
from auditor.evidence import Evidence, Failure, Finding
from auditor.execute.local import Local
from auditor.execute.offline import offline
from auditor.execute.protocol import Note
from auditor.judge.judge import judge
from auditor.plan.build import Plan
from auditor.plan.measure import Measure
from auditor.report.press import Press
from auditor.results import Report, Run
from auditor.sources import trust

EXIT_CODES = {"pass": 0, "fail": 1, "inconclusive": 3}
INTERRUPTED = 130
EMPTIED = "let nothing empty the cache while an audit runs, and run it again"


@dataclass(frozen=True)
class Outcome:
    """What a run gives back: the report's value, the folder it stands in, and the exit code of the command line."""

    report: Report
    folder: Path
    exit_code: int


def run(path: Path, options: Options | None = None, on_event: OnEvent | None = None) -> Outcome:
    """Run an audit and write its reports.

    Raises AuditorError for what must be mended before anything runs (spec, sources, consent). A fault while running
    ends its own check; an interruption leaves a report of what was done, with exit code 130.
    """
    chosen = options or Options()
    with offline() if chosen.offline else nullcontext():
        return _run(path, chosen, Journal(on_event or (lambda event: None)))


def _run(path: Path, chosen: Options, journal: Journal) -> Outcome:
    started = datetime.now(UTC)
    prepared = prepare(path, chosen)
    trust.require(prepared.described.models.values(), trust.consent(chosen.trust))
    require_writable(chosen.out)
    require_printable(prepared.loaded.spec.report.formats)
    with _warm(prepared) as press:
        findings, interrupted = _execute(prepared, chosen, journal)
        report = _judge(prepared, findings, started, journal, interrupted)
        place = write(prepared, report, findings, journal, chosen.out, press)
    complete = not report.audit.partial and not interrupted
    if complete:
        point_latest(place)
    return Outcome(report, place, INTERRUPTED if interrupted else EXIT_CODES[report.audit.outcome])


def _warm(prepared: Prepared) -> AbstractContextManager[Press | None]:
    """A press that warms up while the audit is judged, where nothing is left to compute; else it starts when needed."""
    stored = not prepared.plan.jobs and "pdf" in prepared.loaded.spec.report.formats
    return Press() if stored else nullcontext()


def _execute(prepared: Prepared, chosen: Options, journal: Journal) -> tuple[dict[str, Finding], bool]:
    """Run the jobs and read the evidence; what is gone from the store, or corrupt, is computed once more."""
    failures = _work(prepared, prepared.plan, chosen, journal)
    findings, lost = _findings(prepared, prepared.plan, failures)
    if lost and not _was_interrupted(failures):
        for text in lost:
            journal(Note(job="", text=f"{text}; it is computed again"))
        plan = prepared.replanned()
        failures = _work(prepared, plan, chosen, journal)
        findings, _ = _findings(prepared, plan, failures)
    return findings, _was_interrupted(failures)


def _work(prepared: Prepared, plan: Plan, chosen: Options, journal: Journal) -> dict[str, Failure]:
    stored = len(plan.measures) - len([job for job in plan.jobs if job.kind == "measure"])
    journal(Planned(jobs=len(plan.jobs), stored=stored))
    local = Local(
        root=prepared.loaded.root, cache=prepared.store.root, workers=chosen.workers, env=tuple(sorted(chosen.env)),
        offline=chosen.offline,
    )  # fmt: skip
    return local.run(plan, prepared.loaded.spec, prepared.subjects, journal, prepared.registry.plugins)


def _was_interrupted(failures: Mapping[str, Failure]) -> bool:
    return any(failure.kind == "interrupted" for failure in failures.values())


def _findings(
    prepared: Prepared, plan: Plan, failures: Mapping[str, Failure]
) -> tuple[dict[str, Finding], tuple[str, ...]]:
    """What came of each check, and what the store had promised but does not give; such a check is a failure."""
    findings: dict[str, Finding] = dict(plan.absent)
    lost: list[str] = []
    for check_id, key in plan.measures.items():
        try:
            findings[check_id] = failures[key] if key in failures else prepared.store.get(key, Evidence)
        except StoreError as error:
            lost.append(error.message)
            findings[check_id] = Failure(kind="exception", message=error.message, hint=error.hint or EMPTIED)
    return findings, tuple(lost)


def _judge(
    prepared: Prepared, findings: Mapping[str, Finding], started: datetime, journal: Journal, interrupted: bool
) -> Report:
    spec, described = prepared.loaded.spec, prepared.described
    classes: dict[str, type[Check]] = {entry.use: prepared.registry.check(entry.use) for entry in spec.checks}
    metrics = {entry.id: classes[entry.use].metrics for entry in spec.checks}
    partial = bool(prepared.deselected)
    judgement = judge(spec, findings, metrics, started, partial=partial)
    runtimes = [subject.runtime for subject in described.subjects.values()]
    measures = {name: prepared.plan.nodes[key] for name, key in prepared.plan.measures.items()}
    seeds = {name: node.check_seed for name, node in measures.items() if isinstance(node, Measure)}
    jobs = {job.key for job in prepared.plan.jobs}
    run = Run(
        started=started.isoformat(timespec="seconds"),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds={job.title: journal.seconds[job.key] for job in prepared.plan.jobs if job.key in journal.seconds},
        cached={check_id: key not in jobs for check_id, key in prepared.plan.measures.items()},
        hardware=hardware(),
    )
    return assemble(
        spec, judgement, findings, classes, described.models, described.data,
        provenance(runtimes[0], seeds, prepared.loaded.root), run, partial=partial, interrupted=interrupted,
    )  # fmt: skip
