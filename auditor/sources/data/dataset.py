"""Dataset: the used rows of a data set, read and checked, whatever their source."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from auditor.errors import SourceError
from auditor.sources.data.sampling import sampled
from auditor.sources.digest import seal_data
from auditor.spec.model import DataEntry
from auditor.spec.options import DATA_OPTIONS, DataOptions
from auditor.subject import UNLABELLED, DataRef, FileRef, Modality


@dataclass(frozen=True)
class LeftOut:
    """One row that could not be read, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Dataset:
    """The used rows. `fetch(i)` gives row i raw: a Pillow picture, a text, a row of numbers, or an input array.

    labels: as found in the data, all "" where it has none; groups: the unit of resampling, "" without; examples:
    sha256 of each row's content. left_out: rows that could not be read. slices: columns that name parts of the data,
    each with its value in every row. region(i): where row i's object is, a Pillow picture that is white there and of
    the raw picture's size; None where the data do not say.
    """

    ref: DataRef
    labels: tuple[str, ...]
    groups: tuple[str, ...]
    examples: tuple[str, ...]
    fetch: Callable[[int], Any]
    left_out: tuple[LeftOut, ...] = ()
    slices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    region: Callable[[int], Any] | None = None

    @property
    def rows(self) -> int:
        """Rows that can be read."""
        return len(self.labels)

    def targets(self) -> tuple[float, ...]:
        """The label of each row as an index of the head (or a number, for a regression); -1 without labels."""
        if not self.ref.labelled:
            return (float(UNLABELLED),) * self.rows
        if self.ref.task == "regression":
            return tuple(float(label) for label in self.labels)
        if not self.ref.labels:
            raise SourceError(
                f"data.{self.ref.name}: its labels were not matched with a model's head", where=("data", self.ref.name)
            )
        return tuple(self.ref.labels[label] for label in self.labels)

    def without(self, bad: Sequence[int], left_out: tuple[LeftOut, ...]) -> "Dataset":
        """The data set without some rows."""
        dropped = set(bad)
        kept, region = [row for row in range(self.rows) if row not in dropped], self.region
        return replace(
            self,
            labels=tuple(self.labels[row] for row in kept),
            groups=tuple(self.groups[row] for row in kept),
            examples=tuple(self.examples[row] for row in kept),
            fetch=lambda row: self.fetch(kept[row]),
            region=None if region is None else lambda row: region(kept[row]),
            left_out=left_out,
            slices={name: tuple(values[row] for row in kept) for name, values in self.slices.items()},
        )


@dataclass(frozen=True)
class Found:
    """What a source found before sampling: labels as found, files, and the class names where the data order them.

    labelled: False where the data has no labels: they are then all "". columns: names of a table's inputs.
    corrupt: rows that cannot be read; they are not among the labels.
    """

    labels: Sequence[str]
    files: tuple[FileRef, ...]
    modality: Modality
    classes: tuple[str, ...] = ()
    grouped: bool = False
    labelled: bool = True
    columns: tuple[str, ...] = ()
    corrupt: int = 0


def options_of(entry: DataEntry) -> DataOptions:
    """The entry's options as the class of its source."""
    return DATA_OPTIONS[entry.source].model_validate(entry.options)


def described(entry: DataEntry, found: Found) -> DataRef:
    """The DataRef of what a source found: rows, rows used, counts by label as found."""
    options = options_of(entry)
    if options.sample and options.sample.stratify and not found.labelled:
        raise SourceError(
            f"data.{entry.name}.sample.stratify: the data has no labels whose shares could be kept",
            hint="leave `stratify` out, or name the label",
            where=("data", entry.name, "sample"),
        )
    used = used_rows(found.labels, options, found.files)
    if not found.labels:
        raise SourceError(f"data.{entry.name}: it has no rows", where=("data", entry.name))
    counts = Counter(found.labels[row] for row in used if found.labelled)
    return seal_data(
        DataRef(
            digest="",
            name=entry.name,
            source=entry.source,
            entry=entry.to_json(),
            files=found.files,
            modality=found.modality,
            rows=len(found.labels),
            used=len(used),
            classes=found.classes,
            counts=dict(sorted(counts.items())),
            grouped=found.grouped,
            labelled=found.labelled,
            columns=found.columns,
            corrupt=found.corrupt,
        )
    )


def used_rows(labels: Sequence[str], options: DataOptions, files: tuple[FileRef, ...]) -> tuple[int, ...]:
    """The rows that the spec's sample keeps; drawn from the files' digests, so a larger sample holds a smaller one."""
    return sampled(labels, options.sample, seed=",".join(file.sha256 for file in files))
