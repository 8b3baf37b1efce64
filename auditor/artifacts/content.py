"""Content: what a data set holds, row by row, in the compact form in which copies and shift can be found."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.artifacts.roots import Batches
from auditor.needs import Derived, Need
from auditor.sources.data.batch import BatchLoader
from auditor.subject import DataRef, Modality, Subject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Content:
    """The rows of a data set in the run's seeded order.

    labels: int64 [n], head indices; all 0 where the data has no classes. groups: the unit of resampling, empty without.
    thumbnails: uint8 [n, 32, 32] of pictures, else [0, 32, 32]. shingles, starts: uint32 and int64 [n + 1], the
    hashed shingles of texts (methods/data/texts), else empty. columns: float64 [n, d] of rows of numbers, else [n, 0].
    simple: float64 [n, k], features with `names`. truncated: bool [n], texts beyond the model's window. unreadable:
    rows left out because they could not be read, of `total` rows. remarks: what the data say of themselves.
    """

    name: str
    modality: Modality
    classes: tuple[str, ...]
    examples: tuple[str, ...]
    labels: "NDArray[np.int64]"
    groups: tuple[str, ...]
    thumbnails: "NDArray[np.uint8]"
    shingles: "NDArray[np.uint32]"
    starts: "NDArray[np.int64]"
    columns: "NDArray[np.float64]"
    simple: "NDArray[np.float64]"
    names: tuple[str, ...]
    truncated: "NDArray[np.bool_]"
    unreadable: int
    total: int
    remarks: tuple[str, ...] = ()

    @property
    def labelled(self) -> bool:
        """Whether its labels are classes."""
        return bool(self.classes)

    def class_name(self, row: int) -> str:
        """The name of a row's label, "" without classes."""
        return self.classes[self.labels[row]] if self.labelled else ""

    def shape(self, rows: int | None = None) -> "NDArray[np.float64]":
        """What the first pictures or texts (None: all) are made of, whatever model sees them; [rows, features]."""
        from auditor.methods.data.pictures import frequencies
        from auditor.methods.data.texts import Shingles, buckets

        if self.modality == "image":
            return frequencies(self.thumbnails[:rows])
        return buckets(Shingles(self.shingles, self.starts if rows is None else self.starts[: rows + 1]))

    def shown(self) -> "NDArray[np.float64]":
        """All that is known of each row itself: equal rows are copies."""
        import numpy as np

        return self.simple if self.modality == "tabular" else np.concatenate([self.simple, self.shape()], axis=1)


@dataclass(frozen=True)
class ContentOf(Derived[Content]):
    """The content of a data set as a model takes it."""

    version: ClassVar[int] = 2
    artifact: ClassVar[type] = Content
    batches: Batches

    @property
    def title(self) -> str:
        """Whose content."""
        return f"content of {self.batches.data.name}"

    def needs(self) -> Mapping[str, Need[Any]]:
        """The rows."""
        return {"batches": self.batches}

    def build(self, *args: Any, **upstream: Any) -> Content:
        """Read every row once."""
        import numpy as np

        loader: BatchLoader = upstream["batches"]
        data, modality = self.batches.data, self.batches.data.modality
        kept = _Kept(modality, loader)
        for row in loader.order:
            kept.add(loader.dataset.fetch(row))
        flat, starts = kept.runs()
        groups = tuple(loader.dataset.groups[row] for row in loader.order)
        return Content(
            name=data.name,
            modality=modality,
            classes=_classes(self.batches),
            examples=tuple(loader.dataset.examples[row] for row in loader.order),
            labels=_labels(loader, data),
            groups=groups if any(groups) else (),
            thumbnails=np.stack(kept.thumbnails) if kept.thumbnails else np.zeros((0, 32, 32), np.uint8),
            shingles=flat,
            starts=starts,
            columns=np.array(kept.columns, dtype=np.float64).reshape(loader.rows, -1),
            simple=np.array(kept.simple, dtype=np.float64).reshape(loader.rows, -1),
            names=_names(modality, data, len(kept.simple[0])),
            truncated=np.array(kept.truncated, dtype=bool),
            unreadable=len(loader.left_out),
            total=data.rows + data.corrupt if data.corrupt else loader.rows + len(loader.left_out),
            remarks=loader.remarks(loader.rows),
        )


class _Kept:
    """What is kept of each row, by modality."""

    def __init__(self, modality: Modality, loader: BatchLoader) -> None:
        self.modality, self.loader = modality, loader
        self.thumbnails: list[Any] = []
        self.texts: list[str] = []
        self.columns: list[Any] = []
        self.simple: list[list[float]] = []
        self.truncated: list[bool] = []

    def add(self, raw: Any) -> None:
        """One row."""
        from auditor.methods.data import simple
        from auditor.methods.data.pictures import thumbnail

        shown = self.loader.encoder.show(raw)
        cut = False
        if self.modality == "image":
            self.thumbnails.append(thumbnail(shown))
            self.simple.append(simple.of_picture(shown))
        elif self.modality == "text":
            self.texts.append(shown)
            self.simple.append(simple.of_text(shown))
            truncated: Any = getattr(self.loader.encoder, "truncated", None)
            cut = truncated is not None and truncated([shown]) > 0
        else:
            self.columns.append(shown)
            self.simple.append([float(value) for value in shown])
        self.truncated.append(cut)

    def runs(self) -> "tuple[NDArray[np.uint32], NDArray[np.int64]]":
        """The shingles of all texts."""
        from auditor.methods.data.texts import shingles

        found = shingles(self.texts)
        return found.flat, found.start


def content_of(subject: Subject, parameter: str = "") -> ContentOf:
    """The content of the subject's data, or of the further data set of that parameter (`train`)."""
    return ContentOf(batches_of(subject, parameter))


def batches_of(subject: Subject, parameter: str = "") -> Batches:
    """The rows of the subject's data, or of a further data set. Raises ValueError for data it has not."""
    data = subject.others.get(parameter) if parameter else subject.data
    if data is None:
        raise ValueError(f"the subject has no {parameter or 'data'}")
    return Batches(subject.model, data, subject.runtime)


def _classes(batches: Batches) -> tuple[str, ...]:
    data = batches.data
    if data.task != "classification" or batches.model.task != "classification" or not data.labels:
        return ()
    return batches.data.classes or batches.model.classes


def _labels(loader: BatchLoader, data: DataRef) -> "NDArray[np.int64]":
    import numpy as np

    if data.task != "classification" or not data.labels:
        return np.zeros(loader.rows, dtype=np.int64)
    targets = loader.dataset.targets()
    return np.array([targets[row] for row in loader.order], dtype=np.int64)


def _names(modality: Modality, data: DataRef, count: int) -> tuple[str, ...]:
    from auditor.methods.data import simple

    if modality != "tabular":
        return simple.OF_PICTURES if modality == "image" else simple.OF_TEXTS
    given = data.entry.get("options", {}).get("features") or ()
    return tuple(given) if len(given) == count else tuple(f"column {place + 1}" for place in range(count))
