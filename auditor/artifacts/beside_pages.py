"""Histories beside each other as a report shows them: curves, a table of layers, and what the reader must know."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auditor.artifacts.beside import Side
from auditor.artifacts.curves import seed_curves
from auditor.blocks import MAX_ROWS, AnyBlock, Table
from auditor.errors import NotApplicable

if TYPE_CHECKING:
    from auditor.methods.training.compared import Aligned
    from auditor.methods.training.record import Floats

BASES = {
    "same intervals": "Only the intervals that all histories hold are compared.",
    "same spacing": "The histories share fewer than two intervals, so the usual intervals of each are compared.",
    "per step": "The histories are recorded every {0:g} and every {1:g} steps, so rates are divided by the steps of "
    "their interval: a path that winds looks faster per step where it is recorded more often.",
}


@dataclass(frozen=True)
class Apart:
    """Two sides on common ground. of: a tensor, or "" for the scores; first, second: one number a history, for rates
    over the larger mean of both. error: of their difference over examples, None if unknown; blocks: on how many."""

    name: str
    of: str
    first: tuple[float, ...]
    second: tuple[float, ...]
    error: float | None = 0.0
    blocks: int = 0


@dataclass(frozen=True)
class Compared:
    """All differences of two sides, and what is shown of them."""

    apart: tuple[Apart, ...]
    blocks: tuple[AnyBlock, ...]
    notes: tuple[str, ...]


def compared(first: Side, second: Side, alpha: float) -> Compared:
    """The rates of each matrix that both know, and the scores where they can be had."""
    import numpy as np

    from auditor.methods.training.compared import aligned, common_matrices, median_rates

    found = aligned(first.trajectory.changes, second.trajectory.changes)
    if found is None:
        why = f"{first.name} and {second.name} are not compared: one has no two intervals of the usual length."
        return Compared((), (), (why,))
    names = common_matrices(found)
    rates = median_rates(found.first, names, found.basis), median_rates(found.second, names, found.basis)
    means = [each.mean(axis=0) for each in rates]
    larger = np.maximum(*means)
    scale = np.where(larger > 0, larger, 1.0)
    mine, theirs = ((each / scale).T.tolist() for each in rates)
    apart = [Apart("rate_difference", name, tuple(mine[at]), tuple(theirs[at])) for at, name in enumerate(names)]
    notes = list(_notes(first, second, found, len(names)))
    try:
        apart.append(_scores(first, second, found, alpha))
    except NotApplicable as why:
        notes.append(f"score_difference between {first.name} and {second.name} is not measured: {why}.")
    shown = _blocks(first, second, found, names, rates, np.abs(means[0] - means[1]) / scale) if names else ()
    return Compared(tuple(apart), shown, tuple(notes))


def _scores(first: Side, second: Side, found: "Aligned", alpha: float) -> Apart:
    """Where both weigh the same, or importance has no part, the error over examples is common and cancels."""
    scores = tuple(first.scores(found.first, alpha)), tuple(second.scores(found.second, alpha))
    if alpha == 1 or first.same_importance(second):
        return Apart("score_difference", "", *scores)
    errors = first.error(), second.error()
    if errors[0] is None or errors[1] is None:
        return Apart("score_difference", "", *scores, None)
    blocks = min(len(side.importance.effective_told) for side in (first, second) if side.importance)
    return Apart("score_difference", "", *scores, (1 - alpha) * (errors[0] ** 2 + errors[1] ** 2) ** 0.5, blocks)


def _blocks(
    first: Side, second: Side, found: "Aligned", names: tuple[str, ...], rates: "tuple[Floats, Floats]",
    apart: "Floats",
) -> tuple[AnyBlock, ...]:  # fmt: skip
    """The rates of both models over each other, and the layers that differ most. rates: [histories, names] each."""
    import numpy as np

    from auditor.methods.training.rates import model_rates

    curves = seed_curves(
        f"Change rates of {first.name} and {second.name}", "relative change per interval",
        {
            side.name: [(part.steps[1:], model_rates(part, "l2")) for part in kept]
            for side, kept in ((first, found.first), (second, found.second))
        },
        "Lines on top of each other are histories that moved alike.", log=True,
    )  # fmt: skip
    order = np.argsort(-apart, kind="stable").tolist()
    means = [each.mean(axis=0).tolist() for each in rates]
    rows = tuple((names[at], means[0][at], means[1][at], float(apart[at])) for at in order[:MAX_ROWS])
    table = Table(
        title=f"Layers of {first.name} and {second.name}", columns=("tensor", first.name, second.name, "difference"),
        rows=rows, more=max(0, len(names) - MAX_ROWS),
        reading="Median change rates, means over the seeds; the difference is relative to the larger of the two.",
    )  # fmt: skip
    return curves, table


def _notes(first: Side, second: Side, found: "Aligned", count: int) -> Iterator[str]:
    """On what the two were compared, and what they do not share."""
    yield BASES[found.basis].format(*found.spacing)
    if not found.lr_known:
        yield ("Learning rates are not known on both sides: steadiness is that of the rates alone, on both.")
    sides = ((first, found.first), (second, found.second))
    for side, kept in sides:
        if lost := len(side.trajectory.changes) - len(kept):
            yield (f"{lost} histories of {side.name} have fewer than two intervals and are left out.")
        held = int(((kept[0].dims >= 2) & kept[0].trained).sum())
        if held > count:
            yield (f"{held - count} matrices of {side.name} are not in the other history in that size.")
