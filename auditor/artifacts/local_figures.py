"""The figures of single layers over a history: small multiples of their rates, and what stood out."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from auditor.blocks import MAX_ROWS, Line, Lines, Table

if TYPE_CHECKING:
    from auditor.methods.training.local import Local

PANELS, LINES, POINTS = 6, 6, 100


def panels_of(found: "Local", layers: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Places of tensors by the panel that shows them: one a glob of `layers`, else the matrices in up to six parts."""
    from auditor.methods.training.local import chosen
    from auditor.methods.training.picture import short_names
    from auditor.methods.training.rates import matrices

    names = found.even.tensors
    if layers:
        meant = {glob: tuple(i for i, hit in enumerate(chosen(names, (glob,))) if hit) for glob in layers[:PANELS]}
        return {glob: places for glob, places in meant.items() if places}
    rows, short = matrices(found.even), short_names(names)
    count = min(PANELS, -(-len(rows) // LINES))
    cuts = [*(round(place * len(rows) / max(1, count)) for place in range(count)), len(rows)]
    parts = [rows[a:b] for a, b in pairwise(cuts)]
    return {f"{short[part[0]]} to {short[part[-1]]}": tuple(part) for part in parts if part}


def small_multiples(found: "Local", groups: Mapping[str, tuple[int, ...]], which: str) -> tuple[Lines, ...]:
    """One panel a group of tensors (places in found.even): the rates of its tensors, and where one jumped."""
    from auditor.methods.training.picture import short_names, thinned
    from auditor.methods.training.rates import tensor_rates

    rates, names = tensor_rates(found.even, "l2"), short_names(found.even.tensors)
    at, panels = thinned(len(rates), POINTS), []
    for title, places in groups.items():
        shown = [places[place] for place in thinned(len(places), LINES)]
        lines = [_line(names[place], found.ends[at, 1].tolist(), rates[at, place].tolist()) for place in shown]
        lines = [line for line in lines if line.x]
        of = {found.even.tensors[place] for place in places}
        marks = {float(b): f"jump at {b}" for name, _, b, _ in found.jumped() if name in of}
        if lines:
            panels.append(
                Lines(
                    title=f"Rates of {title}{which}", x_label="training step", y_label="relative change per interval",
                    lines=tuple(lines), y_log=True, marks=tuple(marks.items()),
                    reading="Each line is a tensor. Lines that rise and fall together follow the learning rate; one "
                    "that stands out alone in one interval was moved by something else. Intervals without movement "
                    "are not drawn.",
                )
            )  # fmt: skip
    return tuple(panels)


def _line(label: str, steps: list[int], rates: list[float]) -> Line:
    moved = [(float(step), rate) for step, rate in zip(steps, rates, strict=True) if rate > 0]
    return Line(label=label, x=tuple(step for step, _ in moved), y=tuple(rate for _, rate in moved))


def stood_out(found: "Local", which: str) -> tuple[Table, ...]:
    """The tensors that jumped, are frozen or exploded, each with where and by how much; none for none."""
    rows = [(name, "jumped", f"{a} to {b}", times if times < 1e9 else None) for name, a, b, times in found.jumped()]
    span = f"{int(found.changes.steps[0])} to {int(found.changes.steps[-1])}"
    rows += [(name, "never moved", span, None) for name in found.still.frozen]
    rows += [(name, "exploded", span, None) for name in found.exploded]
    if not rows:
        return ()
    reading = "Times: the tensor's rate over the mean of those in the intervals beside it (at an end of the history, "
    reading += "its change over the median of the nearest three), once the level of each interval is taken out; empty "
    reading += "where the tensor moved in no interval beside it."
    columns = ("tensor", "what", "steps", "times")
    shown, more = tuple(rows[:MAX_ROWS]), max(0, len(rows) - MAX_ROWS)
    return (Table(title=f"Layers that stand out{which}", columns=columns, rows=shown, more=more, reading=reading),)
