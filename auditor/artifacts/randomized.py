"""Randomized: the figures of randomization: similarity along the cascade, and what is left at its end."""

from collections.abc import Sequence

from auditor.artifacts.randomization import Randomized
from auditor.blocks import Line, Lines, Table
from auditor.statistics import grouped, moments, t_interval


def flattened(found: Randomized, methods: Sequence[int]) -> list[str]:
    """What the reader must know where a copy died instead of forgetting: its maps then differ whatever the method."""
    top, n = found.top, found.empty.shape[1]
    lost = [(found.methods[place], int(found.lost[place, top])) for place in methods]
    return [f"{name}: with the top fifth random, {count} of {n} maps are the same everywhere and count as changed."
            for name, count in lost if count]  # fmt: skip


def curves(found: Randomized, methods: Sequence[int], kept: Sequence[int], groups: Sequence[str]) -> Lines:
    """The correlation of each method along the cascade, with its band, and of each stage alone."""
    x = tuple(100 * count / found.randomized[-1] for count in found.randomized)
    lines = []
    for place in methods:
        rows = [stage[kept].tolist() for stage in found.cascade[place]]
        stages = [grouped(row, groups) if groups else moments(row) for row in rows]
        low, high = zip(*(t_interval(*stage, 0.95) for stage in stages), strict=True) if stages[0][2] > 1 else ((), ())
        y = tuple(mean for mean, _, _ in stages)
        lines.append(Line(label=found.methods[place], x=x, y=y, low=low, high=high))
        alone = tuple(float(stage[kept].mean()) for stage in found.alone[place])
        lines.append(Line(label=f"{found.methods[place]}, one stage alone", x=x, y=alone))
    return Lines(
        title="Similarity while layers become random", x_label="layers random, from the top (%)",
        y_label="rank correlation with the map of the model", lines=tuple(lines),
        reading="A map that shows what was learned falls at once. The band is a 95% interval of the mean.",
    )  # fmt: skip


def table(found: Randomized, methods: Sequence[int], kept: Sequence[int]) -> Table:
    """What is left when all layers are random, beside what chance gives."""
    rows = tuple((found.methods[place], *found.ends(place, kept), int(found.lost[place, -1])) for place in methods)
    return Table(
        title="Fully randomized", rows=rows,
        columns=("method", "rank correlation", "two random networks", "SSIM", "with edges", "empty maps"),
        reading="All layers random: correlation with the model's map, between two random networks (what chance gives), "
        "structural similarity, the model's map with the picture's edges, and randomized maps without any order.",
    )  # fmt: skip
