"""The figures of learning: the rate with its phases, losses, likeness to the last model, and the path in a plane."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from auditor.artifacts.curves import layer_map, seed_curves
from auditor.artifacts.stage_losses import StageCka, StageLoss
from auditor.blocks import AnyBlock, Line, Lines, Table

if TYPE_CHECKING:
    from auditor.methods.training.learning import Learning
    from auditor.methods.training.record import Series

POINTS = 150
WORDS = {"train_loss": "training data, evaluated", "validation_loss": "validation data, evaluated",
         "loss": "each step's batch"}  # fmt: skip


def drawn(
    found: "Learning", losses: "Mapping[str, Series]", again: StageLoss | None, alike: StageCka | None, which: str
) -> tuple[AnyBlock, ...]:
    """All of them, as far as there is something to show."""
    return (
        *exchange_table(found, which), *phase_plot(found, which), *loss_plot(losses, again, which),
        *path_plot(found, which), *alike_plot(alike), *gradient_plot(again),
    )  # fmt: skip


def phase_plot(found: "Learning", which: str) -> tuple[Lines, ...]:
    """The rate of the whole model, with a mark where each phase begins."""
    moved = [(float(step), float(rate)) for step, rate in zip(found.steps, found.rates, strict=True) if rate > 0]
    if not moved:
        return ()
    line = Line(label="all trained weights", x=_thin([at for at, _ in moved]), y=_thin([rate for _, rate in moved]))
    marks = tuple((float(step), f"phase {place}") for place, step in enumerate(found.starts or (), 2))
    reading = "How much the weights changed since the record before, as a share of their size. A mark is where the rate"
    reading += " (divided by the learning rate, where that is known) or the loss jumps to another level."
    return (
        Lines(title=f"Rate of change and phases{which}", x_label="training step", marks=marks, y_log=True,
              y_label="relative change per interval", lines=(line,), reading=reading),
    )  # fmt: skip


def loss_plot(losses: "Mapping[str, Series]", again: StageLoss | None, which: str) -> tuple[Lines, ...]:
    """The losses that are known, and those computed anew at the stages."""
    import numpy as np

    shown = {WORDS[name]: [(each.steps, each.values)] for name, each in losses.items()}
    if again is not None and np.isfinite(again.loss).any():
        shown[f"{again.data}, computed anew"] = [(np.array(again.steps), again.loss)]
    reading = "Losses in evaluation mode fall more smoothly than those of single batches."
    return (seed_curves(f"Loss{which}", "loss", shown, reading, log=True),) if shown else ()


def path_plot(found: "Learning", which: str) -> tuple[Lines, ...]:
    """The path of the weights in the plane that holds most of it."""
    if len(found.flat) < 3 or not found.flat.any():
        return ()
    x, y = (_thin(found.flat[:, column].tolist()) for column in (0, 1))
    first, last = int(found.path_steps[0]), int(found.path_steps[-1])
    ends = (Line(label=f"start, step {first}", x=x[:1], y=y[:1]), Line(label=f"end, step {last}", x=x[-1:], y=y[-1:]))
    reading = f"Records joined in their order; the plane holds {found.shown:.0%} of the path's variance. Even a random "
    reading += "walk looks like an arc here. A record that leaves the path and comes back may be out of place."
    return (
        Lines(title=f"Path of the weights{which}", x_label="first principal axis", y_label="second principal axis",
              lines=(Line(label="records", x=x, y=y), *ends), reading=reading),
    )  # fmt: skip


def alike_plot(alike: StageCka | None) -> tuple[Lines, ...]:
    """CKA of each block to the last stage."""
    import numpy as np

    if alike is None or not np.isfinite(alike.cka).any():
        return ()
    shown = {name: [(np.array(alike.steps), alike.cka[:, at])] for at, name in enumerate(alike.blocks)
             if np.isfinite(alike.cka[:, at]).any()}  # fmt: skip
    reading = (
        "1: the block already makes of the data what it makes of them in the end. Early blocks usually settle first."
    )
    return (seed_curves("Likeness to the last stage, by block", "CKA", shown, reading),)


def gradient_plot(again: StageLoss | None) -> tuple[AnyBlock, ...]:
    """The gradient of each tensor at each stage."""
    import numpy as np

    if again is None or len(again.steps) < 2:
        return ()
    reading = "Norm of the gradient of the mean loss on these data, computed anew at each stage. Empty: none."
    return (layer_map(f"Gradient by layer and stage on {again.data}", "gradient norm", again.tensors,
                      np.array(again.steps), again.gradient, reading),)  # fmt: skip


def exchange_table(found: "Learning", which: str) -> tuple[Table, ...]:
    """The records that stand in each other's place."""
    if not found.exchanges:
        return ()
    rows = tuple((one, other, round(saved, 3)) for one, other, saved in found.exchanges[:30])
    return (
        Table(title=f"Records out of order{which}", columns=("step", "step", "share of the path saved"), rows=rows,
              more=max(0, len(found.exchanges) - 30),
              reading="Two records that shorten the path beside them by that share once they change places."),
    )  # fmt: skip


def _thin(values: list[float]) -> tuple[float, ...]:
    from auditor.methods.training.picture import thinned

    return tuple(values[place] for place in thinned(len(values), POINTS))
