"""QuickModel: the frozen, folded copy of a model that perturbed forwards and gradients of many steps run on."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from auditor.artifacts.roots import Model
from auditor.needs import Live, Need, Sweep
from auditor.sources.models.loaded import LoadedModel

CHECKED = 8
"""Inputs on which the copy is compared with the original."""


@dataclass(frozen=True)
class QuickModel(Live[LoadedModel]):
    """A copy that gives the same logits in less time (methods/quick.py), compared with the original on real inputs.

    Only pictures gain from it; a model of texts or rows stands for itself. Never train it nor take its Hessian.
    """

    artifact: ClassVar[type] = LoadedModel
    version: ClassVar[int] = 1
    model: Need[Any]
    batches: Need[Any]

    @property
    def title(self) -> str:
        """A few words for plans and progress."""
        return "a quick copy of the model"

    def needs(self) -> Mapping[str, Need[Any]]:
        """The model, and inputs to compare the copy on."""
        return {"model": self.model, "batches": self.batches}

    def load(self, root: Path, **upstream: Any) -> LoadedModel:
        """The copy, with its largest difference."""
        from auditor.methods.quick import quick_copy

        model: LoadedModel = upstream["model"]
        batches = upstream["batches"]
        inputs = batches.batch(range(min(CHECKED, batches.rows))).inputs
        module, difference = quick_copy(model.module, lambda module: replace(model, module=module).logits(inputs))
        return model if module is model.module else replace(model, module=module, difference=difference)


def quick_of(sweep: Sweep) -> Need[Any]:
    """The quick copy of a sweep's model, or the model itself where a copy gains nothing."""
    model = sweep.model
    if isinstance(model, Model) and model.ref.modality == "image":
        return QuickModel(model, sweep.batches)
    return model
