"""Columns of drift: each metric's value of each example, kept and flipped predictions apart, the floor beside."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from auditor.artifacts.drift import Drift, Drifts
from auditor.artifacts.representations import Alike

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Column:
    """Values of one metric, `of` a method or block, with the groups of their examples (empty if the data has none)."""

    name: str
    of: str
    values: list[float]
    groups: list[str]


def split(drifts: Drifts) -> tuple[list[int], list[int]]:
    """The explained examples whose prediction stayed, and those whose prediction changed; all stayed if unknown."""
    n = len(drifts.drifts[0].own.targets)
    if not len(drifts.flipped):
        return list(range(n)), []
    return [row for row in range(n) if not drifts.flipped[row]], [row for row in range(n) if drifts.flipped[row]]


def of_maps(drifts: Drifts, suffix: str) -> Iterator[Column]:
    """Overlap and rank correlation of each method's maps; suffix: of `of`, where there are several other models."""
    kept, flipped = split(drifts)
    for drift in drifts.drifts:
        if not drift.moved.why:
            yield from _of_method(drift, "map_iou", drift.moved.iou, drift.floor.iou, kept, flipped, suffix)
            yield from _of_method(
                drift, "rank_correlation", drift.moved.ranks, drift.floor.ranks, kept, flipped, suffix
            )


def _of_method(
    drift: Drift, name: str, moved: "Floats", floor: "Floats", kept: list[int], flipped: list[int], suffix: str
) -> Iterator[Column]:
    """The value, its floor and what it lost to it where predictions stayed, on the same examples; and where not."""
    judged = [row for row in kept if moved[row] == moved[row] and floor[row] == floor[row]]
    beside = [row for row in flipped if moved[row] == moved[row]]
    for ending, values, rows in (
        ("", moved, judged), ("_floor", floor, judged), ("_loss", floor - moved, judged), ("_flipped", moved, beside)
    ):  # fmt: skip
        if rows:
            yield Column(name + ending, drift.method + suffix, values[rows].tolist(), _groups(drift, rows))


def of_blocks(alike: Alike, suffix: str) -> Iterator[Column]:
    """CKA of each block, and of the model with itself under noise, as pseudo-values."""
    for layer, moved, floor in zip(alike.layers, alike.moved, alike.floor, strict=True):
        yield Column("cka", layer + suffix, moved.tolist(), list(alike.groups))
        yield Column("cka_floor", layer + suffix, floor.tolist(), list(alike.groups))


def samples(drifts: Drifts) -> dict[str, tuple[Any, ...]]:
    """What a later audit can compare example by example: whether predictions flipped."""
    return {"flipped_share": tuple(map(float, drifts.flipped))} if len(drifts.flipped) else {}


def _groups(drift: Drift, rows: list[int]) -> list[str]:
    return [drift.own.groups[row] for row in rows] if drift.own.groups else []
