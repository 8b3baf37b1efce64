"""Shipped: the weights of a model beside the checkpoints that are said to lead to them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from auditor.artifacts.lineage import Weights, WeightsOf
from auditor.artifacts.recorded import Opened
from auditor.needs import Derived, Need
from auditor.sources.models.opened import Recorded
from auditor.sources.models.tensors import Tensors
from auditor.subject import Subject


@dataclass(frozen=True)
class Shipped:
    """The checkpoint that is most like the shipped weights: its step, and the names that differ from it of `compared`
    tensors that both hold. last: the step of the last checkpoint."""

    step: int
    last: int
    compared: int
    differing: tuple[str, ...]

    def remark(self) -> str:
        """What a reader must know; "" where the weights are those of the last checkpoint."""
        if not self.compared:
            return "unrecorded_tensors is not measured: the shipped weights and the checkpoints share no tensor's name."
        if self.differing:
            names = ", ".join(self.differing[:5]) + (" ..." if len(self.differing) > 5 else "")
            return (
                f"The shipped weights are those of no checkpoint: {len(self.differing)} of {self.compared} tensors are "
                f"not those of step {self.step}, which is the nearest: {names}."
            )
        earlier = f"The shipped weights are those of step {self.step}, not of the last checkpoint, step {self.last}."
        return earlier if self.step != self.last else ""


@dataclass(frozen=True)
class ShippedOf(Derived[Shipped]):
    """The weights of a model against every checkpoint of its history, from the last one back to one that is equal."""

    artifact: ClassVar[type] = Shipped
    weights: WeightsOf
    history: Opened

    @property
    def title(self) -> str:
        """Whose weights."""
        return f"shipped weights of {self.weights.ref.name}"

    def needs(self) -> Mapping[str, Need[Any]]:
        """Both, opened."""
        return {"weights": self.weights, "history": self.history}

    def build(self, *args: Any, **upstream: Any) -> Shipped:
        """Tensor by tensor; two are equal if they are once both have the narrower type of the two."""
        weights: Weights = upstream["weights"]
        history: Recorded = upstream["history"]
        last, best = history.steps[-1], None
        for step, file in reversed(list(zip(history.steps, history.checkpoints, strict=True))):
            compared, differing = _apart(weights, file)
            if best is None or len(differing) < len(best.differing):
                best = Shipped(step, last, compared, differing)
            if not differing:
                break
        assert best is not None  # a history has two checkpoints or more
        return best


def _apart(weights: Weights, file: Tensors) -> tuple[int, tuple[str, ...]]:
    """How many tensors both hold, and the names of those that differ."""
    from auditor.methods.lineage.likeness import unlike

    both = sorted(set(weights.shapes) & set(file.shapes))
    differing = []
    for name in both:
        own, other = weights.get(name), file.get(name)
        if own.shape != other.shape or unlike(own, other):
            differing.append(name)
    return len(both), tuple(differing)


def shipped_of(subject: Subject) -> dict[str, Need[Any]]:
    """The need under the name `shipped`, where the history is one of whole checkpoints; else nothing."""
    history = subject.history
    if history is None or history.source != "checkpoints" or history.adapters:
        return {}
    return {"shipped": ShippedOf(WeightsOf(subject.model, subject.runtime), Opened(subject.model))}
