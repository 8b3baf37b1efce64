"""The figure of slices: the accuracy of each part of the data, the weakest first."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from auditor.blocks import Bar, Bars
from auditor.statistics import grouped, t_interval, wilson

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from auditor.methods.slices import Partition

LEVEL, SHOWN = 0.95, 30


def bars(
    families: "Sequence[tuple[Partition, ...]]",
    rows: "NDArray[np.int64]",
    hit: "NDArray[np.bool_]",
    groups: Sequence[str],
    smallest: int,
) -> Bars:
    """The slices with at least `smallest` of the given rows (the tested half), with 95% intervals."""
    import numpy as np

    shown: dict[str, Bar] = {}
    for partition in (each for family in families for each in family):
        code = partition.code[rows]
        for index in np.flatnonzero(np.bincount(code, minlength=len(partition.names)) >= smallest).tolist():
            inside = rows[code == index].tolist()
            name = partition.names[index]
            shown[name] = _bar(name, hit[inside], [groups[row] for row in inside] if groups else [])
    weakest = sorted(shown.values(), key=lambda bar: bar.value)[:SHOWN]
    return Bars(
        title="Accuracy by slice",
        reading="Each bar is one part of half B with its own 95% interval. The lowest of many bars is low by chance "
        "too: only the slices chosen on half A are judged.",
        x_label="accuracy", bars=tuple(weakest), reference=(float(hit[rows].mean()), "all of half B"),
    )  # fmt: skip


def _bar(name: str, hit: "NDArray[np.bool_]", groups: Sequence[str]) -> Bar:
    value, counted = float(hit.mean()), len(set(groups))
    if not groups:
        low, high = wilson(int(hit.sum()), len(hit), LEVEL)
    elif value in (0.0, 1.0) or counted < 2:
        low, high = wilson(round(value * counted), counted, LEVEL)
    else:
        low, high = t_interval(*grouped(hit.astype(float), groups), LEVEL)
    return Bar(label=name, value=value, low=max(0.0, min(low, value)), high=min(1.0, max(high, value)))
