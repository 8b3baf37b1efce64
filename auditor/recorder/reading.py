"""Reading a trace: every number is the file's, none of its words is trusted for how much to allocate."""

import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

from auditor.recorder import format as form
from auditor.recorder.format import Begun, Frame, Header, Notes, TraceError
from auditor.recorder.trace import Curve, Segment, Snapshot, Trace

SEGMENTS = 1000
"""Recordings into one trace, at most."""

ROUNDING = {"BF16": 2.0**-7, "F16": 2.0**-10}
"""Spacing of numbers beside 1 in the dtypes whose own rounding may hide a step."""

STEP_FILE = re.compile(r"step-(\d{1,18})\.safetensors")


def read(path: str | Path) -> Trace:
    """The trace in a file. TraceError (a ValueError) says what is wrong with it and where; OSError: it cannot be read.

    Memory: a few times the file's size, whatever the file says of itself. Nothing in it is executed.
    """
    place = Path(path)
    with place.open("rb") as file:
        return scanned(file, place).trace()


def scanned(file: BinaryIO, path: Path) -> "Scan":
    """What an open file holds up to its last whole frame."""
    found = os.fstat(file.fileno())
    if not stat.S_ISREG(found.st_mode):
        raise TraceError(f"{path} is no trace: it is no plain file")
    scan = Scan(path)
    try:
        for frame in form.frames(file, found.st_size):
            scan.add(frame)
    except TraceError as error:
        raise TraceError(f"{path} cannot be read as a trace: {error}; expected a file of auditor.record") from None
    if scan.header is None:
        raise TraceError(f"{path} is no trace: it ends before its header does")
    scan.torn = scan.end < found.st_size
    return scan


@dataclass
class Scan:
    """The frames of a trace so far."""

    path: Path
    header: Header | None = None
    begun: list[tuple[Begun, int]] = field(default_factory=list)
    intervals: list[tuple[int, int, dict[str, Any]]] = field(default_factory=list)
    losses: list[tuple[int, float]] = field(default_factory=list)
    metrics: list[tuple[str, int, float]] = field(default_factory=list)
    snapshots: set[int] = field(default_factory=set)
    abandoned: list[int] = field(default_factory=list)
    at: int = 0
    end: int = 0
    torn: bool = False

    def add(self, frame: Frame) -> None:
        """The next frame."""
        if (self.header is None) != (frame.kind == b"H"):
            raise TraceError(f"a part before byte {frame.end:,} stands where it cannot")
        if frame.kind == b"H":
            self.header = Header.read(frame.body)
        elif frame.kind == b"S":
            self._begin(frame.body)
        elif not self.begun or frame.kind not in self._known:
            raise TraceError(f"a part before byte {frame.end:,} stands where it cannot")
        else:
            self._known[frame.kind](frame.body)
        self.end = frame.end

    def __post_init__(self) -> None:
        self._known = {b"N": self._notes, b"R": self._record, b"W": self._weights}

    def _notes(self, body: bytes) -> None:
        notes = Notes.read(body)
        if any(a >= b for a, b in pairwise([*(step for step, _ in self.losses[-1:]), *notes.loss_steps])):
            raise TraceError("losses stand in the wrong order")
        self.losses += zip(notes.loss_steps, notes.losses, strict=True)
        self.metrics += notes.metrics

    def _weights(self, body: bytes) -> None:
        if len(body) != form.STEP.size:
            raise TraceError("a snapshot's part says other things than it can")
        self.snapshots.add(form.STEP.unpack(body)[0])

    def _begin(self, body: bytes) -> None:
        """A segment; what earlier ones recorded after its start led nowhere."""
        assert self.header is not None
        begun = Begun.read(body, len(self.header.tensors))
        kept = [each for each in self.intervals if each[1] <= begun.start]
        self.abandoned.append(len(self.intervals) - len(kept))
        self.intervals = kept
        self.losses = [each for each in self.losses if each[0] <= begun.start]
        self.metrics = [each for each in self.metrics if each[1] <= begun.start]
        self.snapshots = {step for step in self.snapshots if step <= begun.start}
        self.begun = [(one, min(first, len(kept))) for one, first in self.begun] + [(begun, len(kept))]
        if len(self.begun) > SEGMENTS:
            raise TraceError(f"it was begun more than {SEGMENTS:,} times")
        self.at = begun.start

    def _record(self, body: bytes) -> None:
        assert self.header is not None
        step, columns = form.read_record(body, len(self.header.tensors), self.begun[-1][0].count)
        if step <= self.at:
            raise TraceError(f"a record of step {step} follows step {self.at}")
        self.intervals.append((self.at, step, dict(columns)))
        self.at = step

    def trace(self) -> Trace:
        """All of it."""
        import numpy as np

        header = self.header
        assert header is not None
        count, sizes = len(header.tensors), np.array(header.sizes, dtype=np.uint64).astype(np.int64)
        width = max((begun.count for begun, _ in self.begun), default=0)
        trained = self._stacked("trained", (count,)) > 0
        many = {name: self._stacked(name, (count,)) for name in form.TENSOR_COLUMNS}
        lr, lr_mean = self._stacked("lr", (width,)), self._stacked("lr_mean", (width,))
        return Trace(
            version=form.VERSION, path=self.path, tensors=header.tensors, sizes=sizes,
            dims=np.array(header.dims, dtype=np.int64), dtypes=header.dtypes, trained=trained.any(axis=0),
            every=header.every, dense=header.dense, segments=self._segments(),
            begins=np.array([begin for begin, _, _ in self.intervals], dtype=np.int64),
            steps=np.array([step for _, step, _ in self.intervals], dtype=np.int64),
            quantiles=self._stacked("quantiles", (count, 5)), projection=self._stacked("projection", (256,)),
            resolution=resolution(many["norm"], header.dtypes), lr=lr, lr_mean=lr_mean,
            tensor_lr=self._tensor_lr(lr_mean, count), loss=_curve(self.losses), metrics=self._metrics(),
            snapshots=self._snapshots(), torn=self.torn, **many,
        )  # fmt: skip

    def _segments(self) -> tuple[Segment, ...]:
        import numpy as np

        return tuple(
            Segment(begun.start, first, np.array(begun.groups, dtype=np.int64), begun.optimizer_state, gone)
            for (begun, first), gone in zip(self.begun, self.abandoned, strict=True)
        )

    def _stacked(self, name: str, shape: tuple[int, ...]) -> Any:
        """[R, *shape], shorter rows filled up with NaN."""
        import numpy as np

        whole = np.full((len(self.intervals), *shape), np.nan)
        for row, (_, _, columns) in enumerate(self.intervals):
            found = columns[name]
            whole[row, : len(found)] = found
        return whole

    def _tensor_lr(self, lr_mean: Any, count: int) -> Any:
        import numpy as np

        whole = np.full((len(self.intervals), count), np.nan)
        firsts = [first for _, first in self.begun] + [len(self.intervals)]
        for (begun, _), (first, last) in zip(self.begun, pairwise(firsts), strict=True):
            groups = np.array(begun.groups, dtype=np.int64)
            held = np.flatnonzero(groups >= 0)
            whole[first:last, held] = lr_mean[first:last][:, groups[held]]
        return whole

    def _snapshots(self) -> tuple[Snapshot, ...]:
        return tuple(Snapshot(step, file) for step, file in steps_kept(self.path).items() if step in self.snapshots)

    def _metrics(self) -> dict[str, Curve]:
        found: dict[str, list[tuple[int, float]]] = {}
        for name, step, value in self.metrics:
            found.setdefault(name, []).append((step, value))
        return {name: _curve(rows) for name, rows in found.items()}


def resolution(norm: Any, dtypes: Sequence[str]) -> Any:
    """[R, T] norm of a change that rounding to each dtype alone may give a tensor of such a norm.

    Each of two numbers is off by at most half their spacing, at most 2^-7 of the number for bfloat16: uniform errors
    of that width on both sides give eps norm / sqrt(6).
    """
    import numpy as np

    spacing = np.array([ROUNDING.get(dtype, 0.0) for dtype in dtypes])
    return np.where(spacing > 0, norm * spacing / 6**0.5, 0.0)


def _curve(rows: Sequence[tuple[int, float]]) -> Curve:
    import numpy as np

    return Curve(np.array([s for s, _ in rows], dtype=np.int64), np.array([v for _, v in rows], dtype=np.float64))


def weights_folder(path: Path) -> Path:
    """Where the snapshots of a trace lie."""
    return path.with_name(path.name + ".weights")


def steps_kept(path: Path) -> dict[int, Path]:
    """The snapshot files beside a trace by step, in rising order."""
    folder = weights_folder(path)
    named = [(STEP_FILE.fullmatch(file.name), file) for file in folder.iterdir()] if folder.is_dir() else []
    return dict(sorted((int(match[1]), file) for match, file in named if match and file.is_file()))
