"""Representations: what the blocks of a network make of the data, and how alike two networks are there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.artifacts.explanations import context_of
from auditor.artifacts.roots import sweep_of
from auditor.needs import Cost, Derived, Need, Sweep
from auditor.subject import Subject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FEWEST = 256
"""Examples below which CKA is not measured."""


@dataclass(frozen=True)
class Representations:
    """Features of each block, float32 [n, units] by the block's name, in the network's order; examples row for row."""

    features: "dict[str, NDArray[np.float32]]"
    examples: tuple[str, ...]
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class RepresentationsNeed(Derived[Representations]):
    """The blocks of a model on the first `rows` rows; share: of noise on the inputs; layers: globs, none for blocks."""

    artifact: ClassVar[type] = Representations
    version: ClassVar[int] = 2
    sweep: Sweep
    rows: int
    share: float = 0.0
    layers: tuple[str, ...] = ()
    run_seed: int = 0

    @property
    def title(self) -> str:
        """A few words for plans and progress."""
        return "representations" + (" under noise" if self.share else "")

    def needs(self) -> Mapping[str, Need[Any]]:
        """The model and its data."""
        return {"model": self.sweep.model, "batches": self.sweep.batches}

    def cost(self) -> Cost:
        """One forward a batch."""
        return Cost(forwards=self.sweep.batch_count(self.rows))

    def build(self, *args: Any, **upstream: Any) -> Representations:
        """The features, batch by batch."""
        import numpy as np

        from auditor.methods.attribution.asked import take
        from auditor.methods.similarity.layers import blocks_of, features_of
        from auditor.methods.similarity.nudge import nudged

        model, loader = upstream["model"], upstream["batches"]
        names, context = blocks_of(model.module, self.layers), context_of(loader, self.draw_seed(self.run_seed))
        rows, examples, groups = min(self.rows, loader.rows), [], []
        found: dict[str, list[Any]] = {}
        for batch in loader.first(rows):
            kept = slice(0, rows - batch.start)
            inputs = take(batch.inputs, kept)
            if self.share:
                inputs = nudged(model, inputs, self.share, context)
            for name, part in features_of(model, inputs, names).items():
                found.setdefault(name, []).append(part.numpy())
            examples += batch.examples[kept]
            groups += batch.groups[kept]
        features = {name: np.concatenate(parts) for name, parts in found.items()}
        return Representations(features, tuple(examples), tuple(groups) if any(groups) else ())


@dataclass(frozen=True)
class Alike:
    """CKA by block: the jackknife's pseudo-values, float64 [blocks, n], between the models and of one under noise.

    why: reasons of blocks that could not be measured, or of all.
    """

    layers: tuple[str, ...]
    moved: "NDArray[np.float64]"
    floor: "NDArray[np.float64]"
    groups: tuple[str, ...] = ()
    why: tuple[str, ...] = ()


@dataclass(frozen=True)
class AlikeNeed(Derived[Alike]):
    """CKA of blocks of one name, of two models, and of the first under noise with itself."""

    artifact: ClassVar[type] = Alike
    tensors: ClassVar[bool] = False
    own: RepresentationsNeed
    other: RepresentationsNeed
    nudged: RepresentationsNeed

    @property
    def title(self) -> str:
        """A few words for plans and progress."""
        return "CKA by block"

    def needs(self) -> Mapping[str, Need[Any]]:
        """The representations."""
        return {"own": self.own, "other": self.other, "nudged": self.nudged}

    def build(self, *args: Any, **upstream: Any) -> Alike:
        """Every block that both have and that varies."""
        import numpy as np

        own, other, nudged = (upstream[name] for name in ("own", "other", "nudged"))
        layers, moved, floor, why = [], [], [], list(_obstacles(own, other))
        for name in () if why else [name for name in own.features if name in other.features]:
            try:
                pair = _pseudo(own, other, name), _pseudo(own, nudged, name)
            except ValueError as error:
                why.append(f"CKA of {name} is not measured: {error}.")
                continue
            layers.append(name)
            moved.append(pair[0])
            floor.append(pair[1])
        shape = (len(layers), len(own.examples))
        return Alike(
            tuple(layers), np.array(moved).reshape(shape), np.array(floor).reshape(shape), own.groups, tuple(why)
        )


def _pseudo(own: Representations, other: Representations, name: str) -> Any:
    from auditor.methods.similarity.cka import cka_by_example

    return cka_by_example(own.features[name], other.features[name])


def _obstacles(own: Representations, other: Representations) -> "tuple[str, ...]":
    n = len(own.examples)
    if n < FEWEST:
        return (f"CKA is not measured: it needs at least {FEWEST} examples, found {n}.",)
    if own.examples != other.examples:
        return ("CKA is not measured: the two models do not read the same examples.",)
    if not own.features.keys() & other.features.keys():
        return ("CKA is not measured: the two models have no block of one name.",)
    return ()


def alike_of(subject: Subject, theirs: Subject, rows: int, layers: tuple[str, ...], share: float) -> AlikeNeed:
    """CKA of a subject's model and another one on the same data."""
    seed = subject.runtime.seed
    own, other = sweep_of(subject), sweep_of(theirs)
    return AlikeNeed(
        RepresentationsNeed(own, rows, 0.0, layers, seed),
        RepresentationsNeed(other, rows, 0.0, layers, seed),
        RepresentationsNeed(own, rows, share, layers, seed),
    )
