"""The figures of the search for shortcuts: what was tried, the mean map, transplants as pictures, telling tokens."""

from typing import TYPE_CHECKING

from auditor.artifacts.pictures import SIDE, picture
from auditor.artifacts.strategies import Strategies
from auditor.blocks import AnyBlock, Bar, Bars, Heatmap, Images, Picture, PictureRow, Table
from auditor.statistics import wilson

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST, COLUMNS = 8, 30
THREE = ("example", "donor of another class", "example with the donor's part")


def pages(found: Strategies, where: str) -> tuple[AnyBlock, ...]:
    """All figures of one search; `where` names the data."""
    return (_bars(found, where), *_mean_map(found, where), *_gallery(found, where), *_tokens(found, where))


def _bars(found: Strategies, where: str) -> Bars:
    moved = "inserting" if found.kind == "token" else "moving"
    bars = [
        _bar(f"second half: {found.chosen}", int(found.follow.sum()), len(found.follow)),
        _bar("second half: another one instead", int(found.null.sum()), len(found.null)),
        *(_bar(f"first half: {each.name}", each.k, each.n) for each in found.tried[:MOST] if each.n),
    ]
    return Bars(
        title=f"What predictions follow ({where})", x_label="share of predictions that follow",
        reading=f"How often {moved} a part takes the prediction along, with 95% intervals. The part was chosen on the "
        "first half, where the best of many looks better than it is; the two bars of the second half judge it.",
        bars=tuple(bars),
    )  # fmt: skip


def _bar(label: str, k: int, n: int) -> Bar:
    low, high = wilson(k, n, 0.95)
    return Bar(label=label, value=k / n, low=low, high=high)


def _mean_map(found: Strategies, where: str) -> tuple[AnyBlock, ...]:
    if found.kind != "region":
        return ()
    names = tuple(str(place + 1) for place in range(len(found.mean_map)))
    values = tuple(tuple(float(value) for value in line) for line in found.mean_map)
    return (
        Heatmap(
            title=f"Mean map of the suspicious group ({where})", rows=names, columns=names, values=values,
            value_label="share of the map", x_label="cells across", y_label="cells down",
            reading="Where the maps of a group of examples lie on average. Objects move from picture to picture, marks "
            f"do not: a bright place at the border deserves a look. The part that was moved: {found.chosen}.",
        ),
    )  # fmt: skip


def _gallery(found: Strategies, where: str) -> tuple[AnyBlock, ...]:
    if not found.shown:
        return ()
    rows = []
    for line, label in enumerate(THREE):
        cells = found.shown[line::3]
        captions = [_caption(found, at, line) for at in found.shown_at]
        rows.append(PictureRow(label=label, pictures=tuple(map(_enlarged, cells, captions))))
    return (
        Images(
            title=f"Transplants ({where})", rows=tuple(rows),
            reading="Above each picture what the model says; below the mixture, whether its prediction went with the "
            "transplanted part: the first two that do and the first two that do not, as far as there are any.",
        ),
    )  # fmt: skip


def _caption(found: Strategies, at: int, line: int) -> str:
    if line == 2:
        return "follows" if found.follow[at] else "does not follow"
    row = int((found.rows if line == 0 else found.donors)[at])
    return found.explained.name(int(found.explained.predicted[row]))


def _enlarged(pixels: "NDArray[np.uint8]", caption: str) -> Picture:
    from auditor.methods.attribution.overlay import enlarged

    return picture(enlarged(pixels, SIDE) if min(pixels.shape[:2]) < SIDE // 2 else pixels, caption)


def _tokens(found: Strategies, where: str) -> tuple[AnyBlock, ...]:
    if found.kind != "token":
        return ()
    rows = tuple((name, ", ".join(tokens)) for name, tokens in found.tokens[:COLUMNS])
    return (
        Table(
            title=f"Telling tokens by class ({where})", columns=("class", "tokens"), rows=rows,
            more=max(0, len(found.tokens) - COLUMNS),
            reading="The tokens that speak most for each predicted class, by attribution and by where they occur. A "
            "token that says nothing about the task is a shortcut.",
        ),
    )  # fmt: skip
