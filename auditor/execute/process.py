"""One worker seen from outside: a process group of its own, two pipes, its output kept apart, and a sure end."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from time import monotonic, sleep
from uuid import uuid4

import auditor
from auditor.execute.protocol import Answer, Order, Start, answer, line

NAMED = (
    "PATH", "HOME", "USER", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH",
    "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "HF_HOME", "TORCH_HOME", "XDG_CACHE_HOME", "SSL_CERT_FILE",
)  # fmt: skip
"""The variables that a worker inherits when they are set; more only by name."""

_KEPT = str(1 << 30)
"""Bytes of freed memory that glibc keeps: handing each tensor's pages back and forth costs a second derivative up to a
sixth of its time, and saves no memory at the peak (benchmarks/RESULTS.md). Other C libraries do not look."""

_MARK = "AUDITOR_WORKER"
_LAST_MOMENT = 1.0
_CHUNK = 1 << 16
_LONGEST_LINE = 1 << 22
_OUTPUT_CAP = 1 << 18


def environment(
    threads: int, more: Iterable[str] = (), outer: Mapping[str, str] = os.environ, *, workers: int = 1
) -> dict[str, str]:
    """The worker's environment: named variables of the outer one, and what makes runs repeatable and offline.

    Threads of several workers give their processor away while they wait: where there are more threads than processors,
    those that wait in a loop keep the others from what they wait for (nine times slower). A worker alone is twice as
    fast with the loop.
    """
    inner = {name: outer[name] for name in (*NAMED, *more) if name in outer}
    home = str(Path(auditor.__file__).parents[1])
    if home != sysconfig.get_path("purelib"):
        inner["PYTHONPATH"] = os.pathsep.join(filter(None, (home, inner.get("PYTHONPATH", ""))))
    fixed = {
        "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads),
        "PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1", "HF_HUB_OFFLINE": "1",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8", "TOKENIZERS_PARALLELISM": "false",
        "MALLOC_MMAP_THRESHOLD_": _KEPT, "MALLOC_TRIM_THRESHOLD_": _KEPT,
    }  # fmt: skip
    return {**inner, **fixed, **({"OMP_WAIT_POLICY": "PASSIVE"} if workers > 1 else {})}


class Process:
    """A running worker; `answers()` and `output()` read without waiting."""

    def __init__(self, start: Start, more: Iterable[str] = (), workers: int = 1) -> None:
        self._mark = f"{_MARK}={uuid4().hex}"
        commands_in, self._commands = os.pipe()
        self.answers_fd, answers_out = os.pipe()
        try:
            self._popen = subprocess.Popen(
                [sys.executable, "-P", "-m", "auditor.execute.worker", str(commands_in), str(answers_out)],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                pass_fds=(commands_in, answers_out), start_new_session=True,
                env={**environment(start.threads, more, workers=workers), _MARK: self._mark.partition("=")[2]},
            )  # fmt: skip
        finally:
            os.close(commands_in)
            os.close(answers_out)
        assert self._popen.stdout is not None
        self.output_fd = self._popen.stdout.fileno()
        self._text = b""
        self._printed = 0
        self._is_printing = True
        self.has_ended = False
        # A start longer than the pipe would wait for a worker that may never read: let a thread wait instead.
        threading.Thread(target=self._write, args=(line(start),), daemon=True).start()

    def handles(self) -> tuple[int, ...]:
        """The pipes on which something may arrive."""
        return (self.answers_fd, self.output_fd) if self._is_printing else (self.answers_fd,)

    def send(self, order: Order) -> None:
        """Give it a job; a worker that is gone does not hear, which shows as its death."""
        self._write(line(order))

    def _write(self, text: bytes) -> None:
        view = memoryview(text)
        try:
            while view:
                view = view[os.write(self._commands, view) :]
        except OSError:  # broken pipe: the worker is dead, and its death is told elsewhere
            return

    def answers(self) -> list[Answer]:
        """The whole lines that have arrived. ValueError for a line that is no answer."""
        while _has_something(self.answers_fd):
            chunk = os.read(self.answers_fd, _CHUNK)
            if not chunk:
                self.has_ended = True
                break
            self._text += chunk
            if len(self._text) > _LONGEST_LINE:
                raise ValueError("the worker sent a line without end")
        *lines, self._text = self._text.split(b"\n")
        return [answer(each) for each in lines]

    def output(self) -> str:
        """What was printed since the last call, up to a cap for each worker; the rest is read and dropped."""
        if not self._is_printing or not _has_something(self.output_fd):
            return ""
        chunk = os.read(self.output_fd, _CHUNK)
        self._is_printing = bool(chunk)
        kept = chunk[: max(0, _OUTPUT_CAP - self._printed)]
        was_open = self._printed < _OUTPUT_CAP
        self._printed += len(chunk)
        text = kept.decode(errors="replace")
        return f"{text}\n[more output was dropped]\n" if was_open and self._printed >= _OUTPUT_CAP else text

    def is_dead(self) -> bool:
        """Whether the process has ended; it is not reaped, so that its group's number cannot be given away."""
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return self._popen.returncode is not None or os.waitid(os.P_PID, self._popen.pid, flags) is not None

    def end(self) -> int | None:
        """Kill the whole group, grandchildren too, and reap it. The exit status, or None if it was still alive."""
        if self.has_ended:
            self._await_death()
        was_dead = self.is_dead()
        with contextlib.suppress(ProcessLookupError):  # nothing of the group is left
            os.killpg(self._popen.pid, signal.SIGKILL)
        status = self._popen.wait()
        _kill_marked(self._mark)
        return status if was_dead else None

    def _await_death(self) -> None:
        """A process closes its pipes a moment before it ends: wait for its own exit status."""
        deadline = monotonic() + _LAST_MOMENT
        while not self.is_dead() and monotonic() < deadline:
            sleep(0.005)

    def close(self) -> None:
        """Close the pipes; after end()."""
        os.close(self._commands)
        os.close(self.answers_fd)
        if self._popen.stdout is not None:
            self._popen.stdout.close()


def wait_any(processes: Iterable[Process], seconds: float) -> None:
    """Wait until one of them says or prints something, at most so long."""
    handles = [handle for each in processes for handle in each.handles()]
    if handles:
        select.select(handles, [], [], seconds)


def _kill_marked(mark: str) -> None:
    """Kill what left the group but still carries the worker's mark, and wait until nothing does. Linux only."""
    deadline = monotonic() + _LAST_MOMENT
    while (found := list(_marked(mark))) and monotonic() < deadline:
        for each in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(each, signal.SIGKILL)
        sleep(0.005)


def _marked(mark: str) -> Iterator[int]:
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile, or belongs to somebody else
            if mark.encode() in (folder / "environ").read_bytes():
                yield int(folder.name)


def _has_something(handle: int) -> bool:
    return bool(select.select([handle], [], [], 0)[0])
