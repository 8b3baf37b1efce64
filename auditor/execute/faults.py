"""Faults: an exception, or the death of a worker, put into words as a Failure."""

import signal
import traceback
from pathlib import Path
from typing import Literal

from auditor.errors import AuditorError, NotApplicable, RefusedError
from auditor.evidence import Failure

_LONGEST = 2000
_HERE = str(Path(__file__).parent)


def of_exception(error: BaseException) -> Failure:
    """The Failure of an exception: its message with the last frame outside the machinery, and what to do."""
    if isinstance(error, NotApplicable):
        return Failure(kind="not_applicable", message=str(error))
    if isinstance(error, AuditorError):
        kind: Literal["refused", "exception"] = "refused" if isinstance(error, RefusedError) else "exception"
        return Failure(kind=kind, message=error.message[:_LONGEST], hint=error.hint)
    text = f"{type(error).__name__}: {error}"[:_LONGEST]
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or _says_memory(error):
        return Failure(kind="oom", message=f"{text} ({_frame(error)})", hint="set a smaller run.batch_size in the spec")
    return Failure(
        kind="exception",
        message=f"{text} ({_frame(error)})",
        hint="log.jsonl in the run folder holds the whole traceback",
    )


def of_death(status: int | None, doing: str) -> Failure:
    """The Failure of a worker that died at its work. status: negative for a signal, as subprocess counts."""
    if status == -signal.SIGKILL:
        hint = "the system may have run out of memory: set a smaller run.batch_size, or free some memory"
        return Failure(kind="crashed", message=f"the worker was killed from outside while doing {doing}", hint=hint)
    if status is not None and status < 0:
        name = signal.Signals(-status).name
        return Failure(
            kind="crashed",
            message=f"the worker died of {name} while doing {doing}",
            hint="a native library crashed; log.jsonl in the run folder holds its last output",
        )
    return Failure(
        kind="crashed",
        message=f"the worker left with exit code {status} in the middle of {doing}",
        hint="the check or a library it uses ended the process; log.jsonl in the run folder holds its last output",
    )


def of_timeout(seconds: float, doing: str) -> Failure:
    """The Failure of a job that took too long."""
    return Failure(
        kind="timeout",
        message=f"{doing} took longer than {seconds:g} s and was stopped",
        hint="raise run.timeout in the spec, or ask for fewer examples",
    )


def interrupted() -> Failure:
    """The Failure of what was not finished when the run was interrupted."""
    return Failure(kind="interrupted", message="the run was interrupted", hint="run it again: it goes on from here")


def _says_memory(error: BaseException) -> bool:
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def _frame(error: BaseException) -> str:
    """The last frame that is not of the worker itself: file:line in function."""
    frames = traceback.extract_tb(error.__traceback__)
    last = next((each for each in reversed(frames) if not each.filename.startswith(_HERE)), None)
    if last is None:
        return "in the worker"
    return f"{'/'.join(Path(last.filename).parts[-2:])}:{last.lineno} in {last.name}"
