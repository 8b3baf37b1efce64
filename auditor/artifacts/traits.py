"""Traits: what each example is like, read from the data alone, to find where a model is weak."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.artifacts.roots import Batches
from auditor.needs import Derived, Need
from auditor.sources.data.batch import BatchLoader
from auditor.subject import DataRef, Subject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Traits:
    """values: float64 [n, k], finite, a column each of `names`; examples: digest of each row, in the run's order.

    declared: the columns that the data entry names as slices, each with its value in every row.
    """

    names: tuple[str, ...]
    values: "NDArray[np.float64]"
    examples: tuple[str, ...]
    declared: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class TraitsOf(Derived[Traits]):
    """The traits of the first `rows` rows, or of all; pictures as the model's preprocessing leaves them."""

    artifact: ClassVar[type] = Traits
    batches: Batches
    rows: int | None = None

    @property
    def title(self) -> str:
        """Whose traits."""
        return f"traits of {self.batches.data.name}"

    def needs(self) -> Mapping[str, Need[Any]]:
        """The rows; no model."""
        return {"batches": self.batches}

    def build(self, *args: Any, **upstream: Any) -> Traits:
        """Read every row once."""
        import numpy as np

        loader: BatchLoader = upstream["batches"]
        rows = loader.order if self.rows is None else loader.order[: self.rows]
        names, values = _read(loader, rows)
        return Traits(
            names=names,
            values=np.array(values, dtype=np.float64).reshape(len(rows), -1),
            examples=tuple(loader.dataset.examples[row] for row in rows),
            declared={name: tuple(column[row] for row in rows) for name, column in loader.dataset.slices.items()},
        )


def _read(loader: BatchLoader, rows: tuple[int, ...]) -> tuple[tuple[str, ...], list[Any]]:
    from auditor.methods import traits

    data, raws = loader.dataset.ref, (loader.dataset.fetch(row) for row in rows)
    if data.modality == "text":
        return traits.OF_TEXTS, traits.of_texts(list(raws))
    if data.modality == "image":
        return traits.OF_PICTURES, [traits.of_picture(loader.encoder.show(raw)) for raw in raws]
    values = list(raws)
    return column_names(data, len(values[0])), values


def column_names(data: DataRef, count: int) -> tuple[str, ...]:
    """The names of a table's columns where its file has them, else "column 1" and so on."""
    return data.columns if len(data.columns) == count else tuple(f"column {place + 1}" for place in range(count))


def traits_of(subject: Subject, rows: int | None = None) -> TraitsOf:
    """The traits of a subject's data. Raises ValueError when the check has no data."""
    if subject.data is None:
        raise ValueError("traits need data")
    return TraitsOf(Batches(subject.model, subject.data, subject.runtime), rows)
