"""The figures of a landscape: the surface on two directions, the lines between weights, and the path in a plane."""

from collections.abc import Iterator, Sequence
from math import isfinite

from auditor.artifacts.landscape_found import Landscape, Path, Surroundings
from auditor.blocks import AnyBlock, Heatmap, Line, Lines
from auditor.methods.landscape.found import Floats, Lane

DRAWN = 10


def drawn(landscape: Landscape) -> Iterator[AnyBlock]:
    """All that there is to show."""
    yield from surface(landscape.around)
    if landscape.path is not None:
        yield from path_lines(landscape.path)
    if landscape.pairs is not None:
        yield from seed_lines(landscape.pairs.lanes)


def surface(around: Surroundings) -> Iterator[Heatmap]:
    """The loss on the plane of the first two directions."""
    found = around.found
    if not found.surface.size:
        return
    names = tuple(f"{round(at, 9):.3g}" for at in found.at.tolist())
    middle = len(names) // 2
    sparse = tuple(name if len(names) < 8 or (at - middle) % 2 == 0 else "" for at, name in enumerate(names))
    cells = [tuple(value if isfinite(value) else None for value in row) for row in found.surface[::-1].tolist()]
    positive = all(value is None or value > 0 for row in cells for value in row)
    yield Heatmap(
        title="Loss on two random directions", x_label="first direction", y_label="second direction",
        value_label="loss", rows=names[::-1], columns=sparse, values=tuple(cells), log=positive,
        reading="The model is in the middle; 1 would move each filter by its own norm. A wide even basin is flat; "
        "steep or ragged sides close to the middle are sharp. Empty: the loss is not finite there.",
    )  # fmt: skip


def path_lines(path: Path) -> Iterator[Lines]:
    """Losses on the straight line and along the run, and the run in the plane of its principal axes."""
    way, lane = path.trodden, path.lane
    straight = _line("straight line between the weights", lane.at(), lane.losses)
    ends = _line("straight line between the losses", lane.at()[[0, -1]], lane.losses[[0, -1]])
    run = _line("kept weights of the run", way.share, way.losses)
    lines = tuple(line for line in (straight, ends, run) if line.x)
    if lines:
        yield Lines(
            title=f"Loss from {lane.name}", x_label="share of the way", y_label="loss", lines=lines,
            reading="A straight line of weights that rises above that of the losses is a barrier: the run had to go "
            "around it. Kept weights stand where they project onto the line.",
        )  # fmt: skip
    if len(way.flat) > 2:
        x, y = (tuple(way.flat[:, axis].tolist()) for axis in (0, 1))
        marks = ((x[:1], y[:1], f"start, step {way.steps[0]}"), (x[-1:], y[-1:], f"end, step {way.steps[-1]}"))
        yield Lines(
            title="Training path", x_label="first principal axis", y_label="second principal axis",
            lines=(Line(label="kept weights", x=x, y=y), *(Line(label=said, x=a, y=b) for a, b, said in marks)),
            reading=f"Kept weights joined in their order; the plane holds {way.shown:.0%} of their variance. Even a "
            "random walk looks like an arc here.",
        )  # fmt: skip


def seed_lines(lanes: Sequence[Lane]) -> Iterator[Lines]:
    """How far the loss between two seeds lies above the straight line of their losses; the highest first."""
    known = sorted((lane for lane in lanes if lane.has_ends()), key=lambda lane: -(lane.barrier() or 0.0))
    lines = tuple(_line(lane.name, lane.at(), lane.excess()) for lane in known[:DRAWN])
    if not lines:
        return
    more = f" The {DRAWN} of {len(known)} pairs with the highest barriers." if len(known) > DRAWN else ""
    yield Lines(
        title="Loss between seeds", x_label="share of the way", y_label="loss above the straight line", lines=lines,
        reading="Near or below zero throughout: the seeds lie in one basin, and their weights could be averaged. A "
        "hump is a barrier: they found different solutions, or the same with units in another order." + more,
    )  # fmt: skip


def _line(label: str, x: Floats, y: Floats) -> Line:
    """A line of the finite ones."""
    kept = [(a, b) for a, b in zip(x.tolist(), y.tolist(), strict=True) if isfinite(a) and isfinite(b)]
    return Line(label=label, x=tuple(a for a, _ in kept), y=tuple(b for _, b in kept))
