"""The figures of faithfulness: curves with bands beside their nulls, and which method to use."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from auditor.artifacts.faithfulness import Faithfulness
from auditor.blocks import AnyBlock, Bar, Bars, Line, Lines, Table
from auditor.statistics import grouped, moments, t_interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from auditor.methods.trust.ranking import Choice

    Floats = NDArray[np.float64]
    Kept = NDArray[np.bool_]

SHOWN = 3
DIRECTIONS = (("deletion", "taken away", "falls"), ("insertion", "put back", "rises"))
WORDS = {"mean": "their mean", "blur": "a blur", "mask": "the mask token", "hide": "a gap in attention",
         "draw": "values of other rows"}  # fmt: skip


def curve_blocks(
    found: Faithfulness, columns: "dict[str, Floats]", kept: "Kept", groups: Sequence[str], normalized: bool
) -> tuple[Lines, ...]:
    """The curves of the foremost methods in both directions, each under its worse fill, beside their nulls."""
    import numpy as np

    from auditor.methods.trust.gains import worse

    gains = (columns["deletion_gain"] + columns["insertion_gain"]).mean(axis=(1, 2))
    blocks = []
    for at in np.argsort(-gains, kind="stable")[:SHOWN].tolist():
        for name, side, moves in DIRECTIONS:
            fill = worse(columns[f"{name}_gain"][at])
            random = found.curve("random", normalized)[fill]
            shown = {
                plain(found.methods[at]): found.curve(name, normalized)[at, fill],
                "the same map, rolled": found.curve(f"{name}_null", normalized)[at, fill],
                "random scattered parts": random if name == "deletion" else np.flip(random, axis=-1),
            }
            lines = tuple(_line(label, values[kept], groups) for label, values in shown.items())
            blocks.append(Lines(
                title=f"{plain(found.methods[at])}: parts {side}", x_label=f"parts {side}, %", lines=lines,
                y_label="share of the score" if normalized else "probability, pp",
                reading=f"With {WORDS[found.fills[fill]]} in place of what is missing. A good map's line "
                f"{moves} sooner than that of the same map rolled: the area between is the gain. "
                f"Scattered parts are not judged. Bands are 95% intervals of the mean over {int(kept.sum())} examples.",
            ))  # fmt: skip
    return tuple(blocks)


def _line(label: str, values: "Floats", groups: Sequence[str]) -> Line:
    points = values.shape[1]
    spread = [_mean(values[:, at], groups) for at in range(points)]
    x = tuple(100 * at / (points - 1) for at in range(points))
    y, low, high = (tuple(column) for column in zip(*spread, strict=True))
    return Line(label=label, x=x, y=y, low=low, high=high)


def _mean(values: "Floats", groups: Sequence[str]) -> tuple[float, float, float]:
    mean, sd, n = grouped(values, groups) if groups else moments(values)
    low, high = t_interval(mean, sd, n, 0.95) if n > 1 else (mean, mean)
    return mean, low, high


def plain(method: str) -> str:
    """A method's name in words.

    >>> plain("grad_cam"), plain("input_x_gradient")
    ('Grad-CAM', 'input x gradient')
    """
    return {"grad_cam": "Grad-CAM", "rise": "RISE", "lime": "LIME", "shap": "SHAP"}.get(
        method, method.replace("_", " ")
    )


def ranking(methods: Sequence[str], found: "Choice | None") -> tuple[AnyBlock, ...]:
    """Which method to use here, as far as the held-out half decides; nothing for a single method."""
    if found is None or not found.leads:
        return ()
    name = plain(methods[found.chosen])
    others = " and ".join(plain(methods[each.other]) for each in found.leads)
    if found.clear:
        said = f"Use {name} here: it beats {others} on examples that did not choose it."
    elif found.own.low <= 0:
        said = (
            f"{name} came first on one half, but on the other its gain is not shown to be above zero: trust none yet."
        )
    else:
        said = f"{name} came first on one half; on the other its lead is not shown against every method."
    bars = (
        Bar(label="over its rolled map", value=found.own.mean, low=found.own.low, high=found.own.high),
        *(Bar(label=f"over {plain(methods[each.other])}", value=each.mean, low=each.low, high=each.high)
          for each in found.leads),
    )  # fmt: skip
    reading = (
        f"{said} Bars are paired differences of the mean gain over both directions and both fill-ins, on the {found.n} "
        "examples of the half that did not choose; lines are 95% intervals, corrected for the number of comparisons."
    )
    title, zero = f"Which method to use: the gain of {name}", (0.0, "no difference")
    return (Bars(title=title, x_label="gain", bars=bars, reference=zero, reading=reading),)


def fill_table(methods: Sequence[str], fills: Sequence[str], columns: "dict[str, Floats]") -> Table:
    """Means of per-example values [m, fills, n] under each fill; the worse one is what was measured."""
    rows: list[tuple[Any, ...]] = [
        (
            plain(method),
            WORDS.get(name, name),
            *(round(float(values[at, fill].mean()), 4) for values in columns.values()),
        )
        for at, method in enumerate(methods)
        for fill, name in enumerate(fills)
    ]
    reading = "Each number under both ways to fill what is taken away; measured is the worse of the two."
    return Table(title="Under each fill-in", columns=("method", "in place of what is taken away", *columns),
                 rows=tuple(rows[:30]), more=max(0, len(rows) - 30), reading=reading)  # fmt: skip


def shares(own: "Floats", rolled: "Floats", method: str, bins: int = 10) -> Lines:
    """The histogram of the infidelities [n] of a method's maps and of the same maps rolled, as two lines."""
    import numpy as np

    lines = []
    for label, column in ((plain(method), own), ("the same map, rolled", rolled)):
        counts, edges = np.histogram(np.clip(column, 0, 1), bins=bins, range=(0, 1))
        middle = tuple(((edges[1:] + edges[:-1]) / 2).tolist())
        lines.append(Line(label=label, x=middle, y=tuple((counts / len(column)).tolist())))
    reading = (
        "Histogram: the share of the examples in each tenth of the infidelity. A good map's line lies further left "
        "than that of the same map rolled."
    )
    return Lines(title=f"What {plain(method)} leaves unsaid", x_label="infidelity", y_label="share of examples",
                 lines=tuple(lines), reading=reading)  # fmt: skip
