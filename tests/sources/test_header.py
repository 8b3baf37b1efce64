"""safetensors headers: read by hand as the library reads them, and refused when hostile."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from auditor.errors import SourceError
from auditor.sources.models.header import read_header

WHERE = ("models", "m", "weights")


def written(path: Path, header: Any, data: bytes = b"", length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def entry(dtype: str = "F32", shape: tuple[int, ...] = (2,), begin: int = 0, end: int = 8) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_names_types_and_shapes_are_those_of_the_library(zoo: Path) -> None:
    from safetensors.torch import load_file

    path = zoo / "r18.safetensors"
    theirs = load_file(path)
    ours = read_header(path, WHERE)
    assert {name: shape.shape for name, shape in ours.items()} == {name: tuple(t.shape) for name, t in theirs.items()}
    assert not ours["bn1.num_batches_tracked"].floating


HOSTILE: dict[str, tuple[Any, bytes, int | None]] = {
    "claims 25000001 bytes": ({}, b"", 25_000_001),
    "claims 1000 bytes": ({"a": entry()}, bytes(8), 1000),
    "repeats the key 'a'": (b'{"a": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}, "a": 1}', b"", None),
    "a: 8 bytes do not hold F32": ({"a": entry(shape=(3,))}, bytes(8), None),
    "-": ({"a": entry(shape=(-2,), end=-8)}, b"", None),
    "overlap or leave a hole": ({"a": entry(), "b": entry(begin=4, end=12)}, bytes(12), None),
    "hole at byte 0": ({"a": entry(begin=8, end=16)}, bytes(16), None),
    "end at byte 8 of 16": ({"a": entry()}, bytes(16), None),
    "F33": ({"a": entry(dtype="F33")}, bytes(8), None),
    "not a sound": (b"[" * 5000 + b"]" * 5000, b"", None),
}


@pytest.mark.parametrize("message", HOSTILE)
def test_hostile_headers_are_refused(message: str, tmp_path: Path) -> None:
    header, data, length = HOSTILE[message]
    path = written(tmp_path / "w.safetensors", header, data, length)
    with pytest.raises(SourceError) as caught:
        read_header(path, WHERE)
    assert message in str(caught.value)
    assert caught.value.where == WHERE


def test_too_many_tensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.sources.models.header.MAX_TENSORS", 3)
    header = {f"t{index}": entry(dtype="U8", shape=(0,), end=0) for index in range(4)}
    with pytest.raises(SourceError, match="names 4 tensors, more than 3"):
        read_header(written(tmp_path / "w.safetensors", header), WHERE)


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"")
    with pytest.raises(SourceError, match="not a sound safetensors file"):
        read_header(tmp_path / "w.safetensors", WHERE)
