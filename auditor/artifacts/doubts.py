"""Doubts: labels that a probe contradicts, and how far evaluation and training data can be told apart."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.artifacts.content import Content, ContentOf
from auditor.artifacts.inside import Inside, InsideOf
from auditor.artifacts.roots import Model
from auditor.methods.data.normalization import Received
from auditor.needs import Derived, Need
from auditor.subject import Subject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from auditor.methods.data.shift import Auroc


@dataclass(frozen=True)
class LabelDoubts:
    """rows: int64 [k], the rows asked about: of classes of 20 examples or more that other folds hold too. doubted: bool
    [k]. guesses: the class that the probe would give, head index. units: of each row, its group and whatever holds a
    copy of one of its rows; empty where rows stand alone. small: classes left out. copied: rows that repeat another."""

    rows: "NDArray[np.int64]"
    doubted: "NDArray[np.bool_]"
    guesses: "NDArray[np.int64]"
    units: tuple[str, ...]
    small: tuple[str, ...]
    copied: int


@dataclass(frozen=True)
class Shift:
    """An AUROC with its standard error over n units, `of` a feature or "" for all of them together."""

    of: str
    value: float
    error: float
    n: int


@dataclass(frozen=True)
class Doubts:
    """Of the first rows of each data set. labels, train_labels: None where no class has 20 examples (or there are no
    classes, or no training data). shifts: the overall one first, then feature by feature; empty without training data.
    features: which features the probes saw. received: what the model's first normalization layer, `normalization`,
    received ("" and None where it has none with running statistics)."""

    labels: LabelDoubts | None
    train_labels: LabelDoubts | None
    shifts: tuple[Shift, ...]
    features: str
    normalization: str = ""
    received: Received | None = None


@dataclass(frozen=True)
class DoubtsOf(Derived[Doubts]):
    """The doubts about a data set, as the model sees it where it has features to give."""

    version: ClassVar[int] = 3
    artifact: ClassVar[type] = Doubts
    content: ContentOf
    train: ContentOf | None
    inside: InsideOf | None
    train_inside: InsideOf | None
    rows: int
    run_seed: int

    @property
    def title(self) -> str:
        """Whose doubts."""
        return f"doubts about {self.content.batches.data.name}"

    def needs(self) -> Mapping[str, Need[Any]]:
        """Contents and features of those data sets that there are."""
        named = {"content": self.content, "train": self.train, "inside": self.inside, "train_inside": self.train_inside}
        return {name: need for name, need in named.items() if need is not None}

    def build(self, *args: Any, **upstream: Any) -> Doubts:
        """Probes that never see the rows that they judge."""
        seed = self.draw_seed(self.run_seed)
        mine = _Side(upstream["content"], upstream.get("inside"), self.rows)
        train = _Side(upstream["train"], upstream.get("train_inside"), self.rows) if self.train else None
        return Doubts(
            labels=mine.label_doubts(seed),
            train_labels=train.label_doubts(seed) if train else None,
            shifts=_shifts(train, mine, seed) if train else (),
            features=mine.described,
            normalization=mine.inside.normalization if mine.inside else "",
            received=mine.inside.received if mine.inside and mine.inside.normalization else None,
        )


def doubts_of(subject: Subject, content: ContentOf, train: ContentOf | None, rows: int) -> DoubtsOf:
    """The doubts about a subject's data; classifiers and regressions give their features."""

    def inside(each: ContentOf | None) -> InsideOf | None:
        if each is None or subject.model.task not in ("classification", "regression"):
            return None
        return InsideOf(Model(subject.model, subject.runtime), each.batches, rows)

    return DoubtsOf(content, train, inside(content), inside(train), rows, subject.runtime.seed)


@dataclass(frozen=True)
class _Side:
    """One data set: its content, and what the model makes of its first rows."""

    content: Content
    inside: Inside | None
    limit: int

    @property
    def rows(self) -> int:
        return min(self.limit, len(self.content.examples))

    @property
    def groups(self) -> tuple[str, ...]:
        return self.content.groups[: self.rows]

    @property
    def described(self) -> str:
        if self.inside is None:
            return "simple features of the inputs"
        return f"what enters layer {self.inside.layer}" if self.inside.layer else "the model's logits"

    @property
    def features(self) -> "NDArray[np.float64]":
        """The model's features; simple ones of a model that gives none."""
        import numpy as np

        given = self.content.simple if self.inside is None else self.inside.features
        return given[: self.rows].astype(np.float64)

    def label_doubts(self, seed: int) -> LabelDoubts | None:
        """Which labels the probe contradicts; None where no two classes are large enough."""
        from auditor.methods.data import labels as doubts

        content, labels = self.content, self.content.labels[: self.rows]
        kept = doubts.large_enough(labels)
        if not content.labelled or len(set(labels[kept].tolist())) < 2:
            return None
        same = doubts.copies(content.shown()[: self.rows])
        units = doubts.together(same, self.groups)
        inside = tuple(units[row] for row in kept.tolist()) if units else ()
        shares = doubts.out_of_fold(self.features[kept], labels[kept], inside, seed)
        rows, guesses, doubted = doubts.judged(shares, labels, kept)
        if not len(rows):
            return None
        small = sorted(set(labels.tolist()) - set(labels[rows].tolist()))
        return LabelDoubts(
            rows, doubted, guesses, tuple(units[row] for row in rows.tolist()) if units else (),
            tuple(content.classes[index] for index in small), len(labels) - len(set(same)),
        )  # fmt: skip


def _shifts(train: _Side, mine: _Side, seed: int) -> tuple[Shift, ...]:
    """Training data against evaluation data: all features together, then each simple feature alone."""
    import numpy as np

    from auditor.methods.data.labels import reduced
    from auditor.methods.data.shift import of_feature, two_sample

    simple = [side.content.simple[: side.rows] for side in (train, mine)]
    whole = simple
    if mine.content.modality != "tabular":  # of tables the simple features are the columns: all there is
        # not the model's own features: one that knows its training data by heart would tell them by those alone
        together = reduced(np.concatenate([side.content.shape(side.rows) for side in (train, mine)]), seed)
        parts = np.split(together, [train.rows])
        whole = [np.concatenate(pair, axis=1) for pair in zip(parts, simple, strict=True)]
    groups = (train.groups, mine.groups)
    found = [_shift("", two_sample(whole[0], whole[1], groups, seed))]
    for column, name in enumerate(mine.content.names):
        found.append(_shift(name, of_feature(simple[0][:, column], simple[1][:, column], groups)))
    return tuple(found)


def _shift(name: str, found: "Auroc") -> Shift:
    return Shift(name, found.value, found.error, found.n)
