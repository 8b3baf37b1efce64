"""The worker: a process that builds the same plan, does its jobs one by one, and answers in JSON lines."""

import contextlib
import os
import queue
import signal
import sys
import threading
from pathlib import Path
from time import monotonic
from typing import BinaryIO

from auditor.execute.offline import offline
from auditor.execute.protocol import Done, Failed, Finished, Note, Order, Progress, Ready, Start, command, send
from auditor.execute.store import Store
from auditor.execute.workshop import Workshop
from auditor.needs import Need
from auditor.plan.build import Plan, build
from auditor.registry import Registry
from auditor.sources.trust import refuse_unpickling
from auditor.values import Value

_EVERY = 0.1
"""Seconds between two words on progress."""


class Worker:
    """One worker's side of the conversation."""

    def __init__(self, start: Start, answers: BinaryIO) -> None:
        self._answers = answers
        self._job = ""
        self._told = 0.0
        self.store = Store(Path(start.cache))
        self.plan: Plan = build(start.spec, start.subjects, Registry(start.plugins), frozenset(start.reused))
        self._workshop = Workshop(Path(start.root), self.store, start.threads, self._note)
        self._say(Ready(plan=self.plan.digest))

    def do(self, order: Order) -> None:
        """Do one job, and say what came of each of its needs."""
        self._job = order.job
        began = monotonic()
        needs: list[Need[object]] = [self.plan.nodes[key] for key in order.produces]
        failures = self._workshop.make(needs, self._progress)
        for key in order.produces:
            if key in failures:
                self._say(Failed(job=order.job, key=key, failure=failures[key]))
            else:
                self._say(Done(job=order.job, key=key))
        self._say(Finished(job=order.job, seconds=monotonic() - began))

    def _progress(self, done: int, total: int, said: str = "") -> None:
        if monotonic() - self._told >= _EVERY or done == total:
            self._told = monotonic()
            self._say(Progress(job=self._job, done=done, total=total, said=said))

    def _note(self, text: str) -> None:
        self._say(Note(job=self._job, text=text))

    def _say(self, message: Value) -> None:
        send(self._answers, message)


def main(commands_fd: int, answers_fd: int) -> None:
    """Read commands from one pipe and answer on another, until the first one ends."""
    for handle in (commands_fd, answers_fd):
        os.set_inheritable(handle, False)
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(commands_fd, lines), daemon=True).start()
    with os.fdopen(answers_fd, "wb") as answers:
        start = command(lines.get())
        if not isinstance(start, Start):
            raise ValueError("the first command must be the start")
        refuse_unpickling()
        with offline() if start.offline else contextlib.nullcontext():
            worker = Worker(start, answers)
            while True:
                order = command(lines.get())
                if isinstance(order, Order):
                    worker.do(order)


def _listen(commands_fd: int, lines: "queue.SimpleQueue[bytes]") -> None:
    """Pass commands on; when the parent is gone, end this process and all that it started, even amid a job."""
    with os.fdopen(commands_fd, "rb") as commands:
        for text in commands:
            lines.put(text)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
