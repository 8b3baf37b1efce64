"""Strategies: the suspicious part of inputs, chosen on one half of the examples, and what it does on the other."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.artifacts.attributions import Attributions, copy_notes
from auditor.artifacts.explained import Explained
from auditor.artifacts.explanations import maps_of
from auditor.artifacts.quick import quick_of
from auditor.artifacts.roots import Batches, sweep_of
from auditor.needs import Cost, Derived, Need
from auditor.subject import Subject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TRIED, DRAWN = 64, 8
"""Examples of the first half on which every candidate is tried, and places where the same region is tried instead."""


@dataclass(frozen=True)
class Tried:
    """One candidate on the first half: how many predictions followed it, of how many."""

    name: str
    k: int
    n: int


@dataclass(frozen=True)
class Strategies:
    """What was found. kind: what is moved: a region of pictures, a column, or a token that is inserted.

    clusters: int64 [a], the group of each example of the first half; count: how many. chosen: the suspicious part in
    words; target: the class that a token speaks for, -1 else. rows, donors: int64 [m], the examples of the second half
    and whose part they got (-1 for tokens). follow: bool [m], whether the prediction followed; null: the same with the
    region elsewhere, another column, or another token. position: float64 [m], the share of each map inside the chosen
    part (tokens: 1 where the strongest token stands at the most frequent place). mean_map: float32 [side, side] or
    [1, columns], the mean map of the suspicious group; region: bool of the same shape. tried: candidates, best first.
    tokens: by class the tokens that speak most for it. shown: pictures in threes (example, donor, mixed) of the tested
    examples at the places `shown_at`. remarks: what the reader must know of how it was computed.
    """

    kind: str
    clusters: "NDArray[np.int64]"
    count: int
    chosen: str
    target: int
    rows: "NDArray[np.int64]"
    donors: "NDArray[np.int64]"
    follow: "NDArray[np.bool_]"
    null: "NDArray[np.bool_]"
    position: "NDArray[np.float64]"
    mean_map: "NDArray[np.float32]"
    region: "NDArray[np.bool_]"
    tried: tuple[Tried, ...]
    tokens: tuple[tuple[str, tuple[str, ...]], ...]
    explained: Explained
    shown: "tuple[NDArray[np.uint8], ...]" = ()
    shown_at: tuple[int, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def groups(self) -> tuple[str, ...]:
        """The unit of resampling of each tested example, empty without."""
        return tuple(self.explained.groups[row] for row in self.rows.tolist()) if self.explained.groups else ()


@dataclass(frozen=True)
class StrategiesOf(Derived[Strategies]):
    """The search in one data set."""

    version: ClassVar[int] = 3
    artifact: ClassVar[type] = Strategies
    maps: Need[Attributions]
    model: Need[Any]
    batches: Batches
    rows: int

    @property
    def title(self) -> str:
        """Where it searches."""
        return f"shortcuts in {self.batches.data.name}"

    def needs(self) -> Mapping[str, Need[Any]]:
        """Maps, model and rows."""
        return {"maps": self.maps, "model": self.model, "batches": self.batches}

    def cost(self) -> Cost:
        """About thirty candidates, and twice the second half."""
        return Cost(forwards=-(-(30 * TRIED + self.rows) // self.batches.batch_size))

    def build(self, *args: Any, **upstream: Any) -> Strategies:
        """Choose on the first half, test on the second. NotApplicable where a half has only one predicted class."""
        import numpy as np

        from auditor.artifacts.insertions import search_tokens
        from auditor.artifacts.transplants import search_parts
        from auditor.statistics import halves

        maps: Attributions = upstream["maps"]
        seed = self.draw_seed(self.batches.runtime.seed)
        units = maps.explained.groups or np.arange(len(maps.maps))
        search = search_tokens if self.batches.data.modality == "text" else search_parts
        found: Strategies = search(maps, upstream["model"], upstream["batches"], halves(units, seed), seed)
        return replace(found, remarks=(*maps.notes(), *copy_notes(upstream["model"].difference)))


@dataclass(frozen=True)
class Hunt:
    """The search in the evaluation data and, where they are named, in the training data."""

    own: Strategies
    train: Strategies | None


@dataclass(frozen=True)
class HuntOf(Derived[Hunt]):
    """Both searches."""

    artifact: ClassVar[type] = Hunt
    own: StrategiesOf
    train: StrategiesOf | None

    def needs(self) -> Mapping[str, Need[Any]]:
        """One or two of them."""
        return {"own": self.own} if self.train is None else {"own": self.own, "train": self.train}

    def build(self, *args: Any, **upstream: Any) -> Hunt:
        """Side by side."""
        return Hunt(upstream["own"], upstream.get("train"))


def hunt_of(subject: Subject, method: str, rows: int) -> HuntOf:
    """The search for shortcuts of a subject's model; in `train` too where the subject has it."""

    def search(each: Subject) -> StrategiesOf:
        assert each.data is not None
        batches = Batches(each.model, each.data, each.runtime)
        return StrategiesOf(maps_of(each, method, rows), quick_of(sweep_of(each)), batches, rows)

    train = subject.others.get("train")
    return HuntOf(search(subject), search(subject.model_copy(update={"data": train})) if train else None)
