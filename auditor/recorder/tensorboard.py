"""Event files of TensorBoard: read into plain curves, and written from a trace.

    python -m auditor.recorder.tensorboard TRACE FOLDER     shows a recorded run in TensorBoard

Needs the package tensorboard: pip install tensorboard
"""

import struct
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from auditor.recorder.trace import Curve

if TYPE_CHECKING:
    from auditor.recorder.trace import Trace

INSTALL = "reading and writing event files needs the package tensorboard: pip install tensorboard"
EVENTS = 10_000_000
"""Events of one file, at most."""


class EventError(ValueError):
    """A file that holds no events, or broken ones; says where."""


@dataclass(frozen=True)
class Events:
    """What event files hold, by tag, the folder of the run before it where there are several.

    norms: the Euclidean norm of each tensor of which histograms were written, exact.
    """

    scalars: dict[str, Curve]
    norms: dict[str, Curve]
    remarks: tuple[str, ...] = ()


def read_events(files: Mapping[Path, str]) -> Events:
    """The scalars and the norms of histograms in these files; files: the run of each, "" where there is one.

    A run that was begun again writes some steps twice: what was written last stands. A file that ends amid an event is
    read up to there. EventError: a file holds no events or broken ones. ImportError: no tensorboard.
    """
    points: dict[str, _Points] = {}
    remarks = []
    for path, run in sorted(files.items(), key=lambda item: (item[1], item[0].name)):
        torn = _read_file(path, f"{run}/" if run else "", points)
        remarks += [f"{path.name} ends amid an event and is read up to there."] if torn else []
    rewound = sum(each.dropped for each in points.values())
    remarks += [f"{rewound} numbers are of steps that a later start made again; the later ones stand."] * (rewound > 0)
    scalars = {tag: each.curve() for tag, each in points.items() if not each.norm}
    norms = {tag: each.curve() for tag, each in points.items() if each.norm}
    return Events(scalars, norms, tuple(remarks))


@dataclass
class _Points:
    norm: bool
    steps: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    dropped: int = 0

    def add(self, step: int, value: float) -> None:
        while self.steps and self.steps[-1] >= step:
            self.steps.pop()
            self.values.pop()
            self.dropped += 1
        self.steps.append(step)
        self.values.append(value)

    def curve(self) -> Curve:
        import numpy as np

        return Curve(np.array(self.steps, dtype=np.int64), np.array(self.values, dtype=np.float64))


def _read_file(path: Path, prefix: str, points: dict[str, _Points]) -> bool:
    """Add what a file holds; whether it ends amid an event."""
    protos = _protos()
    with path.open("rb") as file:
        frames = Frames(file, path)
        for count, body in enumerate(frames.bodies()):
            try:
                event = protos.event.Event.FromString(body)
            except protos.broken as error:
                raise EventError(f"{path.name}: event {count} is none of TensorBoard's: {error}") from None
            if count >= EVENTS:
                raise EventError(f"{path.name} holds more than {EVENTS:,} events")
            for value in event.summary.value:
                found = _number(value)
                if found is not None:
                    points.setdefault(prefix + value.tag, _Points(found[1])).add(int(event.step), found[0])
    if not frames.count:
        raise EventError(f"{path.name} holds no events: expected an event file of TensorBoard")
    return frames.torn


@dataclass
class Frames:
    """The records of a file: length, its checksum, body, its checksum."""

    file: BinaryIO
    path: Path
    count: int = 0
    torn: bool = False

    def bodies(self) -> Iterator[bytes]:
        """Each body; EventError where a checksum does not fit."""
        checksum = _protos().checksum
        size = self.path.stat().st_size
        while head := self.file.read(12):
            left = size - self.file.tell()
            length = int.from_bytes(head[:8], "little")
            sound = len(head) == 12 and checksum(head[:8]) == int.from_bytes(head[8:], "little")
            if len(head) == 12 and not sound:
                raise EventError(
                    f"{self.path.name} is no sound event file: the checksum of record {self.count} does not fit"
                )
            if not sound or length + 4 > left:
                self.torn = True
                return
            body = self.file.read(length)
            if checksum(body) != int.from_bytes(self.file.read(4), "little"):
                raise EventError(
                    f"{self.path.name} is no sound event file: record {self.count} was changed after it was written"
                )
            self.count += 1
            yield body


@dataclass(frozen=True)
class _Protos:
    event: Any
    summary: Any
    broken: Any
    checksum: Any


def _protos() -> _Protos:
    """The parts of the package that read bytes, none of its heavy ones. ImportError with the line that installs it."""
    try:
        from google.protobuf.message import DecodeError
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c
    except ImportError as error:
        raise ImportError(INSTALL) from error
    return _Protos(event_pb2, summary_pb2, DecodeError, masked_crc32c)


def _number(value: Any) -> tuple[float, bool] | None:
    """The number of a summary, and whether it is the norm of a histogram; None for pictures, texts and the like."""
    kind = value.WhichOneof("value")
    if kind == "simple_value":
        return float(value.simple_value), False
    if kind == "histo" and value.histo.sum_squares > 0:
        return float(value.histo.sum_squares) ** 0.5, True
    if kind == "tensor":
        found = _single(value.tensor)
        return None if found is None else (found, False)
    return None


def _single(tensor: Any) -> float | None:
    """The one number of a tensor of float32 (1) or float64 (2)."""
    if tensor.dtype not in (1, 2) or any(side.size != 1 for side in tensor.tensor_shape.dim):
        return None
    layout, listed = ("<f", tensor.float_val) if tensor.dtype == 1 else ("<d", tensor.double_val)
    if len(tensor.tensor_content) == struct.calcsize(layout):
        return float(struct.unpack(layout, tensor.tensor_content)[0])
    return float(listed[0]) if len(listed) == 1 else None


def export_trace(trace: "Trace", folder: str | Path) -> None:
    """Write a trace as event files that TensorBoard shows.

    Scalars: loss, lr (lr/group0 ... of several), gradient_norm of all tensors and of each, change_rate of each, the
    metrics by their own names. Histograms: relative_change of each tensor, from the quantiles of its sketch. What is
    not finite is left out. ImportError: no tensorboard.
    """
    import numpy as np

    with _Writer(Path(folder)) as writer:
        for tag, curve in {"loss": trace.loss, **trace.metrics}.items():
            writer.curve(tag, curve.steps, curve.values)
        groups = trace.lr.shape[1]
        for group in range(groups):
            writer.curve("lr" if groups == 1 else f"lr/group{group}", trace.steps, trace.lr[:, group])
        square = np.where(np.isfinite(trace.gradient), np.square(trace.gradient), np.nan)
        known = np.isfinite(square).any(axis=1)
        writer.curve("gradient_norm", trace.steps[known], np.sqrt(np.nansum(square[known], axis=1)))
        for place, name in enumerate(trace.tensors):
            writer.curve(f"gradient_norm/{name}", trace.steps, trace.gradient[:, place])
            rate = trace.change[:, place] / np.maximum(trace.norm[:, place], np.finfo(np.float64).tiny)
            writer.curve(f"change_rate/{name}", trace.steps, rate)
            for step, grid in zip(trace.steps.tolist(), trace.quantiles[:, place].tolist(), strict=True):
                writer.spread(f"relative_change/{name}", step, grid, min(2048, int(trace.sizes[place])))


@dataclass
class _Writer:
    folder: Path

    def __enter__(self) -> "_Writer":
        try:
            from tensorboard.summary.writer.event_file_writer import EventFileWriter
        except ImportError as error:
            raise ImportError(INSTALL) from error
        self._protos, self._file = _protos(), EventFileWriter(str(self.folder))
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def _add(self, step: int, value: Any) -> None:
        summary = self._protos.summary.Summary(value=[value])
        self._file.add_event(self._protos.event.Event(step=step, summary=summary))

    def curve(self, tag: str, steps: Any, values: Any) -> None:
        """A scalar by step."""
        for step, value in zip(steps.tolist(), values.tolist(), strict=True):
            if isfinite(value):
                self._add(step, self._protos.summary.Summary.Value(tag=tag, simple_value=value))

    def spread(self, tag: str, step: int, grid: list[float], count: int) -> None:
        """A histogram of which the quantiles at 5, 25, 50, 75 and 95% are known."""
        if not all(map(isfinite, grid)) or grid[0] == grid[-1]:
            return
        shares = (0.05, 0.2, 0.25, 0.25, 0.25)
        histogram = self._protos.summary.HistogramProto(
            min=grid[0], max=grid[-1], num=count, sum=count * grid[2],
            bucket_limit=grid, bucket=[share * count for share in shares],
        )  # fmt: skip
        self._add(step, self._protos.summary.Summary.Value(tag=tag, histo=histogram))


def main(arguments: list[str]) -> int:
    """Write the trace of the first argument into the folder of the second."""
    from auditor.recorder.reading import read

    if len(arguments) != 2:
        print("python -m auditor.recorder.tensorboard TRACE FOLDER", file=sys.stderr)
        return 2
    try:
        export_trace(read(arguments[0]), arguments[1])
    except (ValueError, OSError, ImportError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"tensorboard --logdir {arguments[1]}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
