"""Importance: which parameters of a model matter on some data, and what happens when they are removed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.artifacts.costs import Costs
from auditor.artifacts.roots import Batches, Model
from auditor.errors import NotApplicable
from auditor.methods.training.record import Floats
from auditor.needs import Cost, Derived, Need
from auditor.subject import Subject

if TYPE_CHECKING:
    from auditor.methods.importance.weighing import Kind, Weighed, Weights
else:
    Kind = Weighed = Weights = Any

STEPS = (0.1, 0.3, 3.0, 10.0)
"""The other points of the curve of ablation, in shares of `share`; each removes CURVE_SETS random sets too."""

CURVE_SETS = 3


@dataclass(frozen=True)
class Gathered:
    """Live: the weights with their importance by half of the examples, and the examples' costs."""

    weights: Weights
    weighed: Weighed
    costs: Costs
    halves: tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True)
class Importance:
    """Importance by tensor, and how unequal it is over all parameters.

    tensors, sizes: [T], tied weights once. total: float64 [T], the sum over a tensor's elements on all examples; first:
    the same on half A alone. gini, effective_share: as the examples show them, None where all is zero; gini_told,
    effective_told: [K] pseudo-values, one a block of examples (methods/importance/inequality.py), empty if there are
    none. read: parameters that the pseudo-values rest on. lorenz: [2, P], shares of parameters and of importance.
    """

    tensors: tuple[str, ...]
    sizes: tuple[int, ...]
    total: Floats
    first: Floats
    gini: float | None
    effective_share: float | None
    gini_told: Floats
    effective_told: Floats
    read: int
    lorenz: Floats
    examples: int
    is_grouped: bool
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ablation:
    """Losses of n examples of half B in nats: before: [n]; top: [2, n] and random: [2, R, n], zero and mean.

    curve: [S, 3], share removed, mean loss after removing the top, and after random sets, all to zero. removed: how
    many parameters; free: how many of them stand in tensors that keep others, where a random set can be another one.
    """

    before: Floats
    top: Floats
    random: Floats
    curve: Floats
    removed: int
    free: int
    examples: tuple[str, ...]
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Effects:
    """effects: [T'], the mean loss rise on half B when the tensors of one group all take their mean."""

    groups: tuple[str, ...]
    effects: Floats


@dataclass(frozen=True)
class GatheredNeed(Derived[Gathered]):
    """The gradients of the first `rows` examples; kept in memory only, as large as twice the model."""

    stored: ClassVar[bool] = False
    artifact: ClassVar[type] = Gathered
    model: Model
    batches: Batches
    kind: Kind
    rows: int
    run_seed: int

    @property
    def title(self) -> str:
        """Whose gradients."""
        return f"importance of the parameters of {self.model.ref.name}"

    def needs(self) -> Mapping[str, Need[Any]]:
        """The model and its data."""
        return {"model": self.model, "batches": self.batches}

    def cost(self) -> Cost:
        """One forward and backward an example."""
        rows = 0 if self.kind == "magnitude" else min(self.rows, self.batches.rows)
        return Cost(forwards=rows, backwards=rows)

    def build(self, *args: Any, **upstream: Any) -> Gathered:
        """Two halves of the examples, whole groups in one of them."""
        from auditor.methods.importance.weighing import Weights, weigh
        from auditor.statistics import halves

        seed = self.draw_seed(self.run_seed)
        costs = Costs(upstream["model"], upstream["batches"], self.rows, seed)
        groups = costs.groups(costs.places)
        units = groups or tuple(map(str, costs.places))
        if len(set(units)) < 2:
            raise NotApplicable("one half of the examples is weighed and the other is tested: two are needed at least")
        parts = halves(units, seed)
        first, second = (tuple(costs.places[at] for at in part.tolist()) for part in parts)
        weights = Weights.of(upstream["model"].module)
        labels = dict(zip(costs.places, units, strict=True))
        weighed = weigh(weights, costs.losses, self.kind, (first, second), labels)
        return Gathered(weights, weighed, costs, (first, second))


@dataclass(frozen=True)
class ImportanceNeed(Derived[Importance]):
    """The importance by tensor, and its inequality."""

    artifact: ClassVar[type] = Importance
    gathered: GatheredNeed

    @property
    def title(self) -> str:
        """Which kind."""
        return f"importance ({self.gathered.kind})"

    def needs(self) -> Mapping[str, Need[Any]]:
        """The gradients."""
        return {"gathered": self.gathered}

    def build(self, *args: Any, gathered: Gathered, **upstream: Any) -> Importance:
        """Sums, curves and pseudo-values."""
        import numpy as np
        import torch

        from auditor.methods.importance.inequality import effective_share, gini, lorenz, told

        weighed, places = gathered.weighed, gathered.costs.places
        flat = torch.cat([part.flatten() for part in weighed.whole]).cpu().numpy()
        found = told(weighed.blocks, weighed.counts)
        empty = np.zeros(0)
        return Importance(
            tensors=gathered.weights.names, sizes=tuple(gathered.weights.sizes),
            total=_sums(weighed.whole), first=_sums(weighed.halves[0]),
            gini=gini(flat), effective_share=effective_share(flat),
            gini_told=found.gini if found else empty, effective_told=found.effective_share if found else empty,
            read=weighed.blocks.shape[1], lorenz=np.stack(lorenz(flat)), examples=len(places),
            is_grouped=bool(gathered.costs.groups(places)), remarks=gathered.costs.remarks(),
        )  # fmt: skip


@dataclass(frozen=True)
class AblationNeed(Derived[Ablation]):
    """What half B loses with the `share` of the parameters that half A holds for the most important ones."""

    artifact: ClassVar[type] = Ablation
    gathered: GatheredNeed
    share: float
    sets: int

    @property
    def title(self) -> str:
        """Which kind."""
        return f"ablation of parameters ({self.gathered.kind})"

    def needs(self) -> Mapping[str, Need[Any]]:
        """The gradients."""
        return {"gathered": self.gathered}

    def cost(self) -> Cost:
        """Half of the examples for each set that is removed."""
        batches = -(-min(self.gathered.rows, self.gathered.batches.rows) // (2 * self.gathered.batches.batch_size))
        return Cost(forwards=batches * (3 + 2 * self.sets + len(STEPS) * (1 + CURVE_SETS)))

    def build(
        self, *args: Any, gathered: Gathered, progress: Callable[[int, int], None] = lambda done, total: None,
        **upstream: Any,
    ) -> Ablation:  # fmt: skip
        """The most important share, and shares around it for the curve."""
        import numpy as np
        import torch

        from auditor.methods.importance.ablation import ablate, most_important, points

        weights, losses, second = gathered.weights, gathered.costs.losses, gathered.halves[1]
        draw, batch = torch.Generator().manual_seed(self.draw_seed(self.gathered.run_seed)), self._batch
        importance, parameters = gathered.weighed.halves[0], sum(weights.sizes)
        count, done = max(1, round(self.share * parameters)), iter(range(1, 10**6))
        total = 2 * (1 + self.sets) + len(STEPS) * (1 + CURVE_SETS)

        def tell() -> None:
            progress(next(done), total)

        chosen = most_important(importance, count)
        found = ablate(weights, losses, second, batch, chosen, self.sets, draw, tell)
        shares = sorted({max(1, round(step * count)) for step in STEPS if step * count <= parameters} - {count})
        curve = points(weights, losses, second, batch, importance, shares, CURVE_SETS, draw, tell)
        here = (count, float(found.top[0].mean()), float(found.random[0].mean()))
        taken = [(0 if own is None else len(own), size) for own, size in zip(chosen, weights.sizes, strict=True)]
        rows = sorted([(0, *[float(found.before.mean())] * 2), here, *curve])
        return Ablation(
            before=found.before, top=found.top, random=found.random,
            curve=np.array(rows, dtype=np.float64) / np.array([parameters, 1, 1]), removed=count,
            free=sum(own for own, size in taken if own < size),
            examples=gathered.costs.examples(second), groups=gathered.costs.groups(second),
        )  # fmt: skip

    @property
    def _batch(self) -> int:
        return self.gathered.batches.batch_size


@dataclass(frozen=True)
class EffectsNeed(Derived[Effects]):
    """What half B loses with each whole group of tensors (a module and what it owns)."""

    artifact: ClassVar[type] = Effects
    gathered: GatheredNeed

    @property
    def title(self) -> str:
        """What is removed."""
        return "ablation of layers"

    def needs(self) -> Mapping[str, Need[Any]]:
        """The gradients."""
        return {"gathered": self.gathered}

    def build(self, *args: Any, gathered: Gathered, **upstream: Any) -> Effects:
        """One group after the other."""
        from auditor.methods.importance.ablation import whole_groups
        from auditor.methods.importance.score import owners

        weights, batch = gathered.weights, self.gathered.batches.batch_size
        groups = owners(weights.names)
        members = [set(places) for places in groups.values()]
        effects = whole_groups(weights, gathered.costs.losses, gathered.halves[1], batch, members)
        return Effects(tuple(groups), effects)


def gathered_of(subject: Subject, kind: Kind, rows: int) -> GatheredNeed:
    """The gradients of a subject's model; ValueError without data."""
    if subject.data is None:
        raise ValueError("importance needs data")
    runtime = subject.runtime
    model, batches = Model(subject.model, runtime), Batches(subject.model, subject.data, runtime)
    return GatheredNeed(model, batches, kind, rows, runtime.seed)


def _sums(parts: Any) -> Floats:
    import numpy as np

    return np.array([float(part.double().sum()) for part in parts], dtype=np.float64)
