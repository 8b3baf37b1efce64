"""Copies: which rows of a data set occur again, in the training data or under another label."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.artifacts.content import Content, ContentOf
from auditor.needs import Derived, Need
from auditor.sources.data.batch import BatchLoader

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from auditor.methods.data.matching import Keys, Matches

SHOWN = 6
EXCERPT = 160


@dataclass(frozen=True)
class Thresholds:
    """From when on two inputs count as copies: correlation of pictures, Jaccard index of texts, and the largest
    difference of a column of numbers in its standard deviations."""

    pictures: float
    texts: float
    columns: float


@dataclass(frozen=True)
class Pair:
    """Two rows that are alike. places: in the order of each data set. excerpts: of texts and rows of numbers."""

    places: tuple[int, int]
    sides: tuple[str, str]
    labels: tuple[str, str]
    similarity: float
    excerpts: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class Copies:
    """leaked: bool [n], rows with a copy in the training data; `exact` those of equal content. conflicting: bool [n],
    rows with a copy of another label, here or in the training data. alike_in_train: training rows with a copy among
    themselves (-1 without training data). shared_groups: groups that occur in both. The pairs of highest similarity
    are shown; `leak_pictures` and `conflict_pictures` hold two pictures a pair.
    """

    leaked: "NDArray[np.bool_]"
    exact: "NDArray[np.bool_]"
    conflicting: "NDArray[np.bool_]"
    alike_in_train: int
    train_rows: int
    shared_groups: int
    leaks: tuple[Pair, ...] = ()
    conflicts: tuple[Pair, ...] = ()
    leak_pictures: "tuple[NDArray[np.uint8], ...]" = ()
    conflict_pictures: "tuple[NDArray[np.uint8], ...]" = ()


@dataclass(frozen=True)
class CopiesOf(Derived[Copies]):
    """The copies in a data set, and between it and the training data where they are named."""

    artifact: ClassVar[type] = Copies
    content: ContentOf
    train: ContentOf | None
    thresholds: Thresholds

    @property
    def title(self) -> str:
        """Whose copies."""
        return f"copies in {self.content.batches.data.name}"

    def needs(self) -> Mapping[str, Need[Any]]:
        """The contents, and the rows to show some."""
        mine: dict[str, Need[Any]] = {"content": self.content, "batches": self.content.batches}
        if self.train is None:
            return mine
        return {**mine, "train": self.train, "train_batches": self.train.batches}

    def build(self, *args: Any, **upstream: Any) -> Copies:
        """Compare every row with every other one."""
        import numpy as np

        content: Content = upstream["content"]
        train: Content | None = upstream.get("train")
        search = _Search(self.thresholds)
        nowhere = np.zeros(len(content.examples), dtype=bool)
        leak = search.between(content, train) if train else None
        within = search.between(content, content, by_label=True) if content.labelled else None
        across = search.between(content, train, by_label=True) if train and content.labelled else None
        alike = search.between(train, train, by_place=True) if train else None
        shelf = _Shelf(upstream["batches"], upstream.get("train_batches"))
        leaks = shelf.pairs(leak, content, train, from_train=True) if leak else ()
        conflicts = shelf.pairs(within, content, content) if within else ()
        conflicts = (*conflicts, *(shelf.pairs(across, content, train, from_train=True) if across else ()))[:SHOWN]
        return Copies(
            leaked=leak.found if leak else nowhere,
            exact=leak.similarity >= 1 if leak else nowhere,
            conflicting=(within.found if within else nowhere) | (across.found if across else nowhere),
            alike_in_train=int(alike.found.sum()) if alike else -1,
            train_rows=len(train.examples) if train else 0,
            shared_groups=len(set(content.groups) & set(train.groups)) if train else 0,
            leaks=leaks,
            conflicts=conflicts,
            leak_pictures=shelf.pictures(leaks),
            conflict_pictures=shelf.pictures(conflicts),
        )


@dataclass(frozen=True)
class _Search:
    """Finds the closest rows of two contents, in the way of their modality."""

    thresholds: Thresholds

    def between(self, mine: Content, other: Content, *, by_label: bool = False, by_place: bool = False) -> "Matches":
        """Equal content first, else near; only rows of different labels (or places) count where that is asked."""
        import numpy as np

        from auditor.methods.data.matching import same

        keys = other_keys = None
        if by_label:
            keys, other_keys = mine.labels, other.labels
        elif by_place:
            keys = other_keys = np.arange(len(mine.examples))
        equal = same(mine.examples, other.examples, keys, other_keys)
        return equal.better(self._near(mine, other, keys, other_keys))

    def _near(self, mine: Content, other: Content, keys: "Keys | None", other_keys: "Keys | None") -> "Matches":
        from auditor.methods.data import pictures, rows, texts

        if mine.modality == "image":
            return pictures.closest(mine.thumbnails, other.thumbnails, self.thresholds.pictures, keys, other_keys)
        if mine.modality == "text":
            sets = texts.Shingles(mine.shingles, mine.starts), texts.Shingles(other.shingles, other.starts)
            return texts.closest(*sets, self.thresholds.texts, keys, other_keys)
        return rows.closest(mine.columns, other.columns, self.thresholds.columns, keys, other_keys)


@dataclass(frozen=True)
class _Shelf:
    """Where the rows lie that are shown."""

    here: BatchLoader
    train: BatchLoader | None

    def pairs(
        self, found: "Matches", mine: Content, other: Content | None, *, from_train: bool = False
    ) -> tuple[Pair, ...]:
        """The most similar pairs; of two that mirror each other one."""
        assert other is not None
        ranked = sorted(found.found.nonzero()[0].tolist(), key=lambda row: (-found.similarity[row], row))
        chosen: dict[tuple[int, ...], Pair] = {}
        for row in ranked:
            place = int(found.row[row])
            name = (row, place) if from_train else tuple(sorted((row, place)))
            if name not in chosen and len(chosen) < SHOWN:
                chosen[name] = Pair(
                    places=(row, place),
                    sides=(mine.name, other.name),
                    labels=(mine.class_name(row), other.class_name(place)),
                    similarity=float(found.similarity[row]),
                    excerpts=(_excerpt(self.here, row), _excerpt(self._loader(from_train), place)),
                )
        return tuple(chosen.values())

    def pictures(self, pairs: tuple[Pair, ...]) -> "tuple[NDArray[np.uint8], ...]":
        """Two pictures a pair, as the model sees them; nothing for other data."""
        if self.here.dataset.ref.modality != "image":
            return ()
        sides = [(self.here, self._loader(pair.sides[0] != pair.sides[1]), pair.places) for pair in pairs]
        return tuple(
            loader.shown([place])[0]
            for mine, other, places in sides
            for loader, place in ((mine, places[0]), (other, places[1]))
        )

    def _loader(self, from_train: bool) -> BatchLoader:
        return self.train if from_train and self.train is not None else self.here


def _excerpt(loader: BatchLoader, place: int) -> str:
    shown = loader.shown([place])[0]
    if isinstance(shown, str):
        return shown if len(shown) <= EXCERPT else f"{shown[:EXCERPT]} ..."
    if shown.ndim == 3:
        return ""
    return ", ".join(f"{value:.4g}" for value in shown[:8].tolist()) + (", ..." if len(shown) > 8 else "")
