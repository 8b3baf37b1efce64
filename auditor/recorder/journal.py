"""Appending frames to a trace file: whole or not at all, and never at the cost of the training run."""

import contextlib
import os
import warnings
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from auditor.recorder.format import MAGIC, Header, TraceError, framed, frames
from auditor.recorder.reading import Scan, scanned

HELD = 16 << 20
"""Bytes that wait in memory for a full disk, at most."""


class RecordingWarning(UserWarning):
    """Something could not be recorded; the training goes on."""


@dataclass
class Journal:
    """The file, open for appending, locked against a second writer; a frame goes to the system by one write.

    What was written survives the death of the process; the death of the machine may take what the system had not yet
    put on the disk, usually the last half minute: only `sync()` waits for the disk.
    A write that fails is undone and tried again with the next one, what waits being held in memory up to HELD bytes.
    """

    path: Path
    descriptor: int
    end: int
    waiting: bytes = b""
    failed: bool = field(default=False, init=False)
    stopped: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._let_go = weakref.finalize(self, os.close, self.descriptor)

    def add(self, *frames: tuple[bytes, bytes]) -> None:
        """Append frames, each a kind and a body."""
        if self.stopped:
            return
        self.waiting += b"".join(framed(kind, body) for kind, body in frames)
        try:
            self._write()
        except OSError as error:
            self._undo(error)

    def _write(self) -> None:
        rest = memoryview(self.waiting)
        while rest:
            rest = rest[os.write(self.descriptor, rest) :]
        self.end += len(self.waiting)
        self.waiting, self.failed = b"", False

    def _undo(self, error: OSError) -> None:
        with contextlib.suppress(OSError):
            os.ftruncate(self.descriptor, self.end)
        self.stopped = len(self.waiting) > HELD
        if not self.failed or self.stopped:
            kept = "recording has stopped" if self.stopped else "it is kept in memory and tried again"
            warnings.warn(
                f"{self.path} could not be written ({error.strerror or error}); {kept}, and the training goes on. "
                f"The trace is whole up to what was written before; make room on the disk",
                RecordingWarning,
                stacklevel=2,
            )
        self.failed = True

    def sync(self) -> None:
        """Wait until the disk has what was written."""
        with contextlib.suppress(OSError):
            os.fsync(self.descriptor)

    def close(self) -> None:
        """Try what waits once more, and let the file go."""
        if self.waiting and not self.stopped:
            self.add()
        self.sync()
        self._let_go()


def opened(path: Path, header: Header) -> tuple[Journal, Scan | None]:
    """The journal of a new trace, or of an existing one of the same tensors, cut behind its last whole frame.

    OSError: it cannot be written. ValueError: the file is no trace, or one of other tensors.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o644)
    except OSError as error:
        why = error.strerror or error
        raise type(error)(f"the trace {path} cannot be written: {why}; name a file in a writable folder") from error
    try:
        _lock(descriptor, path)
        return _continued(descriptor, path, header)
    except BaseException:
        os.close(descriptor)
        raise


def _continued(descriptor: int, path: Path, header: Header) -> tuple[Journal, Scan | None]:
    with path.open("rb") as file:
        if _holds_nothing(file, os.fstat(descriptor).st_size):
            os.ftruncate(descriptor, 0)
            return Journal(path, descriptor, 0, MAGIC + framed(b"H", header.packed())), None
        file.seek(0)
        scan = scanned(file, path)
    _compare(path, scan.header, header)
    os.ftruncate(descriptor, scan.end)
    return Journal(path, descriptor, scan.end), scan


def _holds_nothing(file: BinaryIO, size: int) -> bool:
    """Whether a file is new, or of a recording that was killed amid its header."""
    begins = file.read(len(MAGIC))
    if begins != MAGIC:
        return MAGIC.startswith(begins)
    file.seek(0)
    with contextlib.suppress(TraceError):
        return next(frames(file, size), None) is None
    return False


def _compare(path: Path, found: Header | None, expected: Header) -> None:
    assert found is not None
    told = [dict(zip(h.tensors, zip(h.sizes, h.dims, h.dtypes, strict=True), strict=True)) for h in (found, expected)]
    if told[0] == told[1] and found.tensors == expected.tensors:
        return
    wrong = [name for name in expected.tensors if told[0].get(name) != told[1][name]]
    wrong += [name for name in found.tensors if name not in told[1]]
    named = ", ".join(wrong[:3]) + (f" and {len(wrong) - 3:,} more" if len(wrong) > 3 else "")
    raise ValueError(
        f"{path} is a trace of other tensors: expected the {len(expected.tensors):,} of this model, found "
        f"{len(found.tensors):,}; they differ in {named or 'their order'}. Record into a new file"
    )


def _lock(descriptor: int, path: Path) -> None:
    """One writer a file, where the system can say so."""
    try:
        import fcntl
    except ImportError:  # pragma: no cover (not on Unix)
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BlockingIOError(
            f"another recording writes into {path}: one that was not closed, or one of another process; close it, "
            "or give each a file of its own (of several processes that train one model, record in one alone)"
        ) from None
    except OSError:  # a file system without locks
        return
