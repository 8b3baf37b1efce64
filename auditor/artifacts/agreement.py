"""Agreement: how alike the maps of several methods are on the same examples, pair by pair."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.artifacts.attributions import Attributions
from auditor.artifacts.explained import SHOWN, Explained
from auditor.artifacts.explanations import maps_of
from auditor.needs import Derived, Need
from auditor.subject import Subject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """The agreement of m methods in p pairs on n examples, row for row with `explained`.

    pairs: places in `methods`. rank: rank correlations [p, n]; top: chance-corrected agreement of the foremost places
    [p, n]; both 0 where `flat` [m, n] says that one of the maps has no order. shown: the first maps of each method.
    """

    methods: tuple[str, ...]
    pairs: tuple[tuple[int, int], ...]
    rank: "Floats"
    top: "Floats"
    flat: "NDArray[np.bool_]"
    shown: "tuple[NDArray[np.float32], ...]"
    explained: Explained


@dataclass(frozen=True)
class AgreementNeed(Derived[Agreement]):
    """The agreement of several methods' maps; pictures on a common grid, the foremost `share` of the places."""

    artifact: ClassVar[type] = Agreement
    tensors: ClassVar[bool] = False

    methods: tuple[str, ...]
    maps: tuple[Need[Attributions], ...]
    share: float
    grid: int

    @property
    def title(self) -> str:
        """A few words for plans and progress."""
        return f"agreement of {', '.join(name.replace('_', ' ') for name in self.methods)}"

    def needs(self) -> Mapping[str, Need[Any]]:
        """The maps of each method."""
        return {f"map_{place}": need for place, need in enumerate(self.maps)}

    def build(self, *args: Any, **upstream: Any) -> Agreement:
        """All pairs; a pair with a method whose maps have no sign is compared by the sizes of its values."""
        import numpy as np

        from auditor.methods.similarity.ranks import signed_rank_correlation, top_k_overlap

        found: list[Attributions] = [upstream[f"map_{place}"] for place in range(len(self.maps))]
        signed = [bool((each.maps < 0).any()) for each in found]
        values, sizes = self._comparable(found), self._comparable(found, absolute=True)
        lengths = found[0].lengths if found[0].maps.ndim == 2 else None
        pairs, rank, top = tuple(combinations(range(len(found)), 2)), [], []
        for a, b in pairs:
            one, other = (values[a], values[b]) if signed[a] and signed[b] else (sizes[a], sizes[b])
            rank.append(signed_rank_correlation(one, other, lengths).values)
            top.append(top_k_overlap(sizes[a], sizes[b], self.share, lengths).corrected)
        return Agreement(
            methods=self.methods, pairs=pairs, rank=np.stack(rank), top=np.stack(top),
            flat=np.stack([each.without_order for each in found]),
            shown=tuple(each.maps[:SHOWN] for each in found), explained=found[0].explained,
        )  # fmt: skip

    def _comparable(self, found: Sequence[Attributions], absolute: bool = False) -> "list[Floats]":
        """Maps [n, ...] of one shape: those of pictures on a grid that is no finer than the finest of them."""
        import numpy as np

        from auditor.methods.similarity.grids import on_grid

        maps = [np.abs(each.maps) if absolute else each.maps for each in found]
        if maps[0].ndim == 2:
            return [each.astype(np.float64) for each in maps]
        rows, columns = (min(self.grid, max(each.shape[axis] for each in maps)) for axis in (1, 2))
        return [on_grid(each, rows, columns) for each in maps]


def agreement_of(
    subject: Subject, methods: tuple[str, ...], rows: int, target: str, share: float, grid: int
) -> AgreementNeed:
    """The agreement of these methods' maps of a subject's model on its data."""
    return AgreementNeed(methods, tuple(maps_of(subject, name, rows, target) for name in methods), share, grid)
