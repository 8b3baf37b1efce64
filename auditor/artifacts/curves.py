"""The figures of a history: curves over the steps with a band over the seeds, and maps of layers by step."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from auditor.blocks import MAX_FLOATS, Bar, Bars, Heatmap, Line, Lines, Table

if TYPE_CHECKING:
    from auditor.methods.training.gradients import Layers
    from auditor.methods.training.record import Floats, Ints, Run, Side

    History = tuple[Ints | Floats, Floats]

POINTS, ROWS, COLUMNS = 150, 40, 60


def seed_curves(
    title: str,
    y_label: str,
    series: "Mapping[str, Sequence[History]]",
    reading: str,
    *,
    log: bool = False,
) -> Lines:
    """One line for each entry of `series`: the median over its (steps, values) histories, with the band from the
    lowest to the highest where there are several; none where no value is finite. log: a logarithmic axis, if all that
    is shown is above 0."""
    points = min(POINTS, MAX_FLOATS // (4 * len(series)))
    every = [_line(label, histories, points) for label, histories in series.items()]
    lines = tuple(line for line in every if line.y)
    gone = ", ".join(line.label for line in every if not line.y)
    positive = all(min(line.low or line.y) > 0 for line in lines)
    several = max(len(histories) for histories in series.values())
    band = f" Lines are medians over {several} seeds; bands reach from the lowest seed to the highest."
    return Lines(
        title=title, x_label="training step", y_label=y_label, lines=lines, y_log=log and positive,
        reading=reading + (band if several > 1 else "") + (f" No value is finite of: {gone}." if gone else ""),
    )  # fmt: skip


def _line(label: str, histories: "Sequence[History]", points: int) -> Line:
    from auditor.methods.training.picture import band, thinned

    steps, middle, low, high = band(histories)
    at = thinned(len(steps), points)
    x, y, below, above = (tuple(column[at].tolist()) for column in (steps, middle, low, high))
    single = len(histories) == 1
    return Line(label=label, x=x, y=y, low=() if single else below, high=() if single else above)


def element_band(title: str, y_label: str, steps: "Ints | Floats", bands: "Floats", reading: str) -> Lines:
    """bands: [R, 3], a low, a middle and a high value after each step; the axis is logarithmic if all are above 0."""
    from auditor.methods.training.picture import thinned

    at = thinned(len(steps), POINTS)
    low, middle, high = (tuple(bands[at, place].tolist()) for place in range(3))
    line = Line(label="median, 5% to 95%", x=tuple(steps[at].tolist()), y=middle, low=low, high=high)
    return Lines(
        title=title, x_label="training step", y_label=y_label, lines=(line,), y_log=min(low) > 0, reading=reading
    )


def layer_map(
    title: str, value_label: str, names: Sequence[str], steps: "Ints | Floats", values: "Floats", reading: str
) -> Heatmap:
    """values: [R, M], record by layer; a logarithmic scale, on which what is not finite or not above 0 is empty."""
    import numpy as np

    from auditor.methods.training.picture import short_names, thinned

    rows, columns = thinned(len(names), ROWS), thinned(len(steps), COLUMNS)
    cells = values[columns][:, rows].T.tolist()
    kept = short_names(names)
    return Heatmap(
        title=title, x_label="training step", y_label="layer", value_label=value_label, log=True, reading=reading,
        rows=tuple(kept[row] for row in rows),
        columns=tuple(str(int(steps[column])) for column in columns),
        values=tuple(tuple(value if 0 < value < np.inf else None for value in row) for row in cells),
    )  # fmt: skip


def waiting(runs: "Sequence[Run]", target: float, labels: Mapping[str, str]) -> Lines:
    """The Kaplan-Meier curves of the steps to a loss of `target`; labels: the sides shown, with their words."""
    from auditor.methods.training.curves import still_above

    curves = {side: still_above(runs, side, target) for side in labels}
    lines = tuple(Line(label=labels[side], x=x, y=y) for side, (x, y) in curves.items())
    return Lines(
        title=f"Seeds still above a loss of {target:g}", x_label="training step", y_label="share of seeds", lines=lines,
        reading="Kaplan-Meier curve: the share of the seeds that have not reached the target yet.",
    )  # fmt: skip


def accuracy_windows(runs: "Sequence[Run]", size: int, labels: "Mapping[Side, str]") -> tuple[Lines, Lines]:
    """What the accuracy varies in moving windows of `size` records, and the accuracy itself; labels as in waiting."""
    from auditor.methods.training.calm import rolling

    moving = {label: [rolling(run, side, size) for run in runs] for side, label in labels.items()}
    shares: dict[str, list[History]] = {
        label: [(run.record_steps, run.accuracy(side)) for run in runs]  # type: ignore[misc]  # rolling has seen classes
        for side, label in labels.items()
    }
    reading = f"Of each window of {size} records, at its last step; zero and below is no more than counting noise."
    return (
        seed_curves("Variation of the accuracy", "standard deviation beyond noise", moving, reading),
        seed_curves("Accuracy over the fine-tune", "accuracy", shares, "In evaluation mode."),
    )


def seed_table(runs: "Sequence[Run]", shown: int = 30) -> Table:
    """One row a seed: its first and final losses."""
    from auditor.methods.training.curves import seed_rows

    columns = ("seed", "first loss", "final train loss", "final validation loss", "accuracy", "diverged at")
    reading = (
        "Losses in evaluation mode, the first on validation data, in nats (of a regression mean squared errors); "
        "a loss that was not finite is empty."
    )
    more = max(0, len(runs) - shown)
    return Table(title="Each seed", columns=columns, rows=seed_rows(runs[:shown]), more=more, reading=reading)


def layer_ratios(ratios: Mapping[str, float], which: str) -> tuple[Bars, ...]:
    """Bars of the early rate of each layer against the median layer's, the largest first; none without ratios."""
    from auditor.methods.training.picture import short_names

    ordered = sorted(zip(short_names(list(ratios)), ratios.values(), strict=True), key=lambda pair: -pair[1])
    bars = tuple(Bar(label=name, value=value) for name, value in ordered[:20])
    title = f"Early rate of each layer against the median layer{which}"
    reading = "A layer far to the right of the line moved faster than the others when training began."
    label, middle = "rate / rate of the median layer", (1.0, "the median layer")
    return (Bars(title=title, x_label=label, bars=bars, reference=middle, reading=reading),) if bars else ()


def gradient_layers(layers: "Sequence[Layers]") -> tuple[Heatmap | Bars, ...]:
    """The map of the first seed's rms gradients; and the layers that are out of range in any seed, if there are."""
    from auditor.methods.training.picture import short_names

    first = layers[0]
    if not first.rms.size:
        return ()
    heat = layer_map(
        "Gradient by layer and step, first seed", "root mean square gradient", first.names, first.steps, first.rms,
        "A row is a layer. Empty cells had no gradient, or one that was not finite.",
    )  # fmt: skip
    count = {
        name: sum(bool(found.vanishing[place] or found.exploding[place]) for found in layers)
        for place, name in enumerate(short_names(first.names))
    }
    bars = tuple(Bar(label=name, value=seeds / len(layers)) for name, seeds in count.items() if seeds)[:30]
    if not bars:
        return (heat,)
    reading = "The layers that vanish or explode, and in which share of the seeds."
    return heat, Bars(title="Layers out of range", x_label="share of seeds", bars=bars, reading=reading)
