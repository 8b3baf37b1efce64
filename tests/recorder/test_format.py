"""The file: what is written is read, what is cut is cut, what is broken or lies about itself is told with its place."""

import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from loops import recorded
from torch import nn

from auditor.recorder import format as form
from auditor.recorder.format import Begun, Header, Notes, TraceError, framed
from auditor.recorder.reading import SEGMENTS, read
from auditor.recorder.trace import Trace


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A trace of one tensor, three records and some notes."""
    path = tmp_path_factory.mktemp("small") / "train.trace"
    torch.manual_seed(0)
    recorded(path, 5, nn.Sequential(nn.Linear(5, 1, bias=False)), every=2, dense=1)
    return path.read_bytes()


def opened(path: Path, data: bytes) -> Trace:
    path.write_bytes(data)
    return read(path)


def ends(data: bytes) -> list[int]:
    return [frame.end for frame in form.frames(io.BytesIO(data), len(data))]


def test_what_is_written_is_read() -> None:
    header = Header(7, 3, ("a", "ü.weight"), (12, 2**40), (2, 0), ("F32", "other"))
    assert Header.read(header.packed()) == header
    for state in (True, False, None):
        assert Begun.read(Begun(5, state, (0, -1, 1)).packed(), 3) == Begun(5, state, (0, -1, 1))
    notes = Notes((1, 2), (0.5, float("inf")), [("val/acc", 3, 0.25)])
    assert Notes.read(notes.packed()) == notes


def test_cut_at_every_byte_it_opens_up_to_its_last_whole_part(small: bytes, tmp_path: Path) -> None:
    small = small[: ends(small)[5]]  # two records
    whole, path = opened(tmp_path / "whole", small), tmp_path / "cut.trace"
    places = ends(small)
    path.write_bytes(small)
    for size in reversed(range(len(small))):
        os.truncate(path, size)
        if size < places[0]:
            with pytest.raises(TraceError, match=r"is no trace|begin like a trace"):
                read(path)
            continue
        trace = read(path)
        assert trace.torn == (size not in places)
        assert trace.steps.tolist() == whole.steps.tolist()[: len(trace.steps)]
        assert (trace.change == whole.change[: len(trace.steps)]).all()


def test_a_bit_that_flipped_is_never_read_as_a_number(small: bytes, tmp_path: Path) -> None:
    whole, path, last = opened(tmp_path / "whole", small), tmp_path / "flipped.trace", ends(small)[-2]
    draw = np.random.default_rng(0)
    for at in draw.choice(len(small), 400, replace=False):
        bad = bytearray(small)
        bad[at] ^= 1 << int(draw.integers(8))
        try:
            trace = opened(path, bytes(bad))
        except TraceError as error:
            assert str(path) in str(error)
            continue
        assert at >= last and trace.torn and trace.steps.tolist() == whole.steps.tolist()[:-1]


def test_a_broken_part_in_the_middle_is_told_with_its_place(small: bytes, tmp_path: Path) -> None:
    first, second = ends(small)[2:4]
    bad = bytearray(small)
    bad[second - 5] ^= 1
    with pytest.raises(TraceError, match=rf"broken between bytes {first:,} and {second:,} of {len(small):,}; expected"):
        opened(tmp_path / "x", bytes(bad))
    bad = bytearray(small)
    bad[first + 2] ^= 1
    with pytest.raises(TraceError, match=rf"broken at byte {first:,} of {len(small):,}"):
        opened(tmp_path / "x", bytes(bad))


def test_zeros_behind_the_last_record_are_a_torn_tail(small: bytes, tmp_path: Path) -> None:
    trace = opened(tmp_path / "x", small + bytes(5000))
    assert trace.torn and trace.steps.tolist() == [1, 2, 4, 5]


def test_a_torn_trace_is_gone_on_with_behind_its_last_record(small: bytes, tmp_path: Path) -> None:
    path = tmp_path / "train.trace"
    path.write_bytes(small[:-3])
    recorded(path, 2, nn.Sequential(nn.Linear(5, 1, bias=False)), every=2, dense=0)
    trace = read(path)
    assert not trace.torn and trace.steps.tolist() == [1, 2, 4, 6] and trace.begins.tolist() == [0, 1, 2, 4]
    path.write_bytes(small[:20])  # amid the header
    recorded(path, 2, nn.Sequential(nn.Linear(5, 1, bias=False)), every=2, dense=0)
    assert read(path).steps.tolist() == [2]


def head(count: int = 1, **more: Any) -> bytes:
    names = tuple(f"t{n}" for n in range(count))
    plain = {"sizes": (4,) * count, "dims": (1,) * count, "dtypes": ("F32",) * count}
    return form.MAGIC + framed(b"H", Header(1, 0, names, **{**plain, **more}).packed())


def claiming(length: int) -> bytes:
    """The head of a frame that claims a body of this length."""
    begin = struct.pack("<cII", b"R", length, 0)
    return begin + struct.pack("<I", zlib.crc32(begin))


SEGMENT = framed(b"S", Begun(0, None, (-1,)).packed())
LIES: dict[str, bytes] = {
    "nothing": b"",
    "text": b"loss,step\n" * 100,
    "a length of a gigabyte": head() + claiming(1 << 30),
    "a frame too long": head() + claiming(2**32 - 1) + b"x",
    "a number of tensors": form.MAGIC + framed(b"H", struct.pack("<HIIHHI", 1, 1, 0, 256, 5, 2**32 - 1)),
    "a name's length": form.MAGIC + framed(b"H", struct.pack("<HIIHHIH", 1, 1, 0, 256, 5, 1, 65535) + b"x"),
    "a negative size": head(sizes=(-1,)),
    "another version": form.MAGIC + framed(b"H", struct.pack("<HIIHHI", 9, 1, 0, 256, 5, 0)),
    "two headers": head() + head()[len(form.MAGIC) :],
    "a name twice": form.MAGIC + framed(b"H", Header(1, 0, ("a", "a"), (1, 1), (1, 1), ("F32", "F32")).packed()),
    "no segment": head() + framed(b"N", Notes((), (), ()).packed()),
    "an unknown part": head() + SEGMENT + framed(b"Z", b"") + SEGMENT,
    "a group beyond the tensors": head() + framed(b"S", Begun(0, None, (5,)).packed()),
    "a number of losses": head() + SEGMENT + framed(b"N", struct.pack("<I", 2**32 - 1)),
    "a number of metrics": head() + SEGMENT + framed(b"N", struct.pack("<II", 0, 2**32 - 1)),
    "losses backwards": head() + SEGMENT + framed(b"N", Notes((2, 1), (0.0, 0.0), ()).packed()),
    "a short record": head() + SEGMENT + framed(b"R", bytes(100)),
    "a name that is no text": form.MAGIC + framed(b"H", struct.pack("<HIIHHIHB", 1, 1, 0, 256, 5, 1, 1, 255)),
    "beginnings": head() + SEGMENT * (SEGMENTS + 1),
    "a snapshot of nowhere": head() + SEGMENT + framed(b"W", b"12"),
}  # fmt: skip


@pytest.mark.parametrize("name", LIES)
def test_a_file_that_lies_is_refused_in_little_memory(name: str, tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "x.trace"
    path.write_bytes(LIES[name])
    np.zeros(1)
    tracemalloc.start()
    try:
        trace = read(path)
    except TraceError as error:
        assert str(path) in str(error)
    else:
        assert trace.torn and name.startswith("a length")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000 + 40 * len(LIES[name])


def test_groups_of_one_segment_do_not_widen_the_records_of_another(tmp_path: Path) -> None:
    """However many groups there are, learning rates take no more than the tensors do."""
    data = head(50) + framed(b"S", Begun(0, None, (*range(49), -1)).packed())
    trace = opened(tmp_path / "x", data)
    assert trace.lr.shape == (0, 49) and trace.segments[0].groups.tolist() == [*range(49), -1]


def test_what_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="directory"):
        read(tmp_path)
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none.trace")
    if Path("/dev/zero").exists():
        with pytest.raises(TraceError, match="no plain file"):
            read("/dev/zero")


def test_foreign_files_beside_a_trace_are_no_snapshots(small: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "x.weights"
    folder.mkdir()
    for name in ("step-00000002.safetensors", "step-9.safetensors.part", "notes.txt"):
        (folder / name).write_bytes(b"")
    os.mkfifo(folder / "step-00000004.safetensors")
    assert opened(tmp_path / "x", small).snapshots == ()
