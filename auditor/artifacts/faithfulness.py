"""Faithfulness: the scores of partly removed inputs, in the order of each method's maps and in misplaced orders."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from auditor.artifacts.attributions import Attributions
from auditor.artifacts.explained import Explained
from auditor.artifacts.explanations import context_of, maps_of
from auditor.artifacts.placed import Placed, placed
from auditor.artifacts.quick import quick_of
from auditor.artifacts.roots import sweep_of
from auditor.artifacts.targets import aim_of
from auditor.needs import Cost, Derived, Need, Sweep
from auditor.subject import Modality, Subject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

METHODS: dict[Modality, tuple[str, ...]] = {
    "image": ("grad_cam", "saliency", "integrated_gradients"),
    "text": ("input_x_gradient", "integrated_gradients"),
    "tabular": ("input_x_gradient", "integrated_gradients"),
}
ScaleName = Literal["logit", "probability"]
CURVES = ("deletion", "insertion", "deletion_null", "insertion_null")
CURVED = frozenset({*CURVES, "random"})
PROBABLE = ("classification", "causal_lm", "masked_lm")
ERASER = ("comprehensiveness", "sufficiency")
ERASER_NAMES = (*ERASER, *(f"{name}_null" for name in ERASER))
EXACT = 10
"""Up to so many groups the extremes of AOPC are exact."""


@dataclass(frozen=True)
class Faithfulness:
    """What was asked of m methods' maps of n examples under two fills, raw, row for row with `explained`.

    fractions: [n, points], the share of an example's parts gone at each point. full: f(x) [n]; gone: f(x_ref)
    [fills, n]. deletion, insertion and their rolled nulls: [m, fills, n, points]; random: [fills, n, points]. naopc
    [m, fills, n], with the range of AOPC [fills, n], 0 where all orders are equal. eraser: of texts, by name
    [m, fills, n]. empty: maps without any order, [m, n]. parts: of each example [n]. groups: at most, for naopc.
    forwards: inputs run.
    """

    methods: tuple[str, ...]
    fills: tuple[str, ...]
    fractions: "NDArray[np.float64]"
    full: "Floats"
    gone: "Floats"
    deletion: "Floats"
    insertion: "Floats"
    deletion_null: "Floats"
    insertion_null: "Floats"
    random: "Floats"
    naopc: "Floats"
    naopc_range: "Floats"
    eraser: "dict[str, Floats]"
    empty: "NDArray[np.bool_]"
    parts: "NDArray[np.int64]"
    explained: Explained
    groups: int
    forwards: int = 0
    halved: int = 0

    def judged(self) -> "NDArray[np.bool_]":
        """Which examples can be judged: removal moves their score, and the order of removal makes a difference."""
        from auditor.methods.trust.gains import moves

        kept: NDArray[np.bool_] = moves(self.full, self.gone) & (self.naopc_range > 0).all(axis=0) & (self.parts > 1)
        return kept

    def curve(self, name: str, normalized: bool) -> "NDArray[np.float64]":
        """The curves of that field, (f - f(x_ref)) / |f(x) - f(x_ref)| or raw."""
        from auditor.methods.trust.gains import on_scale

        return on_scale(getattr(self, name), self.full, self.gone, normalized)

    def columns(self, kept: "NDArray[np.bool_]", normalized: bool) -> "dict[str, NDArray[np.float64]]":
        """Each metric's values [m, fills, kept examples] by its name."""
        from auditor.methods.trust.gains import areas

        area = {name: areas(self.curve(name, normalized), self.fractions)[..., kept] for name in CURVES}
        most = min(self.groups, int(self.parts.max()))
        return {
            "deletion_gain": area["deletion_null"] - area["deletion"],
            "insertion_gain": area["insertion"] - area["insertion_null"],
            "naopc" if most <= EXACT else "naopc_beam": self.naopc[..., kept].astype(float),
            **{name: values[..., kept].astype(float) for name, values in self.eraser.items() if name in ERASER},
        }

    def notes(self) -> tuple[str, ...]:
        """What the reader must know of how they were computed."""
        empty = [(name, int(zero.sum())) for name, zero in zip(self.methods, self.empty, strict=True) if zero.any()]
        said = [f"{count} of {len(self.full)} maps of {name} have one value everywhere: their order is random."
                for name, count in empty]  # fmt: skip
        return (*said, *replace(self.explained, halved=self.explained.halved + self.halved).notes())


@dataclass(frozen=True)
class FaithfulnessNeed(Derived[Faithfulness]):
    """The faithfulness of several methods' maps, all perturbations of all examples batched together."""

    artifact: ClassVar[type] = Faithfulness

    sweep: Sweep
    methods: tuple[str, ...]
    maps: tuple[Need[Attributions], ...]
    modality: Modality
    points: int
    nulls: int
    groups: int
    grid: int
    scale: ScaleName
    probable: bool = True
    run_seed: int = 0

    @property
    def title(self) -> str:
        """A few words for plans and progress."""
        return f"faithfulness of {', '.join(name.replace('_', ' ') for name in self.methods)}"

    def needs(self) -> Mapping[str, Need[Any]]:
        """The model, its data, and the maps of each method."""
        maps = {f"map_{place}": need for place, need in enumerate(self.maps)}
        return {"model": quick_of(self.sweep), "batches": self.sweep.batches, **maps}

    def cost(self) -> Cost:
        """Forwards in batches: two fills, two directions, each with its null; the random order; groups."""
        inner, rows = self.points - 1, getattr(self.maps[0], "rows", None)
        copies = -(-self.nulls // inner)
        each = len(self.methods) * 2 * inner * (1 + copies) + inner + 2 ** min(self.groups, 10)
        return Cost(forwards=2 * each * self.sweep.batch_count(rows))

    def build(
        self, *args: Any, progress: Callable[[int, int], None] = lambda done, total: None, **upstream: Any
    ) -> Faithfulness:
        """All curves, batch by batch and fill by fill."""
        import numpy as np

        from auditor.methods.attribution.removal import FILLS

        loader, attributions = upstream["batches"], [upstream[f"map_{place}"] for place in range(len(self.maps))]
        asking = _Asking(self, upstream["model"], context_of(loader, self.draw_seed(self.run_seed)))
        explained, found = attributions[0].explained, []
        for batch in placed(loader, attributions):
            found.append(asking.batch(batch, FILLS[self.modality]))
            progress(batch.start + len(batch.targets), len(explained.targets))
        whole = _joined(found)
        forwards, halved = asking.forwards, sum(each.halved for each in attributions)
        return Faithfulness(
            methods=self.methods, fills=FILLS[self.modality], explained=explained, groups=self.groups,
            eraser={name: whole.pop(name) for name in ERASER_NAMES if name in whole},
            empty=np.stack([each.without_order for each in attributions]),
            forwards=forwards.count, halved=forwards.halved + halved, **whole,
        )  # fmt: skip


class _Asking:
    """Asks the model about one batch after another."""

    def __init__(self, need: FaithfulnessNeed, model: Any, context: Any) -> None:
        from auditor.methods.attribution.perturb import Forwards
        from auditor.methods.trust.faithfulness import InProbability

        self.need, self.context = need, context
        self.probable = InProbability(model)
        asked = InProbability(model, 100.0) if need.scale == "probability" else model
        self.forwards = Forwards(asked, context.batch_size)

    def batch(self, batch: Placed, fills: Sequence[Any]) -> dict[str, Any]:
        """The columns of one batch as tensors, examples on the axis that `_joined` joins."""
        import torch

        from auditor.methods.attribution.removal import removal_of
        from auditor.methods.trust.curves import orders_of
        from auditor.methods.trust.faithfulness import Chains, answered

        need, generator = self.need, torch.Generator().manual_seed(self.context.seed ^ batch.start)
        removals = [removal_of(batch.inputs, fill, self.context, need.grid) for fill in fills]
        maps = torch.stack([removals[0].on_parts(each.to(batch.targets.device)).cpu() for each in batch.maps])
        orders = orders_of(removals[0], maps, need.points, need.nulls, generator)
        chains = Chains(removals[0], maps, min(need.groups, removals[0].parts), generator)
        bare = batch.scores if need.scale == "logit" else self._scores(self.forwards.model, batch)
        found = [answered(self.forwards, removal, batch.targets, bare, orders, chains) for removal in removals]
        columns = {each.name: torch.stack([getattr(one, each.name) for one in found], dim=-2 - (each.name in CURVED))
                   for each in fields(found[0])}  # fmt: skip
        sizes = removals[0].own.sum(dim=1).cpu()
        columns |= {"full": bare.cpu().float(), "parts": sizes}
        columns["fractions"] = orders.counts.double() / sizes.clamp(min=1)[:, None]
        return columns | (self._of_texts(batch, removals, orders) if need.modality == "text" and need.probable else {})

    def _of_texts(self, batch: Placed, removals: Iterable[Any], orders: Any) -> dict[str, Any]:
        import torch

        from auditor.methods.attribution.perturb import Forwards
        from auditor.methods.trust.faithfulness import eraser

        forwards, bare = Forwards(self.probable, self.forwards.batch_size), self._scores(self.probable, batch)
        found = [eraser(forwards, removal, batch.targets, bare, orders) for removal in removals]
        self.forwards.count, self.forwards.halved = (
            self.forwards.count + forwards.count, self.forwards.halved + forwards.halved,
        )  # fmt: skip
        return {name: torch.stack([getattr(one, name) for one in found], dim=-2) for name in ERASER_NAMES}

    def _scores(self, model: Any, batch: Placed) -> Any:
        from auditor.methods.attribution.asked import scores

        return scores(model, batch.inputs, batch.targets).float()


def _joined(batches: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The columns of all batches in one; the axis of the examples is the last but one of curves, else the last."""
    import torch

    curved = CURVED | {"fractions"}
    return {name: torch.cat([each[name] for each in batches], dim=-2 if name in curved else -1).numpy()
            for name in batches[0]}  # fmt: skip


def methods_for(subject: Subject) -> tuple[str, ...]:
    """The methods that are tested where a spec names none."""
    return METHODS[subject.model.modality]


def has_probability(subject: Subject, target: str) -> bool:
    """Whether a target's score is one logit among several, so that a softmax gives its probability."""
    return subject.model.task in PROBABLE and aim_of(target).kind == "plain"


def faithfulness_of(
    subject: Subject, methods: tuple[str, ...], rows: int, target: str, **settings: Any
) -> FaithfulnessNeed:
    """The faithfulness of these methods' maps of a subject's model on its data."""
    maps = tuple(maps_of(subject, method, rows, target) for method in methods)
    sweep, modality, seed = sweep_of(subject, target), subject.model.modality, subject.runtime.seed
    probable = has_probability(subject, target)
    return FaithfulnessNeed(sweep, methods, maps, modality, probable=probable, run_seed=seed, **settings)
