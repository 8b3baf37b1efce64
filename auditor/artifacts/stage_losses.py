"""Losses, gradients and representations along a history, computed anew on named data at each stage that has weights."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.artifacts.representations import FEWEST
from auditor.artifacts.roots import Batches
from auditor.needs import Cost, Derived, Need
from auditor.subject import Subject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class StageLoss:
    """Of S stages: mean loss and share of right answers (NaN for a regression), [S], in eval mode on the first rows of
    the data; gradient: [S, T] norm of the mean loss's gradient for each tensor. Not finite where the model is not."""

    steps: tuple[int, ...]
    loss: "Floats"
    accuracy: "Floats"
    tensors: tuple[str, ...]
    gradient: "Floats"
    rows: int
    data: str


@dataclass(frozen=True)
class StageLosses(Derived[StageLoss]):
    """Losses and gradients of a model at each stage of its history, on the first `rows` rows."""

    artifact: ClassVar[type] = StageLoss
    stages: Need[Any]
    batches: Batches
    count: int
    rows: int

    @property
    def title(self) -> str:
        """Where."""
        return f"losses of the stages on {self.batches.data.name}"

    def needs(self) -> Mapping[str, Need[Any]]:
        """The stages, and the data."""
        return {"stages": self.stages, "batches": self.batches}

    def cost(self) -> Cost:
        """One forward and one backward a batch and stage."""
        passes = self.count * -(-min(self.rows, self.batches.rows) // self.batches.batch_size)
        return Cost(forwards=passes, backwards=passes)

    def build(self, *args: Any, **upstream: Any) -> StageLoss:
        """Stage by stage."""
        import numpy as np

        from auditor.methods.training.stage import seen

        loader, found, steps = upstream["batches"], [], []
        rows, task = min(self.rows, loader.rows), self.batches.model.task
        for step, model in upstream["stages"].models():
            found.append(seen(model.module, model.logits, _pairs(loader, rows), task))
            steps.append(step)
        names = tuple(found[0].gradient)
        accuracy = [np.nan if each.accuracy is None else each.accuracy for each in found]
        gradient = np.array([[each.gradient[name] for name in names] for each in found], dtype=np.float64)
        losses = np.array([each.loss for each in found], dtype=np.float64)
        return StageLoss(tuple(steps), losses, np.array(accuracy, dtype=np.float64), names, gradient, rows,
                         self.batches.data.name)  # fmt: skip


@dataclass(frozen=True)
class StageCka:
    """Debiased linear CKA of each block with itself in the last stage, [S, B]; NaN where it cannot be measured."""

    steps: tuple[int, ...]
    blocks: tuple[str, ...]
    cka: "Floats"


@dataclass(frozen=True)
class StagesAlike(Derived[StageCka]):
    """How alike the blocks of each stage are to those of the last one, on the first `rows` rows."""

    artifact: ClassVar[type] = StageCka
    stages: Need[Any]
    batches: Batches
    count: int
    rows: int

    @property
    def title(self) -> str:
        """Where."""
        return f"CKA of the stages on {self.batches.data.name}"

    def needs(self) -> Mapping[str, Need[Any]]:
        """The stages, and the data."""
        return {"stages": self.stages, "batches": self.batches}

    def cost(self) -> Cost:
        """One forward a batch and stage, and the last stage twice."""
        return Cost(forwards=(self.count + 1) * -(-min(self.rows, self.batches.rows) // self.batches.batch_size))

    def build(self, *args: Any, **upstream: Any) -> StageCka:
        """The last stage first, then one after the other."""
        import numpy as np

        from auditor.methods.similarity.layers import blocks_of

        stages, loader = upstream["stages"], upstream["batches"]
        last = stages.fresh()
        last.module.load_state_dict(dict(stages.read(stages.steps[-1])), strict=True)
        names = blocks_of(last.module)
        final, table = _features(last, loader, self.rows, names), []
        for _, model in stages.models():
            each = _features(model, loader, self.rows, names)
            table.append([_cka(each.get(name), final.get(name)) for name in names])
        return StageCka(tuple(stages.steps), names, np.array(table, dtype=np.float64).reshape(-1, len(names)))


def _features(model: Any, loader: Any, rows: int, names: tuple[str, ...]) -> dict[str, Any]:
    import numpy as np

    from auditor.methods.similarity.layers import features_of

    found: dict[str, list[Any]] = {}
    for inputs, _ in _pairs(loader, min(rows, loader.rows)):
        for name, part in features_of(model, inputs, names).items():
            found.setdefault(name, []).append(part.numpy())
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _cka(one: Any, other: Any) -> float:
    from math import nan

    from auditor.methods.similarity.cka import linear_cka

    try:
        return nan if one is None or other is None else linear_cka(one, other)
    except ValueError:  # a block that does not vary, or is not finite
        return nan


def _pairs(loader: Any, rows: int) -> Iterator[tuple[Any, Any]]:
    """Inputs and labels of the first rows exactly."""
    from auditor.methods.attribution.asked import take

    for batch in loader.first(rows):
        kept = slice(0, rows - batch.start)
        yield take(batch.inputs, kept), batch.labels[kept]


def asked_again(subject: Subject, rows: int, layer_rows: int) -> dict[str, Need[Any]]:
    """The needs `losses` and `alike` of a subject, each where its history holds weights and its data allow it: labels
    of a classifier or a regression for losses, 256 rows for CKA."""
    from auditor.artifacts.stages import stages_of
    from auditor.artifacts.trajectory import missing

    history, data = subject.history, subject.data
    if history is None or data is None or missing(history, ("weights",)):
        return {}
    stages, batches = stages_of(subject), Batches(subject.model, data, subject.runtime)
    count = subject.model.recipe.keep if subject.model.recipe else len(history.steps)
    found: dict[str, Need[Any]] = {}
    if data.labelled and subject.model.task in ("classification", "regression"):
        found["losses"] = StageLosses(stages, batches, count, rows)
    if data.used >= FEWEST and layer_rows >= FEWEST:
        found["alike"] = StagesAlike(stages, batches, count, layer_rows)
    return found
