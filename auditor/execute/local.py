"""Local: the plan's jobs done by workers on this machine, each fault ending in its own outcome."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Protocol

from auditor.errors import StoreError
from auditor.evidence import Failure
from auditor.execute import faults
from auditor.execute.bell import Bell
from auditor.execute.process import Process, wait_any
from auditor.execute.protocol import (
    Answer,
    Begun,
    Done,
    Event,
    Failed,
    Finished,
    Order,
    Output,
    Ready,
    Start,
)
from auditor.execute.store import Store
from auditor.plan.build import Job, Plan
from auditor.spec.model import Spec
from auditor.subject import Subject

OnEvent = Callable[[Event], None]
_START_SECONDS = 120.0
_POLL_SECONDS = 0.1
_SLOW_PARTS = 2


class Executor(Protocol):
    """Whoever does the jobs of a plan: this machine's workers, or one day a cluster."""

    def run(
        self,
        plan: Plan,
        spec: Spec,
        subjects: Mapping[str, Subject],
        on_event: OnEvent,
        plugins: Mapping[str, str] | None = None,
    ) -> dict[str, Failure]:
        """Do every job; artifacts and evidence go to the store. The failures by need key. Never raises for a job."""


@dataclass(frozen=True)
class Local:
    """Workers on this machine. root: where relative paths begin; cache: the store's folder; env: variables to pass;
    offline: whether workers refuse to reach other machines."""

    root: Path
    cache: Path
    workers: int = 1
    env: tuple[str, ...] = ()
    offline: bool = False

    def run(
        self,
        plan: Plan,
        spec: Spec,
        subjects: Mapping[str, Subject],
        on_event: OnEvent,
        plugins: Mapping[str, str] | None = None,
    ) -> dict[str, Failure]:
        """Do every job; after Ctrl-C what is not done has a Failure of kind "interrupted".

        Raises StoreError, before anything runs, when the cache cannot be written.
        """
        threads = max((subject.runtime.threads for subject in subjects.values()), default=1)
        start = Start(
            spec=spec,
            subjects=dict(subjects),
            root=str(self.root.resolve()),
            cache=str(self.cache.resolve()),
            reused=plan.reused,
            plugins=dict(plugins or {}),
            threads=threads,
            offline=self.offline,
        )
        store = Store(self.cache)
        if plan.jobs:
            store.prepare()

        def hire() -> Process:
            return Process(start, self.env, self.workers)

        return _Shift(plan, hire, self.workers, spec.run.timeout, on_event, store).work()


@dataclass(frozen=True)
class _Task:
    """A job, or the part of it that is still wanted."""

    job: Job
    produces: tuple[str, ...]


@dataclass
class _Seat:
    """A worker and what it is doing."""

    process: Process
    is_ready: bool = False
    task: _Task | None = None
    is_sent: bool = False
    deadline: float = field(default_factory=lambda: monotonic() + _START_SECONDS)


class _Shift:
    """One run of a plan: who does what, what is settled, what failed."""

    def __init__(
        self,
        plan: Plan,
        hire: Callable[[], Process],
        workers: int,
        timeout: float,
        on_event: OnEvent,
        store: Store,
    ) -> None:
        self._plan, self._hire, self._workers, self._timeout = plan, hire, workers, timeout
        self._on_event, self._store = on_event, store
        self._waiting = [_Task(job, job.produces) for job in plan.jobs]
        self._seats: list[_Seat] = []
        self._settled: set[str] = set()
        self.failures: dict[str, Failure] = {}

    def work(self) -> dict[str, Failure]:
        """Until nothing waits and nobody works, or the user interrupts; no process is left in any case."""
        bell = Bell()
        try:
            with bell:
                self._work(bell)
        except KeyboardInterrupt:
            self._interrupt()
        finally:
            for seat in list(self._seats):
                self._dismiss(seat)
        return self.failures

    def _work(self, bell: Bell) -> None:
        while self._waiting or any(seat.task for seat in self._seats):
            bell.heed()
            self._hand_out()
            wait_any((seat.process for seat in self._seats), _POLL_SECONDS)
            for seat in list(self._seats):
                self._attend(seat)

    def _hand_out(self) -> None:
        for task in list(self._waiting):
            if not self._can_begin(task.job):
                continue
            cause = next((self.failures[key] for key in task.job.requires if key in self.failures), None)
            if cause is not None:
                self._waiting.remove(task)
                self._fail(task, cause)
            elif (seat := self._free_seat()) is not None:
                self._waiting.remove(task)
                seat.task, seat.is_sent = task, False
                self._on_event(Begun(job=task.job.key, title=task.job.title))
                self._send(seat)

    def _can_begin(self, job: Job) -> bool:
        outstanding = {task.job.key for task in self._waiting} | {
            seat.task.job.key for seat in self._seats if seat.task
        }
        return not any(key in outstanding for key in job.after)

    def _free_seat(self) -> _Seat | None:
        free = next((seat for seat in self._seats if seat.task is None), None)
        if free is None and len(self._seats) < self._workers:
            free = _Seat(self._hire())
            self._seats.append(free)
        return free

    def _send(self, seat: _Seat) -> None:
        if seat.is_ready and seat.task is not None and not seat.is_sent:
            seat.is_sent, seat.deadline = True, monotonic() + self._timeout
            seat.process.send(Order(job=seat.task.job.key, produces=seat.task.produces))

    def _attend(self, seat: _Seat) -> None:
        """Hear a worker out, then see whether it is still alive and in time."""
        is_dead = seat.process.is_dead()
        if text := seat.process.output():
            self._on_event(Output(job=seat.task.job.key if seat.task else "", text=text))
        try:
            for said in seat.process.answers():
                self._hear(seat, said)
        except ValueError as error:
            self._lose(seat, Failure(kind="crashed", message=f"the worker broke the protocol: {error}"))
            return
        if is_dead or seat.process.has_ended:
            status = self._dismiss(seat)
            self._lose(seat, faults.of_death(status, _doing(seat)))
        elif seat.task is not None and monotonic() > seat.deadline:
            self._lose(seat, faults.of_timeout(self._timeout if seat.is_sent else _START_SECONDS, _doing(seat)))

    def _hear(self, seat: _Seat, said: Answer) -> None:
        if isinstance(said, Ready):
            if said.plan != self._plan.digest:
                raise ValueError("it built another plan than this process")
            seat.is_ready = True
            self._send(seat)
            return
        self._on_event(said)
        task = seat.task
        if task is None:
            return
        if isinstance(said, Failed):
            self.failures[said.key] = said.failure
        if isinstance(said, Done | Failed):
            self._settled.add(said.key)
        elif isinstance(said, Finished):
            seat.task = None
            if not any(key in self.failures for key in task.produces) and task.produces == task.job.produces:
                with contextlib.suppress(StoreError):  # a note for the next plan, no part of this audit
                    self._store.took(task.job.key, said.seconds)

    def _lose(self, seat: _Seat, failure: Failure) -> None:
        """A worker is lost: its task fails, or, if it held several needs, each of them gets a try of its own."""
        self._dismiss(seat)
        if seat.task is None:
            return
        left = tuple(key for key in seat.task.produces if key not in self._settled)
        rest = _Task(seat.task.job, left)
        if not seat.is_ready and any(other.is_ready for other in self._seats):
            self._workers = len(self._seats)  # the others go on; this machine has no room for one more
            self._waiting.insert(0, rest)
        elif not seat.is_ready:
            for task in (rest, *self._waiting):
                self._fail(task, failure)
            self._waiting.clear()
        elif len(left) > 1:
            self._waiting[:0] = [_Task(rest.job, (key,)) for key in left]
        else:
            self._fail(rest, failure)
            self._give_up_if_slow(rest.job, failure)

    def _give_up_if_slow(self, job: Job, failure: Failure) -> None:
        """When two parts of a sweep are too slow alone, the sweep itself is: the other parts do not wait in turn."""
        late = [key for key in job.produces if key in self.failures and self.failures[key].kind == "timeout"]
        if failure.kind == "timeout" and len(late) >= _SLOW_PARTS:
            for task in [task for task in self._waiting if task.job.key == job.key]:
                self._waiting.remove(task)
                self._fail(task, failure)

    def _fail(self, task: _Task, failure: Failure) -> None:
        for key in task.produces:
            self.failures[key] = failure
            self._settled.add(key)
            self._on_event(Failed(job=task.job.key, key=key, failure=failure))

    def _interrupt(self) -> None:
        for job in self._plan.jobs:
            left = tuple(key for key in job.produces if key not in self._settled)
            self._fail(_Task(job, left), faults.interrupted())

    def _dismiss(self, seat: _Seat) -> int | None:
        if seat not in self._seats:
            return None
        self._seats.remove(seat)
        status = seat.process.end()
        if text := seat.process.output():
            self._on_event(Output(job=seat.task.job.key if seat.task else "", text=text))
        seat.process.close()
        return status


def _doing(seat: _Seat) -> str:
    if seat.task is None:
        return "nothing"
    return repr(seat.task.job.title) if seat.is_sent else "its start"
