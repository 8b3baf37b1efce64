"""Figures of influence: training examples to look at, and decisions beside what speaks for and against them."""

from typing import Any

from auditor.artifacts.influence import SUSPECTS, Contents, Influences
from auditor.artifacts.portraits import shown
from auditor.blocks import AnyBlock, Images, Line, Lines, PictureRow, Table


def figures(found: Influences) -> tuple[AnyBlock, ...]:
    """The most self-influential examples, the strongest pairs, and all self-influences in order."""
    return (*_suspects(found), *_beside(found), _curve(found))


def _suspects(found: Influences) -> tuple[AnyBlock, ...]:
    top = [place for place in found.shown_train.places[:SUSPECTS] if found.own[place] > 0]
    whole = float(found.own.sum()) or 1.0
    content = found.shown_train.words
    rows = tuple(
        (
            found.train.rows[place], found.name(found.train.labels[place]), found.name(found.train.predicted[place]),
            float(f"{found.own[place]:.3g}"), round(float(found.own[place]) / whole, 4), *content[at : at + 1],
        )
        for at, place in enumerate(top)
    )  # fmt: skip
    table = Table(
        title=f"Look at these examples of {found.train.name}",
        reading="The training examples that act most on their own loss, the strongest first: candidates for a wrong "
        "label or an odd input. The share is that of all self-influence here; the row counts from 0.",
        columns=("row", "label", "predicted", "self-influence", "share", *(("content",) if content else ())),
        rows=rows,
    )
    if not found.shown_train.pictures:
        return (table,)
    seen = [
        shown(found.shown_train.pictures[at], f"row {found.train.rows[place]}, label {_said(found, place)}")
        for at, place in enumerate(top[: SUSPECTS // 2])
    ]
    reading = "The first examples of the table, as the model saw them. Is the label right?"
    return table, Images(
        title="The most self-influential training examples", reading=reading,
        rows=(PictureRow(label="training example", pictures=tuple(seen)),),
    )  # fmt: skip


def _said(found: Influences, place: int) -> str:
    return str(found.name(found.train.labels[place]))


def _beside(found: Influences) -> tuple[AnyBlock, ...]:
    from auditor.methods.influence.ranking import strongest

    pairs = [
        (test, [strongest(found.pairs, test, 1, sign).tolist() for sign in (1.0, -1.0)])
        for test in found.shown_test.places
    ]
    title = f"Examples of {found.test.name}, and what speaks for and against"
    reading = (
        "Beside each example the training example that lowers the loss of its decision most (proponent), and the one "
        "that raises it most (opponent). Does the proponent look like it, and for the reason you would give?"
    )
    if found.shown_test.pictures:
        return _pictured(found, [(test, sides) for test, sides in pairs if all(sides)], title, reading)
    rows = tuple(
        (
            _content(found.shown_test, test), found.name(found.test.labels[test]),
            found.name(found.test.predicted[test]), kind, _content(found.shown_train, place),
            found.name(found.train.labels[place]), float(f"{found.pairs[place, test]:.3g}"),
        )
        for test, sides in pairs
        for kind, side in zip(("for", "against"), sides, strict=True)
        for place in side
    )  # fmt: skip
    columns = ("example", "label", "predicted", "speaks", "training example", "its label", "influence")
    return (Table(title=title, reading=reading, columns=columns, rows=rows),) if rows else ()


def _pictured(found: Influences, pairs: list[tuple[int, Any]], title: str, reading: str) -> tuple[AnyBlock, ...]:
    if not pairs:
        return ()
    first = [
        shown(found.shown_test.pictures[test], f"{found.name(found.test.predicted[test])}, label "
              f"{found.name(found.test.labels[test])}")
        for test, _ in pairs
    ]  # fmt: skip
    rows = [PictureRow(label="example, as predicted", pictures=tuple(first))]
    for at, label in enumerate(("proponent", "opponent")):
        places = [sides[at][0] for _, sides in pairs]
        pictures = (shown(_content(found.shown_train, place), f"label {_said(found, place)}") for place in places)
        rows.append(PictureRow(label=label, pictures=tuple(pictures)))
    return (Images(title=title, reading=reading, rows=tuple(rows)),)


def _content(contents: Contents, place: int) -> Any:
    return (contents.pictures or contents.words)[contents.places.index(place)]


def _curve(found: Influences) -> Lines:
    import numpy as np

    ordered = np.sort(found.own)[::-1]
    places = np.unique(np.linspace(0, len(ordered) - 1, min(len(ordered), 500)).astype(int))
    share = np.cumsum(ordered) / (ordered.sum() or 1.0)
    line = Line(label=found.train.name, x=tuple((places + 1.0).tolist()), y=tuple(share[places].tolist()))
    even = Line(label="if all were equal", x=(1.0, float(len(ordered))), y=(1 / len(ordered), 1.0))
    return Lines(
        title="How few examples carry the self-influence",
        reading="The share of all self-influence that the strongest examples hold together. A curve that rises steeply "
        "at once: few examples still move the model, hard or mislabelled ones.",
        x_label="strongest training examples", y_label="share of self-influence", lines=(line, even),
    )  # fmt: skip


def remarks(found: Influences) -> tuple[str, ...]:
    """What the numbers were made of."""
    weight = "each of weight 1, since their learning rates are not known" if found.equal else "by their learning rates"
    how = ", made one by one" if found.made else ""
    said = [
        f"Gradients of layer {found.layer} ({found.size:,} parameters{how}) at {len(found.steps)} stages, {weight}; "
        f"{len(found.own):,} rows of {found.train.name}, {found.pairs.shape[1]:,} of {found.test.name}."
    ]
    if found.left_out:
        steps = ", ".join(map(str, found.left_out))
        said.append(
            f"Stages whose outputs or gradients are not finite are left out: {steps}. What is left of such a training "
            "decides nothing: no number can pass or fail."
        )
    return (*said, *found.remarks)
