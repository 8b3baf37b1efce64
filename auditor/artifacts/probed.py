"""Probed: what a probe that never saw a row says of the training labels of a fine-tune, and how good it is itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.artifacts.content import Content, ContentOf
from auditor.artifacts.inside import Inside, InsideOf
from auditor.artifacts.roots import Batches, Model
from auditor.needs import Derived, Need
from auditor.subject import ModelRef, Runtime, Subject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from auditor.methods.training.diagnosis import Probe


@dataclass(frozen=True)
class Probed:
    """Of the first training rows whose class has at least 20 examples.

    doubted: bool [k], labels that the probe confidently contradicts (methods/data/labels). right: bool [k], whether it
    gives the label, out of fold. held: bool [m], whether it gives the labels of the first validation rows, which belong
    to held_groups. labels, guesses: names [k]. small: classes left out. blind: the model's features are not finite, so
    that the probe sees the inputs alone. whole: how many training rows there are. k and m are 0 where fewer than two
    classes are large enough.
    """

    doubted: "NDArray[np.bool_]"
    right: "NDArray[np.bool_]"
    held: "NDArray[np.bool_]"
    labels: tuple[str, ...]
    guesses: tuple[str, ...]
    examples: tuple[str, ...]
    groups: tuple[str, ...]
    held_groups: tuple[str, ...]
    small: tuple[str, ...]
    classes: int
    blind: bool
    whole: int

    def probe(self) -> "Probe | None":
        """The counts; None without rows."""
        from auditor.methods.training.diagnosis import Probe

        if not len(self.right) or not len(self.held):
            return None
        units = [len(set(groups)) or None for groups in (self.groups, self.held_groups)]
        held = (float(self.held.mean()), min(len(self.held), units[1] or len(self.held)))
        return Probe(int(self.doubted.sum()), int(self.right.sum()), len(self.right), held, units[0], units[1])

    def notes(self) -> tuple[str, ...]:
        """What the probe did not see."""
        said = []
        if self.blind:
            said.append("What enters the model's head is not finite before training: the probe saw the inputs alone.")
        if self.small:
            listed = ", ".join(self.small[:5]) + (" ..." if len(self.small) > 5 else "")
            said.append(f"Labels of classes with fewer than 20 training examples are not probed: {listed}.")
        return tuple(said)


@dataclass(frozen=True)
class ProbedOf(Derived[Probed]):
    """A probe of simple features of the inputs and of what enters the head of the model before it is fine-tuned.

    The fine-tuned model's own features would not do: they know by heart the wrong labels that were learned.
    """

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

        from auditor.methods.data.labels import confident_disagreement, fitted, held_out, large_enough, reduced

        seed, train, validation = self.draw_seed(self.run_seed), upstream["train"], upstream["validation"]
        labels, other = train.labels[: self.rows], validation.labels[: self.rows]
        kept = large_enough(labels)
        names = np.unique(labels[kept])
        if len(names) < 2:
            kept, other = kept[:0], other[:0]
        inside = (upstream["train_inside"], upstream["validation_inside"])
        blind = not all(np.isfinite(each.features).all() for each in inside)
        sides = [_features(*pair, blind)[: self.rows] for pair in zip((train, validation), inside, strict=True)]
        asked, groups = labels[kept], tuple(train.groups[row] for row in kept.tolist()) if train.groups else ()
        doubted, guesses, held = np.zeros(0, bool), asked, np.zeros(0, bool)
        if len(kept):
            table = reduced(np.concatenate([sides[0][kept], sides[1]]), seed)
            shares = held_out(table[: len(kept)], asked, groups, seed)
            doubted, guesses = confident_disagreement(shares, asked), names[shares.argmax(axis=1)]
            held = fitted(table[: len(kept)], asked).predict(table[len(kept) :]) == other
        said = [tuple(train.classes[place] for place in column.tolist()) for column in (asked, guesses)]
        small = sorted(set(labels.tolist()) - set(asked.tolist()))
        return Probed(
            doubted, guesses == asked, held, said[0], said[1], tuple(train.examples[row] for row in kept.tolist()),
            groups, validation.groups[: len(held)], tuple(train.classes[place] for place in small), len(train.classes),
            blind, len(train.examples),
        )  # fmt: skip


def _features(content: Content, inside: Inside, blind: bool) -> "NDArray[np.float64]":
    import numpy as np

    simple = content.simple
    parts = [simple] if content.modality == "tabular" else [simple, _shape(content)]
    parts = parts if blind else [*parts, inside.features.astype(np.float64)]
    shortest = min(map(len, parts))
    return np.concatenate([part[:shortest] for part in parts], axis=1)


def _shape(content: Content) -> "NDArray[np.float64]":
    from auditor.methods.data.pictures import frequencies
    from auditor.methods.data.texts import Shingles, buckets

    if content.modality == "image":
        return frequencies(content.thumbnails)
    return buckets(Shingles(content.shingles, content.starts))


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
