"""The plan: every question of the audit once, passes shared, what is stored left out, in an order that works."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from auditor.check import Check
from auditor.evidence import Absent
from auditor.needs import Cost, Need, Probe, Sweep, fingerprint
from auditor.plan.measure import Measure, measure_of
from auditor.spec.model import CheckEntry, Spec
from auditor.subject import Subject
from auditor.values import Value, sha256

Kind = Literal["build", "sweep", "measure"]


class Catalogue(Protocol):
    """Where checks come from."""

    def check(self, use: str) -> type[Check]:
        """The class of the check of that name."""


class Job(Value):
    """One thing that a worker does at a stretch.

    produces: the need keys that it answers. requires: the stored needs that it reads. after: the jobs that come
    before it. checks: the ids of the checks that wait for it.
    """

    key: str
    kind: Kind
    title: str
    produces: tuple[str, ...]
    requires: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    cost: Cost = Cost()
    checks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """jobs: in an order that works. nodes: every need met, by key. measures: the last key of each check.

    absent: checks without a job, and why. reused: the stored keys that the plan rests on; building the plan again
    with just these gives the same plan.
    """

    jobs: tuple[Job, ...]
    nodes: Mapping[str, Need[Any]]
    measures: Mapping[str, str]
    absent: Mapping[str, Absent]
    reused: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """The identity of the plan: two processes that agree on it run the same jobs."""
        return sha256([job.to_json() for job in self.jobs])


def build(spec: Spec, subjects: Mapping[str, Subject], catalogue: Catalogue, stored: Container[str]) -> Plan:
    """The plan of the checks that have a subject; a check without one was deselected and is not run.

    Pure and torch-free: equal arguments give equal plans, in any process. Raises UsageError when a check's
    measure() and needs() disagree.
    """
    measures: dict[str, Measure] = {}
    absent: dict[str, Absent] = {}
    for entry in spec.checks:
        found = _ask(entry, subjects.get(entry.id), spec.run.seed, catalogue)
        if isinstance(found, Absent):
            absent[entry.id] = found
        else:
            measures[entry.id] = found
    walk = _Walk(stored)
    for check_id, measure in measures.items():
        walk.visit(measure, check_id)
    return Plan(
        jobs=_jobs(walk),
        nodes=walk.nodes,
        measures={check_id: measure.key for check_id, measure in measures.items()},
        absent=absent,
        reused=tuple(sorted(walk.reused)),
    )


def _ask(entry: CheckEntry, subject: Subject | None, run_seed: int, catalogue: Catalogue) -> Measure | Absent:
    if subject is None:
        return Absent(kind="not_run", reason="deselected")
    check = catalogue.check(entry.use).model_validate(entry.params)
    reason = check.applies(subject)
    if reason is not None:
        return Absent(kind="skipped", reason=reason)
    return measure_of(check, entry.id, run_seed, check.needs(subject))


class _Walk:
    """The needs met so far: `todo` in an order where upstream comes first, and who waits for each."""

    def __init__(self, stored: Container[str]) -> None:
        self.stored = stored
        self.nodes: dict[str, Need[Any]] = {}
        self.todo: dict[str, Need[Any]] = {}
        self.reused: set[str] = set()
        self.checks: dict[str, list[str]] = {}
        self.order: dict[str, None] = {}

    def visit(self, need: Need[Any], check_id: str) -> None:
        """Enter a need and, unless it is stored, all that it is built from."""
        waiting = self.checks.setdefault(need.key, [])
        if check_id in waiting:
            return
        waiting.append(check_id)
        self.order.setdefault(check_id)
        need = self.nodes.setdefault(need.key, need)
        if need.stored and need.key in self.stored:
            self.reused.add(need.key)
            return
        for upstream in need.needs().values():
            self.visit(upstream, check_id)
        self.todo.setdefault(need.key, need)

    def requires(self, need: Need[Any]) -> tuple[str, ...]:
        """Keys of the stored needs that a need reads, looked up through live ones."""
        found: dict[str, None] = {}
        for upstream in need.needs().values():
            for key in (upstream.key,) if upstream.stored else self.requires(upstream):
                found.setdefault(key)
        return tuple(found)


def _jobs(walk: _Walk) -> tuple[Job, ...]:
    groups: dict[str, list[Need[Any]]] = {}
    for need in walk.todo.values():
        if need.stored:
            name = sha256(fingerprint(need.sweep)) if isinstance(need, Probe) else need.key
            groups.setdefault(name, []).append(need)
    jobs = [_job(group, walk) for group in groups.values()]
    maker = {key: job.key for job in jobs for key in job.produces}
    linked = [
        job.model_copy(update={"after": tuple(dict.fromkeys(maker[key] for key in job.requires if key in maker))})
        for job in jobs
    ]
    return _ordered(linked)


def _job(group: list[Need[Any]], walk: _Walk) -> Job:
    first = group[0]
    produces = tuple(need.key for need in group)
    waiting = {check_id for key in produces for check_id in walk.checks[key]}
    is_sweep = isinstance(first, Probe)
    return Job(
        key=sha256({"sweep": sorted(produces)}) if is_sweep else first.key,
        kind="sweep" if is_sweep else "measure" if isinstance(first, Measure) else "build",
        title=", ".join(dict.fromkeys(need.title for need in group)),
        produces=produces,
        requires=tuple(dict.fromkeys(key for need in group for key in walk.requires(need))),
        cost=_sweep_cost([need for need in group if isinstance(need, Probe)]) if is_sweep else first.cost(),
        checks=tuple(check_id for check_id in walk.order if check_id in waiting),
    )


def _sweep_cost(probes: list[Probe[Any]]) -> Cost:
    """Forwards: batches of the longest probe. Backwards: batches of the longest probe that wants a gradient."""
    sweep: Sweep = probes[0].sweep
    wants = [probe for probe in probes if any("gradient" in tap.kind for tap in probe.taps)]
    return Cost(
        forwards=max(sweep.batch_count(probe.rows) for probe in probes),
        backwards=max((sweep.batch_count(probe.rows) for probe in wants), default=0),
    )


def _ordered(jobs: list[Job]) -> tuple[Job, ...]:
    """Kahn's order, stable: of the jobs whose upstream is done, the one met first."""
    ordered: dict[str, Job] = {}
    waiting = list(jobs)
    while waiting:
        ready = next((job for job in waiting if all(key in ordered for key in job.after)), None)
        if ready is None:
            raise ValueError(f"needs that wait for each other: {', '.join(job.title for job in waiting)}")
        ordered[ready.key] = ready
        waiting.remove(ready)
    return tuple(ordered.values())
