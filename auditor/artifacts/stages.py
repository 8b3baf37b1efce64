"""Stages: the weights along a history, one state of the model at a time."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.artifacts.roots import FIRST_SEED, with_weights
from auditor.errors import NotApplicable, SourceError
from auditor.needs import Live, Need
from auditor.sources.models.loaded import LoadedModel
from auditor.subject import History, ModelRef, Runtime, Subject

if TYPE_CHECKING:
    import torch


ADAPTERS = (
    "its checkpoints hold adapters alone, which are no whole model; merge each into the model and save that "
    "(merge_and_unload() of peft)"
)


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
            self.fill(model, step)
            yield step, model

    def fill(self, model: LoadedModel, step: int) -> None:
        """Give a module of `fresh` the weights of a step."""
        _fill(model.module, self.read(step), step)


def _fill(module: "torch.nn.Module", state: "Mapping[str, torch.Tensor]", step: int) -> None:
    """Load the weights of a step; names may be missing whose tensor is tied to one that is there."""
    own = module.state_dict()
    there = {value.data_ptr() for name, value in own.items() if name in state}
    missing = sorted(name for name, value in own.items() if name not in state and value.data_ptr() not in there)
    extra = sorted(set(state) - set(own))
    shaped = sorted(name for name in state.keys() & own.keys() if state[name].shape != own[name].shape)
    if missing or extra or shaped:
        parts = {"missing": missing, "not of the model": extra, "of another shape": shaped}
        listed = "; ".join(f"{what}: {', '.join(names[:4])} ({len(names)})" for what, names in parts.items() if names)
        raise SourceError(
            f"the checkpoint of step {step} does not fill the model: {listed}",
            hint="name checkpoints of the model that is audited",
        )
    module.load_state_dict(dict(state), strict=False)


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

        def fresh() -> LoadedModel:
            return with_weights(self.ref, root, self.runtime.device, run.weights())

        return Stages(run.checkpoint_steps, rates, read, fresh)

    def _files(self, root: Path) -> Stages:
        """Of checkpoints or of a trace's snapshots; names are those of the module, which is built once for them."""
        from auditor.sources.models import load
        from auditor.sources.models.tensors import open_tensors

        history = self.ref.history
        if history is None or not history.steps:
            raise NotApplicable("its history holds no weights")
        names: list[str] = []

        def fresh() -> LoadedModel:
            return load(self.ref, root, self.runtime.device)

        def read(step: int) -> "Mapping[str, torch.Tensor]":
            if not names:
                names.extend(fresh().module.state_dict())
            return open_tensors(root, history.at(step), ("models", self.ref.name, "history"), names).all()

        return Stages(history.steps, self._rates(root, history), read, fresh)

    def _rates(self, root: Path, history: History) -> tuple[float, ...]:
        """The learning rate at each step, where a trace knows it."""
        from math import nan

        if history.source != "trace":
            return (nan,) * len(history.steps)
        import numpy as np

        from auditor.sources.models.opened import opened

        trace = opened(self.ref, root).trace
        assert trace is not None
        at = dict(zip(trace.steps.tolist(), trace.lr.tolist(), strict=True))
        means = [[rate for rate in at.get(step, []) if rate == rate] for step in history.steps]
        return tuple(float(np.mean(rates)) if rates else nan for rates in means)


def stages_of(subject: Subject) -> Need[Stages]:
    """The stages of the subject's model. NotApplicable if its history holds no weights."""
    from auditor.artifacts.trajectory import missing

    if subject.history is not None and subject.history.adapters:
        raise NotApplicable(ADAPTERS)
    if reason := missing(subject.history, ("weights",)):
        raise NotApplicable(reason)
    return StagesOf(subject.model, subject.runtime)
