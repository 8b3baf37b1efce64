"""The file of a trace: a header, then framed parts, each with its length and checksums.

    file    = MAGIC, frame of kind "H", frames
    frame   = kind (1 byte), length of the body (u32), crc32 of the body (u32), crc32 of these nine bytes (u32), body
    "H"     header: what was recorded         "S"  segment: where a recording began
    "N"     notes: losses and metrics         "R"  record: one interval
    "W"     weights: a snapshot was written   (of this step; its file may have been thinned out since)

All numbers are little-endian, floats are float64. A frame is written by one call, and nothing is ever changed in place.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, BinaryIO

from auditor.recorder.projection import NUMBERS
from auditor.recorder.watch import GRID, Moved

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
else:
    Floats = Any

MAGIC = b"auditor trace\n"
VERSION = 1
HEAD = struct.Struct("<cIII")
LARGEST = 1 << 30
"""Bytes of a frame's body, at most."""

DTYPES = ("F32", "F64", "F16", "BF16", "other")


class TraceError(ValueError):
    """A file that is no trace, or a broken one; says where."""


@dataclass(frozen=True)
class Header:
    """What a trace records: tensors by name with their elements, dimensions and dtype, and how often."""

    every: int
    dense: int
    tensors: tuple[str, ...]
    sizes: tuple[int, ...]
    dims: tuple[int, ...]
    dtypes: tuple[str, ...]

    def packed(self) -> bytes:
        """The body of the frame."""
        head = struct.pack("<HIIHHI", VERSION, self.every, self.dense, NUMBERS, len(GRID), len(self.tensors))
        rows = zip(self.tensors, self.sizes, self.dims, self.dtypes, strict=True)
        return head + b"".join(_text(n) + struct.pack("<qBB", s, d, DTYPES.index(t)) for n, s, d, t in rows)

    @staticmethod
    def read(body: bytes) -> "Header":
        """The header of a frame's body."""
        cursor = Cursor(body)
        version, every, dense, numbers, grid, count = cursor.take("<HIIHHI")
        if (version, numbers, grid) != (VERSION, NUMBERS, len(GRID)):
            raise TraceError(f"it is of version {version}; this reader knows version {VERSION}")
        rows = [(cursor.text(), *cursor.take("<qBB")) for _ in range(count)]
        wrong = any(size < 0 or kind >= len(DTYPES) for _, size, _, kind in rows)
        if wrong or cursor.left or len({name for name, *_ in rows}) < count:
            raise TraceError("its header says other things than a header can")
        names, sizes, dims, kinds = zip(*rows, strict=True) if rows else ((), (), (), ())
        return Header(every, dense, names, sizes, dims, tuple(DTYPES[kind] for kind in kinds))


@dataclass(frozen=True)
class Begun:
    """A segment's start: the step, whether the optimizer held state (None: no optimizer), the tensors' groups."""

    start: int
    optimizer_state: bool | None
    groups: tuple[int, ...]

    def packed(self) -> bytes:
        """The body of the frame."""
        state = 2 if self.optimizer_state is None else int(self.optimizer_state)
        return struct.pack(f"<qB{len(self.groups)}i", self.start, state, *self.groups)

    @staticmethod
    def read(body: bytes, count: int) -> "Begun":
        """The start in a frame's body, of `count` tensors."""
        cursor = Cursor(body)
        start, state, *groups = cursor.take(f"<qB{count}i")
        if cursor.left or state > 2 or start < 0 or any(not -1 <= group < count for group in groups):
            raise TraceError("a segment says other things than a segment can")
        return Begun(start, None if state == 2 else bool(state), tuple(groups))

    @property
    def count(self) -> int:
        """How many groups there are."""
        return max(self.groups, default=-1) + 1


@dataclass(frozen=True)
class Notes:
    """Losses by step, and metrics as (name, step, value)."""

    loss_steps: Sequence[int]
    losses: Sequence[float]
    metrics: Sequence[tuple[str, int, float]]

    def packed(self) -> bytes:
        """The body of the frame."""
        count = len(self.losses)
        head = struct.pack(f"<I{count}q{count}dI", count, *self.loss_steps, *self.losses, len(self.metrics))
        return head + b"".join(_text(name) + struct.pack("<qd", step, value) for name, step, value in self.metrics)

    @staticmethod
    def read(body: bytes) -> "Notes":
        """The notes in a frame's body."""
        cursor = Cursor(body)
        count = cursor.count(16)
        steps, losses = cursor.take(f"<{count}q"), cursor.take(f"<{count}d")
        metrics = [(cursor.text(), *cursor.take("<qd")) for _ in range(cursor.count(18))]
        if cursor.left:
            raise TraceError("notes are longer than they say")
        return Notes(steps, losses, metrics)


STEP = struct.Struct("<q")
TENSOR_COLUMNS = ("norm", "change", "l1_norm", "l1_change", "elementwise", "gradient")


def pack_record(
    step: int, trained: Sequence[bool], lr: Sequence[float], lr_mean: Sequence[float], moved: Moved, gradient: Floats
) -> bytes:
    """The body of a record's frame: one interval, 89 bytes a tensor, 16 a group and 2,056 more."""
    import numpy as np

    columns = {each.name: getattr(moved, each.name) for each in fields(Moved)} | {"gradient": gradient}
    floats = [lr, lr_mean, *(columns[name] for name in TENSOR_COLUMNS), moved.quantiles, moved.projection]
    body = b"".join(np.asarray(each, dtype="<f8").tobytes() for each in floats)
    return struct.pack("<q", step) + bytes(map(int, trained)) + body


def read_record(body: bytes, tensors: int, groups: int) -> tuple[int, Mapping[str, Any]]:
    """The step and the columns of a record: trained, lr, lr_mean, TENSOR_COLUMNS, quantiles, projection."""
    import numpy as np

    shapes: dict[str, tuple[int, ...]] = {"lr": (groups,), "lr_mean": (groups,)}
    shapes |= {name: (tensors,) for name in TENSOR_COLUMNS}
    shapes |= {"quantiles": (tensors, len(GRID)), "projection": (NUMBERS,)}
    head = 8 + tensors
    if len(body) != head + 8 * sum(_product(shape) for shape in shapes.values()):
        raise TraceError(f"a record of {len(body)} bytes does not fit {tensors} tensors and {groups} groups")
    columns: dict[str, Any] = {"trained": np.frombuffer(body, np.uint8, tensors, 8) != 0}
    for name, shape in shapes.items():
        count = _product(shape)
        columns[name] = np.frombuffer(body, "<f8", count, head).astype(np.float64).reshape(shape)
        head += 8 * count
    return struct.unpack_from("<q", body)[0], columns


def framed(kind: bytes, body: bytes) -> bytes:
    """A frame of this kind."""
    head = struct.pack("<cII", kind, len(body), zlib.crc32(body))
    return head + struct.pack("<I", zlib.crc32(head)) + body


@dataclass(frozen=True)
class Frame:
    """A whole frame, and the place in the file after it."""

    kind: bytes
    body: bytes
    end: int


def frames(file: BinaryIO, size: int) -> Iterator[Frame]:
    """The whole frames of a file of `size` bytes, one at a time; ends silently before a torn tail.

    What a killed writer leaves is a frame that is cut short; what a failing machine may leave beside is a last frame
    of wrong bytes, or zeros. TraceError for anything else.
    """
    if file.read(len(MAGIC)) != MAGIC:
        raise TraceError("it does not begin like a trace")
    at = len(MAGIC)
    while size - at >= HEAD.size:
        head = file.read(HEAD.size)
        kind, length, check, own = HEAD.unpack(head)
        if zlib.crc32(head[:-4]) != own or length > LARGEST:
            if _zeros(head, file):
                return
            raise TraceError(f"it is broken at byte {at:,} of {size:,}")
        end = at + HEAD.size + length
        if end > size:
            return
        body = file.read(length)
        if zlib.crc32(body) != check:
            if end == size:
                return
            raise TraceError(f"it is broken between bytes {at:,} and {end:,} of {size:,}")
        yield Frame(kind, body, end)
        at = end


def _zeros(head: bytes, file: BinaryIO) -> bool:
    return not any(head) and all(not any(piece) for piece in iter(lambda: file.read(1 << 20), b""))


@dataclass
class Cursor:
    """Reads a body from its start; never past its end."""

    body: bytes
    at: int = 0

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return len(self.body) - self.at

    def take(self, form: str) -> tuple[Any, ...]:
        """The next values of a struct."""
        size = struct.calcsize(form)
        if size > self.left:
            raise TraceError("a part is shorter than it says")
        found = struct.unpack_from(form, self.body, self.at)
        self.at += size
        return found

    def count(self, least: int) -> int:
        """The next number of things that take at least `least` bytes each."""
        found = int(self.take("<I")[0])
        if found * least > self.left:
            raise TraceError("a part is shorter than it says")
        return found

    def text(self) -> str:
        """The next name."""
        size = int(self.take("<H")[0])
        raw = self.take(f"<{size}s")[0]
        try:
            return str(raw, "utf-8")
        except UnicodeDecodeError:
            raise TraceError("a name is no text") from None


def _text(name: str) -> bytes:
    raw = name.encode()
    return struct.pack("<H", len(raw)) + raw


def _product(shape: tuple[int, ...]) -> int:
    found = 1
    for each in shape:
        found *= each
    return found
