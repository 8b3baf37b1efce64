"""Drifted: the figures of drift: maps before and after, how alike they are beside the floor, and blocks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from auditor.artifacts.drift import Drift, Drifts
from auditor.artifacts.drift_columns import Column, of_maps
from auditor.artifacts.pictures import overlays_by
from auditor.artifacts.representations import Alike
from auditor.blocks import AnyBlock, Bar, Bars, Line, Lines, TokenMap, Tokens
from auditor.statistics import grouped, moments, t_interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.floating[Any]]

COLUMNS = 15


def shown(drifts: Drifts, alike: Alike) -> tuple[AnyBlock | None, ...]:
    """All figures of one pair of models; None for those that have nothing to show."""
    blocks = by_block(alike, drifts.other) if alike.layers else None
    return (likeness(drifts), *(before_and_after(drift, drifts.other) for drift in drifts.drifts), blocks)


def before_and_after(drift: Drift, other: str) -> AnyBlock | None:
    """The maps of both models on the first examples; None where they cannot be laid side by side."""
    title, explained = f"{words(drift.method)} before and after", drift.own
    reading = f"Before is {other}, after the audited model; each map has its own scale."
    if explained.pictures:
        maps = {f"before: {other}": drift.before, "after": drift.after}
        return overlays_by(title[0].upper() + title[1:], reading, maps, explained)
    if drift.moved.why:
        return None
    if explained.tokens:
        return _tokens(drift, title[0].upper() + title[1:], reading)
    return _columns(drift, title[0].upper() + title[1:])


def _tokens(drift: Drift, title: str, reading: str) -> TokenMap:
    texts = []
    for row, tokens in enumerate(drift.own.tokens[:3]):
        for label, maps in (("before", drift.before), ("after", drift.after)):
            scores = tuple(maps[row, : drift.lengths[row]].tolist())
            texts.append(Tokens(label=f"{label}: {drift.own.caption(row)}", tokens=tokens, scores=scores))
    signed = any(score < 0 for text in texts for score in text.scores)
    return TokenMap(title=title, reading=reading, texts=tuple(texts), signed=signed)


def _columns(drift: Drift, title: str) -> Bars:
    import numpy as np

    before, after = (np.abs(maps).mean(axis=0) for maps in (drift.before, drift.after))
    order = np.argsort(-(before / (before.max() or 1) + after / (after.max() or 1)), kind="stable")[:COLUMNS]
    bars = []
    for column in order:
        for label, values in (("before", before), ("after", after)):
            share = float(values[column] / values.max()) if values.max() else 0.0
            bars.append(Bar(label=f"{drift.own.column(int(column))}, {label}", value=share))
    reading = "Mean size of the map of each column over the first examples, as a share of the largest column's."
    return Bars(title=title, reading=reading, x_label="share of the strongest column", bars=tuple(bars))


def likeness(drifts: Drifts) -> Bars | None:
    """How alike maps are, by method, beside the floor; None where no maps can be compared."""
    kinds = {"map_iou": "kept", "map_iou_flipped": "flipped", "map_iou_floor": "noise"}
    bars = [_bar(f"{words(column.of)}, {kinds[column.name]}", column)
            for column in of_maps(drifts, "") if column.name in kinds]  # fmt: skip
    if not bars:
        return None
    return Bars(
        title=f"How alike the maps are, against {drifts.other}", bars=tuple(bars), x_label="intersection over union",
        reading="The overlap of the foremost places, with 95% intervals. Noise is the floor: the same model, its "
        "inputs under 1% noise or what `noise` says. What lies far below it has drifted.",
    )  # fmt: skip


def _bar(label: str, column: Column) -> Bar:
    mean, sd, n = grouped(column.values, column.groups) if column.groups else moments(column.values)
    low, high = t_interval(mean, sd, n, 0.95) if n > 1 else (None, None)
    return Bar(label=label, value=mean, low=low, high=high)


def words(method: str) -> str:
    """A method's name as one says it."""
    return method.replace("_", " ")


def by_block(alike: Alike, other: str) -> Lines:
    """CKA of each block with its 95% interval, and the same model's under noise."""
    lines = (_line(f"against {other}", alike.moved, alike.groups), _line("the same, noise", alike.floor, alike.groups))
    names = f"Block 1 is {alike.layers[0]}, block {len(alike.layers)} is {alike.layers[-1]}."
    return Lines(
        title=f"Representation by block, against {other}", x_label="block", y_label="CKA", lines=lines,
        reading=f"1: the block tells the same examples apart as before. {names} Bands are 95% intervals.",
    )  # fmt: skip


def _line(label: str, values: "Floats", groups: Sequence[str]) -> Line:
    each = [grouped(column.tolist(), groups) if groups else moments(column) for column in values]
    known = all(n > 1 for _, _, n in each)
    low, high = zip(*(t_interval(*found, 0.95) for found in each), strict=True) if known else ((), ())
    return Line(label=label, x=tuple(float(at + 1) for at in range(len(each))), y=tuple(found[0] for found in each),
                low=low, high=high)  # fmt: skip
