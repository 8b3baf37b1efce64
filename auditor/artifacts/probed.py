"""Probed: what a probe that never saw a row says of the training labels of a fine-tune, and how good it is itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.artifacts.content import ContentOf
from auditor.artifacts.inside import Inside, InsideOf
from auditor.artifacts.roots import Batches, Model
from auditor.needs import Derived, Need
from auditor.subject import ModelRef, Runtime, Subject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from auditor.methods.training.diagnosis import Known, Probe
    from auditor.methods.training.record import Run


@dataclass(frozen=True)
class Probed:
    """Of the first training rows those that can be judged: of classes of 20 examples or more that other folds hold too.

    doubted: bool [k], labels that the probe confidently contradicts (methods/data/labels). right: bool [k], whether it
    gives the label, out of fold. held: bool [m], whether it gives the labels of the first validation rows. labels,
    guesses: names [k]. groups: the units of these rows; train_units, held_units: of all rows of both data sets, equal
    rows being one unit; empty where rows stand alone. small: classes left out. blind: the model's features are not
    finite, so that the probe sees the inputs alone. looked: the training rows looked at; copied: of them those that
    repeat another one. whole: how many training rows there are. k and m are 0 where fewer than two classes can be
    judged.
    """

    doubted: "NDArray[np.bool_]"
    right: "NDArray[np.bool_]"
    held: "NDArray[np.bool_]"
    labels: tuple[str, ...]
    guesses: tuple[str, ...]
    examples: tuple[str, ...]
    groups: tuple[str, ...]
    train_units: tuple[str, ...]
    held_units: tuple[str, ...]
    small: tuple[str, ...]
    classes: int
    blind: bool
    looked: int
    copied: int
    whole: int

    def probe(self) -> "Probe | None":
        """The counts; None without rows."""
        from auditor.methods.training.diagnosis import Probe

        if not len(self.right) or not len(self.held):
            return None
        held = (float(self.held.mean()), len(set(self.held_units[: len(self.held)])) or len(self.held))
        units = len(set(self.groups)) or len(self.right)
        return Probe(int(self.doubted.sum()), int(self.right.sum()), len(self.right), self.looked, units, held)

    def known(self, runs: "Sequence[Run]") -> "Known":
        """What this says of the rows that the runs' accuracies were taken on."""
        from auditor.methods.training.diagnosis import Known

        def units(column: tuple[str, ...], rows: int) -> int | None:
            count = len(set(column[:rows]))
            return count if 0 < count < rows else None

        train, held = min(run.train_rows for run in runs), min(run.validation_rows for run in runs)
        return Known(self.classes, self.whole, units(self.train_units, train), units(self.held_units, held))

    def notes(self) -> tuple[str, ...]:
        """What the probe did not see, and what it could not judge."""
        said = []
        if self.blind:
            said.append("What enters the model's head is not finite before training: the probe saw the inputs alone.")
        if self.small:
            listed = ", ".join(self.small[:5]) + (" ..." if len(self.small) > 5 else "")
            said.append("Labels of classes with fewer than 20 training examples, or of one group alone, are not "
                        f"probed: {listed}.")  # fmt: skip
        if self.copied:
            said.append(f"{self.copied} of {self.looked} training rows repeat others: the probe judges them together, "
                        "and they count as one.")  # fmt: skip
        return tuple(said)


@dataclass(frozen=True)
class ProbedOf(Derived[Probed]):
    """A probe of simple features of the inputs and of what enters the head of the model before it is fine-tuned.

    The fine-tuned model's own features would not do: they know by heart the wrong labels that were learned.
    """

    version: ClassVar[int] = 2
    artifact: ClassVar[type] = Probed
    train: ContentOf
    validation: ContentOf
    train_inside: InsideOf
    validation_inside: InsideOf
    rows: int
    run_seed: int

    @property
    def title(self) -> str:
        """Whose labels."""
        return f"probe of {self.train.batches.data.name}"

    def needs(self) -> Mapping[str, Need[Any]]:
        """Inputs and features of both data sets."""
        return {"train": self.train, "validation": self.validation,
                "train_inside": self.train_inside, "validation_inside": self.validation_inside}  # fmt: skip

    def build(self, *args: Any, **upstream: Any) -> Probed:
        """Five folds of the training rows; the validation rows are judged by a probe of all of them."""
        import numpy as np

        from auditor.methods.data import labels as doubts

        seed, train, validation = self.draw_seed(self.run_seed), upstream["train"], upstream["validation"]
        labels, other = train.labels[: self.rows], validation.labels[: self.rows]
        inside = (upstream["train_inside"], upstream["validation_inside"])
        blind = not all(np.isfinite(each.features).all() for each in inside)
        shown = [each.shown() for each in (train, validation)]
        same = [doubts.copies(each) for each in shown]
        units = [doubts.together(*pair) for pair in zip(same, (train.groups, validation.groups), strict=True)]
        kept = doubts.large_enough(labels)
        guesses, doubted, held = labels[:0], np.zeros(0, bool), np.zeros(0, bool)
        if len(np.unique(labels[kept])) > 1:
            sides = [_features(*each, blind)[: self.rows] for each in zip(shown, inside, strict=True)]
            table = doubts.reduced(np.concatenate([sides[0][kept], sides[1]]), seed)
            groups = tuple(units[0][row] for row in kept.tolist()) if units[0] else ()
            shares = doubts.held_out(table[: len(kept)], labels[kept], groups, seed)
            held = doubts.fitted(table[: len(kept)], labels[kept]).predict(table[len(kept) :]) == other
            kept, guesses, doubted = doubts.judged(shares, labels, kept)
        kept = kept if len(doubted) else kept[:0]
        asked = labels[kept]
        said = [tuple(train.classes[place] for place in column.tolist()) for column in (asked, guesses)]
        small = sorted(set(labels.tolist()) - set(asked.tolist()))
        return Probed(
            doubted, guesses == asked, held, said[0], said[1], tuple(train.examples[row] for row in kept.tolist()),
            tuple(units[0][row] for row in kept.tolist()) if units[0] else (), units[0], units[1],
            tuple(train.classes[place] for place in small), len(train.classes), blind, len(labels),
            len(labels) - len(set(same[0][: len(labels)])), len(train.examples),
        )  # fmt: skip


def _features(shown: "NDArray[np.float64]", inside: Inside, blind: bool) -> "NDArray[np.float64]":
    import numpy as np

    parts = [shown] if blind else [shown, inside.features.astype(np.float64)]
    shortest = min(map(len, parts))
    return np.concatenate([part[:shortest] for part in parts], axis=1)


def probed_of(ref: ModelRef, runtime: Runtime, rows: int) -> ProbedOf:
    """The probe of a fine-tuned classifier's training labels. ValueError for another model."""
    if ref.parent is None or ref.train is None or ref.validation is None:
        raise ValueError(f"models.{ref.name} is not fine-tuned here")
    start = Model(ref.parent, runtime)
    sides = [Batches(ref, data, runtime) for data in (ref.train, ref.validation)]
    inside = [InsideOf(start, Batches(ref.parent, side.data, runtime), rows) for side in sides]
    return ProbedOf(ContentOf(sides[0]), ContentOf(sides[1]), inside[0], inside[1], rows, runtime.seed)


def probes(subject: Subject) -> bool:
    """Whether the labels of a subject's fine-tune can be probed: classes."""
    return subject.model.task == "classification" and subject.model.recipe is not None
