"""Stages: the weights along a history, one state of the model at a time."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.artifacts.roots import FIRST_SEED, with_weights
from auditor.errors import NotApplicable
from auditor.needs import Live, Need
from auditor.sources.models.loaded import LoadedModel
from auditor.subject import ModelRef, Runtime, Subject

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Stages:
    """The kept states of one history (of a fine-tune its first seed), in the order of their steps.

    lrs: the learning rate of each step, NaN where it is unknown. read: the whole state dict of a step, by the names of
    the model. fresh: a module of its own, in eval mode, to fill with them.
    """

    steps: tuple[int, ...]
    lrs: tuple[float, ...]
    read: "Callable[[int], Mapping[str, torch.Tensor]]"
    fresh: Callable[[], LoadedModel]

    def models(self) -> Iterator[tuple[int, LoadedModel]]:
        """Each step with the model as it was then: ONE module, filled anew for each step; take what you need of it
        before the next."""
        model = self.fresh()
        for step in self.steps:
            model.module.load_state_dict(dict(self.read(step)), strict=True)
            yield step, model


@dataclass(frozen=True)
class StagesOf(Live[Stages]):
    """The stages of a model whose history holds weights."""

    artifact: ClassVar[type] = Stages
    ref: ModelRef
    runtime: Runtime

    @property
    def title(self) -> str:
        """Whose stages."""
        return f"stages of {self.ref.name}"

    def needs(self) -> Mapping[str, Need[Any]]:
        """Of a fine-tune the run of its first seed."""
        if self.ref.source != "finetune":
            return {}
        from auditor.artifacts.finetune import FineTune

        return {"tuned": FineTune(self.ref, FIRST_SEED, self.runtime)}

    def load(self, root: Path, **upstream: Any) -> Stages:
        """Nothing is read of them yet."""
        if self.ref.source == "finetune":
            return self._tuned(root, upstream["tuned"])
        return self._files(root)

    def _tuned(self, root: Path, run: Any) -> Stages:
        import torch

        def read(step: int) -> "Mapping[str, torch.Tensor]":
            return {name: torch.as_tensor(array) for name, array in run.weights(step).items()}

        rates = tuple(float(run.lr[step - 1]) for step in run.checkpoint_steps)
        fresh = lambda: with_weights(self.ref, root, self.runtime.device, run.weights())  # noqa: E731
        return Stages(run.checkpoint_steps, rates, read, fresh)

    def _files(self, root: Path) -> Stages:
        from math import nan

        from auditor.sources.models import load
        from auditor.sources.models.tensors import open_tensors

        history = self.ref.history
        if history is None or history.source != "checkpoints":
            raise NotApplicable("its history holds no weights")
        files = dict(zip(history.steps, history.files, strict=True))

        def read(step: int) -> "Mapping[str, torch.Tensor]":
            held = open_tensors(root, (files[step],), ("models", self.ref.name, "history"))
            return {name: held.get(name) for name in held.shapes}

        return Stages(history.steps, (nan,) * len(files), read, lambda: load(self.ref, root, self.runtime.device))


def stages_of(subject: Subject) -> Need[Stages]:
    """The stages of the subject's model. NotApplicable if its history holds no weights."""
    from auditor.artifacts.trajectory import missing

    if reason := missing(subject.history, ("weights",)):
        raise NotApplicable(reason)
    return StagesOf(subject.model, subject.runtime)
