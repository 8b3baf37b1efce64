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

SHOWN = 5
DIRECTIONS = (
    ("deletion", "Parts taken away", "taken away",
     "A good map's line falls sooner than that of the same map rolled to other places: the area between is the gain."),
    ("insertion", "Parts put back", "put back",
     "A good map's line rises sooner than that of the same map rolled to other places: the area between is the gain."),
)  # fmt: skip
WORDS = {"mean": "their mean", "blur": "a blur", "mask": "the mask token", "hide": "a gap in attention",
         "draw": "values of other rows"}  # fmt: skip


def curve_blocks(
    found: Faithfulness, columns: "dict[str, Floats]", kept: "Kept", groups: Sequence[str], normalized: bool
) -> tuple[Lines, ...]:
    """The curves of both directions, each under the fill that is worse over all methods."""
    import numpy as np

    from auditor.methods.trust.gains import worse

    blocks = []
    for name, title, side, reading in DIRECTIONS:
        fill = worse(columns[f"{name}_gain"].mean(axis=0))
        own, null = found.curve(name, normalized)[:, fill], found.curve(f"{name}_null", normalized)[:, fill]
        random = found.curve("random", normalized)[fill]
        shown = {"random scattered parts (not judged)": random if name == "deletion" else np.flip(random, axis=-1)}
        for at, method in enumerate(found.methods[:SHOWN]):
            shown |= {plain(method): own[at], f"{plain(method)}, rolled": null[at]}
        lines = tuple(_line(label, values[kept], groups) for label, values in shown.items())
        blocks.append(Lines(
            title=f"{title}, {WORDS[found.fills[fill]]} in their place", x_label=f"parts {side}, %", lines=lines,
            y_label="share of the score" if normalized else "probability, pp",
            reading=f"{reading} Bands are 95% intervals of the mean over {int(kept.sum())} examples.",
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
        Bar(label=f"{name} over its own null", value=found.own.mean, low=found.own.low, high=found.own.high),
        *(Bar(label=f"{name} over {plain(methods[each.other])}", value=each.mean, low=each.low, high=each.high)
          for each in found.leads),
    )  # fmt: skip
    reading = (
        f"{said} Bars are paired differences of the mean gain over both directions and both fill-ins, on the {found.n} "
        "examples of the half that did not choose; lines are 95% intervals, corrected for the number of comparisons."
    )
    return (Bars(title="Which method to use", x_label="gain", bars=bars, reference=(0.0, "no difference"),
                 reading=reading),)  # fmt: skip


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


def shares(title: str, x_label: str, values: "dict[str, list[float]]", bins: int = 10) -> Lines:
    """Histograms over [0, 1] as lines: the share of the examples in each of the bins, one line a label."""
    import numpy as np

    lines = []
    for label, column in list(values.items())[: 2 * SHOWN]:
        counts, edges = np.histogram(np.clip(column, 0, 1), bins=bins, range=(0, 1))
        name, *rest = label.split(", ")
        middle = tuple(((edges[1:] + edges[:-1]) / 2).tolist())
        lines.append(Line(label=", ".join([plain(name), *rest]), x=middle, y=tuple((counts / len(column)).tolist())))
    reading = (
        f"Histogram: the share of the examples in each tenth of the {x_label}. A good map's line lies further left "
        "than that of the same map rolled."
    )
    return Lines(title=title, x_label=x_label, y_label="share of examples", lines=tuple(lines), reading=reading)
