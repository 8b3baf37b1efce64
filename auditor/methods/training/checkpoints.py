"""Changes between checkpoints on disk, read a stretch of some tensors at a time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import nan
from typing import Protocol

import numpy as np
import torch

from auditor.errors import SourceError
from auditor.methods.training.followed import Followed, Span
from auditor.methods.training.record import Changes, Floats
from auditor.recorder.projection import BLOCK
from auditor.recorder.watch import SKETCHED

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
"""Names of the buffers of normalization layers, which are no parameters."""

STRETCH = 8 * BLOCK
"""Elements that are in memory at once, of each of three checkpoints; a multiple of the projection's blocks."""

SKETCHES = 1 << 23
"""Numbers of sketches that are in memory at once."""


class Shaped(Protocol):
    """Type and shape of a stored tensor."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def count(self) -> int: ...
    @property
    def floating(self) -> bool: ...


class Opened(Protocol):
    """The tensors of one checkpoint, which are read when they are asked for."""

    @property
    def shapes(self) -> Mapping[str, Shaped]: ...
    def read(self, spans: Sequence[Span]) -> list[torch.Tensor]:
        """Flat stretches of tensors, as they are stored: name, first element, end."""


@dataclass(frozen=True)
class Read:
    """The changes, and the tensors that are not followed: appeared after the first, vanished, or of another shape;
    tied: those that equal another one in every checkpoint, by the name of the one that stands for both.
    """

    changes: Changes
    appeared: tuple[str, ...]
    vanished: tuple[str, ...]
    tied: dict[str, str]


def changes_of(files: Sequence[Opened], steps: Sequence[int], buffers: frozenset[str] = frozenset()) -> Read:
    """The changes between consecutive checkpoints, `steps` being their steps.

    Floating-point tensors that all files hold in one shape; `buffers`, and those of normalization layers, are left out
    by name. All
    is computed in float32 (float64 where it is stored so), whatever the stored type; `resolution` says what the
    rounding of the stored numbers may do. A tensor that changes its shape counts as vanished and appeared. Matrices
    that are equal bit by bit in every checkpoint count once, unless all their elements are equal. Vectors do not: two
    biases whose branches are added learn the same without being one.
    In memory at once: three stretches of 2 million elements, and some kilobytes a tensor and interval.
    Raises SourceError for fewer than two files or steps that do not rise.
    """
    if len(files) != len(steps) or len(files) < 2 or any(a >= b for a, b in pairwise(steps)):
        raise SourceError(
            f"a history needs two checkpoints or more whose names hold rising step numbers; found steps {list(steps)}",
            hint="name them like step-0100.safetensors",
        )
    shapes = [_kept(file.shapes, buffers) for file in files]
    common = [name for name in sorted(shapes[0]) if all(name in later for later in shapes[1:])]
    common = [name for name in common if len({later[name].shape for later in shapes}) == 1]
    if not common:
        raise SourceError("the checkpoints have no parameter in common", hint="do they belong to one model?")
    found = _followed(files, {name: shapes[0][name] for name in common})
    tied = _tied(found, {name: shapes[0][name].shape for name in common}, (files[0], files[-1]))
    lost = sorted(set(shapes[0]) - set(common))
    gained = sorted({name for later in shapes[1:] for name in later} - set(common))
    changes = _joined([each for name, each in found.items() if name not in tied], steps)
    return Read(changes, tuple(gained), tuple(lost), tied)


def _kept(shapes: Mapping[str, Shaped], buffers: frozenset[str]) -> dict[str, Shaped]:
    """Floating-point tensors that are no buffers and no normalization statistics."""
    return {
        name: shape
        for name, shape in shapes.items()
        if shape.floating and shape.count and name not in buffers and name.rsplit(".", 1)[-1] not in STATISTICS
    }


def _followed(files: Sequence[Opened], shapes: Mapping[str, Shaped]) -> dict[str, Followed]:
    found = {name: Followed(name, shape.count, len(shape.shape), len(files)) for name, shape in shapes.items()}
    with torch.no_grad():
        for spans in _batches({name: shape.count for name, shape in shapes.items()}, len(files)):
            for place, file in enumerate(files):
                for span, part in zip(spans, file.read(spans), strict=True):
                    found[span[0]].see(place, span[1], part)
            for name, _, end in spans:
                found[name].forget(whole=end == shapes[name].count)
    return found


def _batches(sizes: Mapping[str, int], files: int) -> Iterator[list[Span]]:
    """What is read together: some whole tensors, or a stretch of a large one."""
    waiting: list[Span] = []
    held = sketched = 0
    for name, size in sizes.items():
        few = min(size, SKETCHED) * files
        if waiting and (held + size > STRETCH or sketched + few > SKETCHES):
            yield waiting
            waiting, held, sketched = [], 0, 0
        if size > STRETCH:
            yield from ([(name, at, min(at + STRETCH, size))] for at in range(0, size, STRETCH))
        else:
            waiting.append((name, 0, size))
            held, sketched = held + size, sketched + few
    if waiting:
        yield waiting


def _tied(
    found: Mapping[str, Followed], shapes: Mapping[str, tuple[int, ...]], ends: tuple[Opened, Opened]
) -> dict[str, str]:
    """The matrices that equal an earlier one: the same sums in every checkpoint, then the same bits in both ends."""
    first: dict[tuple[object, ...], str] = {}
    tied: dict[str, str] = {}
    for name, each in ((name, each) for name, each in found.items() if len(shapes[name]) >= 2):
        mark = (shapes[name], each.own.tobytes(), each.moved.tobytes())
        other = first.setdefault(mark, name)
        if other != name and not each.constant() and all(_equal(end, name, other) for end in ends):
            tied[name] = other
    return tied


def _equal(file: Opened, name: str, other: str) -> bool:
    size = file.shapes[name].count
    for at in range(0, size, STRETCH):
        one, two = (file.read([(each, at, min(at + STRETCH, size))])[0] for each in (name, other))
        if not torch.equal(one, two):
            return False
    return True


def _joined(parts: Sequence[Followed], steps: Sequence[int]) -> Changes:
    """The changes of single tensors side by side."""
    columns: dict[str, list[Floats]] = {}
    for part in parts:
        for name, column in part.columns().items():
            columns.setdefault(name, []).append(column)
    return Changes(
        tensors=tuple(part.name for part in parts),
        sizes=np.array([part.size for part in parts], dtype=np.int64),
        dims=np.array([part.dims for part in parts], dtype=np.int64),
        trained=np.ones(len(parts), dtype=np.bool_),
        steps=np.array(steps, dtype=np.int64),
        lr=np.full(len(steps) - 1, nan),
        projection=np.sum([part.projection for part in parts], axis=0),
        **{name: np.stack(column, axis=1) for name, column in columns.items()},
    )
