"""Infidelity: the falls of the score under random removals, beside what each method's maps say of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.artifacts.attributions import Attributions
from auditor.artifacts.explained import Explained
from auditor.artifacts.explanations import context_of, maps_of
from auditor.artifacts.placed import Placed, placed
from auditor.artifacts.quick import quick_of
from auditor.artifacts.roots import sweep_of
from auditor.needs import Cost, Derived, Need, Sweep
from auditor.subject import Modality, Subject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FILLS = 2
ROUNDING = 1e-5
"""Falls below this share of the score are rounding (of a folded copy too), and no change of it."""


@dataclass(frozen=True)
class Infidelities:
    """What m methods' maps of n examples say of the falls of the score, row for row with `explained`.

    map: infidelity [m, fills, n]; rolled: its mean over rolled copies of the map. moved: bool [n], whether any draw
    changes the score under every fill, of examples with more than one part; empty: maps that are
    zero everywhere, [m, n].
    """

    methods: tuple[str, ...]
    fills: tuple[str, ...]
    map: "NDArray[np.float64]"
    rolled: "NDArray[np.float64]"
    moved: "NDArray[np.bool_]"
    empty: "NDArray[np.bool_]"
    explained: Explained
    halved: int = 0

    def notes(self) -> tuple[str, ...]:
        """What the reader must know of how they were computed."""
        said = [f"{int(zero.sum())} of {len(zero)} maps of {name} are zero everywhere: their infidelity is 1."
                for name, zero in zip(self.methods, self.empty, strict=True) if zero.any()]  # fmt: skip
        still = int((~self.moved).sum())
        out = f"{still} of {len(self.moved)} examples are left out: no removal changes their score, or they "
        out += "have a single part, which no null can move."
        return (
            *said,
            *(out,) * bool(still),
            *replace(self.explained, halved=self.explained.halved + self.halved).notes(),
        )


@dataclass(frozen=True)
class InfidelityNeed(Derived[Infidelities]):
    """The infidelity of several methods' maps, which share all forwards: the removals know nothing of the maps."""

    artifact: ClassVar[type] = Infidelities
    version: ClassVar[int] = 2

    sweep: Sweep
    methods: tuple[str, ...]
    maps: tuple[Need[Attributions], ...]
    modality: Modality
    draws: int
    nulls: int
    grid: int
    run_seed: int = 0

    @property
    def title(self) -> str:
        """A few words for plans and progress."""
        return f"infidelity of {', '.join(name.replace('_', ' ') for name in self.methods)}"

    def needs(self) -> Mapping[str, Need[Any]]:
        """The model, its data, and the maps of each method."""
        maps = {f"map_{place}": need for place, need in enumerate(self.maps)}
        return {"model": quick_of(self.sweep), "batches": self.sweep.batches, **maps}

    def cost(self) -> Cost:
        """One forward a draw and fill."""
        rows = getattr(self.maps[0], "rows", None)
        return Cost(forwards=FILLS * self.draws * self.sweep.batch_count(rows))

    def build(
        self, *args: Any, progress: Callable[[int, int], None] = lambda done, total: None, **upstream: Any
    ) -> Infidelities:
        """All draws, batch by batch."""
        import numpy as np

        from auditor.methods.attribution.perturb import Forwards
        from auditor.methods.attribution.removal import FILLS as OF

        loader, attributions = upstream["batches"], [upstream[f"map_{place}"] for place in range(len(self.maps))]
        context = context_of(loader, self.draw_seed(self.run_seed))
        forwards, fills, parts = Forwards(upstream["model"], context.batch_size), OF[self.modality], []
        explained = attributions[0].explained
        for batch in placed(loader, attributions):
            own = replace(context, seed=(context.seed + batch.start) % 2**63)
            parts.append(self._batch(batch, forwards, fills, own))
            progress(batch.start + len(batch.targets), len(explained.targets))
        found, rolled, moved = (np.concatenate(each, axis=-1) for each in zip(*parts, strict=True))
        halved = forwards.halved + sum(each.halved for each in attributions)
        empty = np.stack([~each.maps.reshape(len(each.maps), -1).any(axis=1) for each in attributions])
        return Infidelities(self.methods, fills, found, rolled, moved, empty, explained, halved)

    def _batch(self, batch: Placed, forwards: Any, fills: Any, context: Any) -> tuple[Any, Any, Any]:
        """Infidelity of the maps and of their nulls [m, fills, n], and which examples move [n]."""
        import torch

        from auditor.methods.attribution.removal import removal_of
        from auditor.methods.trust.infidelity import draws, infidelity
        from auditor.methods.trust.orders import misplaced

        generator = context.generator()
        removals = [removal_of(batch.inputs, fill, context, self.grid) for fill in fills]
        taken = draws(removals[0], self.draws, generator)
        falls = torch.stack([fall(forwards, removal, batch, taken) for removal in removals])
        maps = [removals[0].on_parts(each.to(batch.targets.device)).cpu().double() for each in batch.maps]
        nulls = [misplaced(each, removals[0], self.nulls, generator) for each in maps]
        inside = taken * removals[0].sizes  # a map's value on a part is a mean over its pixels, and what is taken a sum
        own = torch.stack([infidelity(torch.einsum("ndp,np->nd", inside, each), falls) for each in maps])
        other = torch.stack([
            infidelity(torch.einsum("ndp,ncp->cnd", inside, each)[:, None], falls).mean(dim=0) for each in nulls
        ])  # fmt: skip
        moved = (falls.abs().amax(dim=2) > ROUNDING * batch.scores.cpu().abs()).all(dim=0)
        return own.numpy(), other.numpy(), (moved & (removals[0].own.sum(dim=1).cpu() > 1)).numpy()


def fall(forwards: Any, removal: Any, batch: Placed, taken: Any) -> Any:
    """f(x) - f(x without what each draw takes away), [n, draws]."""
    from auditor.methods.trust.asking import Asks

    asks = Asks(removal, batch.targets, batch.scores)
    asks.add(taken)
    return batch.scores.cpu()[:, None] - asks.answers(forwards)


def infidelity_of(
    subject: Subject, methods: tuple[str, ...], rows: int, target: str, **settings: Any
) -> InfidelityNeed:
    """The infidelity of these methods' maps of a subject's model on its data."""
    maps = tuple(maps_of(subject, method, rows, target) for method in methods)
    sweep, modality, seed = sweep_of(subject, target), subject.model.modality, subject.runtime.seed
    return InfidelityNeed(sweep, methods, maps, modality, run_seed=seed, **settings)
