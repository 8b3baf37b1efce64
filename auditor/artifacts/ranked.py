"""Ranked: importances as bars with intervals, and as a map of cells."""

from collections.abc import Sequence
from typing import Any

from auditor.blocks import Bar, Bars, Heatmap
from auditor.evidence import Measurement
from auditor.statistics import t_interval


def bars(kept: Sequence[Measurement], total: int) -> Bars:
    """The importance of some groups of `total`, with 95% intervals."""
    ends = [_interval(one) for one in kept]
    left = f" The {len(kept)} highest of {total} are shown." if total > len(kept) else ""
    return Bars(
        title="What the model's success rests on", x_label="rise of the loss",
        reading="How much the loss rises when a group comes from other examples, with 95% intervals over examples. "
        f"Where the interval holds 0, the group is not known to matter.{left}",
        bars=tuple(Bar(label=one.of, value=one.value, low=low, high=high)
                   for one, (low, high) in zip(kept, ends, strict=True)),
        reference=(0.0, "no effect"),
    )  # fmt: skip


def _interval(one: Measurement) -> tuple[float | None, float | None]:
    found: Any = one.distribution
    return t_interval(found.mean, found.sd, found.n, 0.95) if found.n > 1 else (None, None)


def grid(shape: Sequence[int], each: Sequence[Measurement]) -> Heatmap:
    """The importance of the cells of a grid over pictures, in reading order."""
    down, across = shape
    return Heatmap(
        title="Where in the picture", value_label="rise of the loss", annotate=True, diverging=True,
        reading="Each cell is a region of the picture, the same for all; the number is its importance.",
        rows=tuple(f"row {at + 1}" for at in range(down)), columns=tuple(f"column {at + 1}" for at in range(across)),
        values=tuple(tuple(one.value for one in each[at * across : (at + 1) * across]) for at in range(down)),
    )  # fmt: skip
