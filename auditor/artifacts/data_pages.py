"""The figures and notes of a check of data: copies side by side, doubtful labels, shift by feature."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from auditor.artifacts.content import Content
from auditor.artifacts.copies import Copies, Pair
from auditor.artifacts.doubts import Doubts, LabelDoubts, Shift
from auditor.artifacts.pictures import SIDE, picture
from auditor.blocks import AnyBlock, Bar, Bars, Images, Picture, PictureRow, Table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST = 15
COMMON = 0.01
"""Share of training rows with a copy among themselves from which equal rows may be usual for such data."""


def blocks_of(content: Content, copies: Copies, doubts: Doubts) -> tuple[AnyBlock, ...]:
    """All figures that have something to show."""
    leaked = "Evaluation examples, and their copies in the training data. Are these really the same?"
    torn = "The same input with two labels: one of them is wrong for a model that can say only one."
    return (
        *pairs_shown("Leaked examples", leaked, copies.leaks, copies.leak_pictures),
        *pairs_shown("Conflicting labels", torn, copies.conflicts, copies.conflict_pictures),
        *shifts_shown(doubts.shifts),
        *doubts_shown(content, doubts.labels),
    )


def pairs_shown(
    title: str, reading: str, pairs: Sequence[Pair], pictures: "Sequence[NDArray[np.uint8]]"
) -> tuple[AnyBlock, ...]:
    """Pairs of copies: pictures one above the other, texts and rows of numbers side by side in a table."""
    if not pairs:
        return ()
    if pictures:
        sides = [
            PictureRow(
                label=("evaluation", "its copy")[side],
                pictures=tuple(
                    _enlarged(pictures[2 * at + side], _caption(pair, side)) for at, pair in enumerate(pairs)
                ),
            )
            for side in (0, 1)
        ]
        return (Images(title=title, reading=reading, rows=tuple(sides)),)
    rows = tuple((*_side(pair, 0), *_side(pair, 1), round(pair.similarity, 3)) for pair in pairs)
    columns = ("row", "label", "content", "its copy", "its label", "its content", "similarity")
    return (Table(title=title, reading=reading, columns=columns, rows=rows),)


def shifts_shown(shifts: Sequence[Shift]) -> tuple[AnyBlock, ...]:
    """The AUROC of each simple feature alone, the furthest from .5 first."""
    if len(shifts) < 2:
        return ()
    ranked = sorted(shifts[1:], key=lambda shift: -abs(shift.value - 0.5))[:MOST]
    bars = tuple(
        Bar(
            label=one.of,
            value=one.value,
            low=max(0.0, one.value - 2 * one.error),
            high=min(1.0, one.value + 2 * one.error),
        )
        for one in ranked
    )
    return (
        Bars(
            title="Shift by feature", x_label="chance that an evaluation example has more of it than a training one",
            reading="A bar at one half: both data sets have equally much of the feature. Lines span two standard "
            "errors to each side. Right of the line the evaluation data have more of it.",
            bars=bars, reference=(0.5, "no shift"),
        ),
    )  # fmt: skip


def doubts_shown(content: Content, found: LabelDoubts | None) -> tuple[AnyBlock, ...]:
    """Which labels are doubted in favour of which classes."""
    if found is None or not found.doubted.any():
        return ()
    doubted = [int(at) for at in found.doubted.nonzero()[0]]
    kinds: dict[tuple[str, str], int] = {}
    for at in doubted:
        name = content.class_name(int(found.rows[at])), content.classes[int(found.guesses[at])]
        kinds[name] = kinds.get(name, 0) + 1
    ranked = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
    return (
        Table(
            title="Doubtful labels", columns=("label", "the probe says", "examples"), more=max(0, len(ranked) - MOST),
            reading="How many examples of a label are confidently taken for another class by a probe that did not see "
            "them. Look at some of each pair: are they mislabelled, or does the model see the classes alike?",
            rows=tuple((*names, count) for names, count in ranked[:MOST]),
        ),
    )  # fmt: skip


def notes_of(content: Content, copies: Copies, doubts: Doubts) -> tuple[str, ...]:
    """What was not measured and why, and what qualifies what was."""
    said = [*content.remarks, *_unlabelled(content, doubts), *_train_notes(content, copies)]
    if doubts.received is None:
        said.append(
            "input_shift was not measured: the model has no normalization layer with running statistics (layer norms "
            "keep none), so nothing in it remembers its training inputs."
        )
    return tuple(said)


def inapplicable_of(content: Content, copies: Copies, doubts: Doubts) -> dict[str, str]:
    """The metrics that this model or these data cannot have, and why."""
    found: dict[str, str] = {}
    if doubts.received is None:
        found["input_shift"] = "the model has no normalization layer with running statistics"
    if copies.alike_in_train < 0:
        found |= dict.fromkeys(("leak_share", "shift_auroc"), "no training data are named")
    if not content.labelled:
        found |= dict.fromkeys(("conflict_share", "label_noise_share"), "the labels are not classes")
    if content.modality != "text":
        found["truncated_share"] = "only texts are cut at a window"
    return found


def _train_notes(content: Content, copies: Copies) -> list[str]:
    if copies.alike_in_train < 0:
        return [
            "leak_share and shift_auroc were not measured: no training data are named. Add them under `data:` and "
            "write `with: {train: NAME}`."
        ]
    said = []
    if copies.alike_in_train > COMMON * copies.train_rows:
        said.append(
            f"{copies.alike_in_train:,} of {copies.train_rows:,} training rows have a copy among the training rows "
            "themselves: where inputs take few values, equal rows need not be leaks."
        )
    if copies.shared_groups:
        total = len(set(content.groups))
        said.append(f"{copies.shared_groups:,} of {total:,} groups of {content.name} occur in the training data too.")
    return said


def _unlabelled(content: Content, doubts: Doubts) -> list[str]:
    if not content.labelled:
        return ["conflict_share and label_noise_share were not measured: the labels are not classes."]
    if doubts.labels is None:
        return ["label_noise_share was not measured: it needs two classes of at least 20 examples, in several groups."]
    small, copied = doubts.labels.small, doubts.labels.copied
    said = [f"{copied:,} rows repeat others: the probe judges them together, and they count as one."] if copied else []
    if not small:
        return said
    names = ", ".join(small[:5]) + (" ..." if len(small) > 5 else "")
    why = "of fewer than 20 examples, or of one group alone"
    return [*said, f"label_noise_share leaves out {len(small)} classes {why}: {names}."]


def _side(pair: Pair, side: int) -> tuple[str, str, str]:
    return f"{pair.sides[side]} {pair.places[side] + 1}", pair.labels[side], pair.excerpts[side]


def _caption(pair: Pair, side: int) -> str:
    label = f", label {pair.labels[side]}" if pair.labels[side] else ""
    return f"{pair.sides[side]}{label}" + (f", {pair.similarity:.3f}" if side else "")


def _enlarged(pixels: "NDArray[np.uint8]", caption: str) -> Picture:
    from auditor.methods.attribution.overlay import enlarged

    return picture(enlarged(pixels, SIDE) if min(pixels.shape[:2]) < SIDE // 2 else pixels, caption)
