"""The header of a safetensors file, read by hand: names, types and shapes of its tensors, without its data."""

import json
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from auditor.errors import SourceError
from auditor.sources.paths import Where, dotted

MAX_HEADER = 25_000_000
MAX_TENSORS = 100_000
BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64, "C64": 64,
}  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """Type and shape of one stored tensor."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        """Its number of elements."""
        return prod(self.shape)

    @property
    def floating(self) -> bool:
        """Whether it can be a parameter (counters such as num_batches_tracked are not)."""
        return self.dtype.startswith(("F", "BF", "float", "bfloat", "Float", "Double", "Half", "BFloat"))


def read_header(path: Path, where: Where) -> dict[str, Shape]:
    """The tensors of a safetensors file by name.

    Raises SourceError when the header is longer than 25 MB, names more than 100,000 tensors, repeats a name, or has
    offsets that leave holes, overlap, or do not fit the shapes and the file's size.
    """
    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if not 2 <= length <= min(MAX_HEADER, path.stat().st_size - 8):
                raise ValueError(f"its header claims {length} bytes")
            header = json.loads(stream.read(length), object_pairs_hook=_unique)
        header.pop("__metadata__", None)
        if len(header) > MAX_TENSORS:
            raise ValueError(f"it names {len(header)} tensors, more than {MAX_TENSORS}")
        return _checked(header, path.stat().st_size - 8 - length)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise SourceError(
            f"{dotted(where)}: {path.name} is not a sound safetensors file: {error}",
            hint="fetch it again, or write it anew with safetensors.torch.save_file",
            where=where,
        ) from error


def offsets(path: Path) -> dict[str, int]:
    """The byte where each tensor of a sound safetensors file begins, by name."""
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(length))
    return {name: 8 + length + entry["data_offsets"][0] for name, entry in header.items() if name != "__metadata__"}


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"it repeats the key {next(name for name in names if names.count(name) > 1)!r}")
    return found


def _checked(header: dict[str, Any], size: int) -> dict[str, Shape]:
    tensors: dict[str, Shape] = {}
    spans: list[tuple[int, int]] = []
    for name, entry in header.items():
        shape = Shape(entry["dtype"], tuple(int(side) for side in entry["shape"]))
        begin, end = (int(offset) for offset in entry["data_offsets"])
        if min(shape.shape, default=0) < 0 or (end - begin) * 8 != shape.count * BITS[shape.dtype]:
            raise ValueError(f"{name}: {end - begin} bytes do not hold {shape.dtype} {list(shape.shape)}")
        tensors[name] = shape
        spans.append((begin, end))
    reached = 0
    for begin, end in sorted(spans):
        if begin != reached:
            raise ValueError(f"its tensors overlap or leave a hole at byte {min(begin, reached)}")
        reached = end
    if reached != size:
        raise ValueError(f"its tensors end at byte {reached} of {size}")
    return tensors
