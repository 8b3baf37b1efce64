"""Roots: the live things all else is computed from: a model, the batches of a data set, and their sweep."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.artifacts.targets import aim_of
from auditor.needs import Live, Need, Sweep, Target
from auditor.sources.data.batch import BatchLoader
from auditor.sources.models.loaded import LoadedModel
from auditor.subject import DataRef, ModelRef, Runtime, Subject

if TYPE_CHECKING:
    import torch

FIRST_SEED = 1


@dataclass(frozen=True)
class Model(Live[LoadedModel]):
    """A model, loaded; a fine-tune is its parent with the last weights of its first seed."""

    artifact: ClassVar[type] = LoadedModel
    ref: ModelRef
    runtime: Runtime

    @property
    def title(self) -> str:
        """The model's name."""
        return f"model {self.ref.name}"

    def needs(self) -> Mapping[str, Need[Any]]:
        """Nothing, or the fine-tune of the first seed."""
        if self.ref.source != "finetune":
            return {}
        finetune = import_module("auditor.artifacts.finetune")
        return {"tuned": finetune.FineTune(ref=self.ref, seed=FIRST_SEED, runtime=self.runtime)}

    def load(self, root: Path, **upstream: Any) -> LoadedModel:
        """The module in eval mode on the run's device; what its own code draws is the same in every process."""
        import torch

        from auditor.sources.models import load

        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            torch.manual_seed(self.draw_seed(self.runtime.seed))
            if self.ref.source != "finetune":
                loaded = load(self.ref, root, self.runtime.device)
            else:
                loaded = with_weights(self.ref, root, self.runtime.device, upstream["tuned"].weights())
        return replace(loaded, reduced=self.runtime.precision == "bfloat16")


def build_parent(ref: ModelRef, root: Path, device: str = "cpu") -> "torch.nn.Module":
    """The module that a fine-tune starts from: its parent, with a new head where the recipe asks for one.

    The new head is initialized from torch's global generator: seed it before.
    """
    from auditor.sources.models.finetune import build

    return build(ref, root).float().to(device)


def with_weights(ref: ModelRef, root: Path, device: str, weights: Mapping[str, Any]) -> LoadedModel:
    """The fine-tuned model of stored weights: name in the state dict -> numpy array, every tensor of it."""
    import torch

    from auditor.sources.models.loaded import ready

    module = build_parent(ref, root)
    module.load_state_dict({name: torch.as_tensor(array) for name, array in weights.items()}, strict=True)
    return ready(ref, module, device)


@dataclass(frozen=True)
class Batches(Live[BatchLoader]):
    """A data set as a model takes it, in the seeded order of the run."""

    artifact: ClassVar[type] = BatchLoader
    model: ModelRef
    data: DataRef
    runtime: Runtime

    @property
    def title(self) -> str:
        """The names of data and model."""
        return f"{self.data.name} for {self.model.name}"

    @property
    def rows(self) -> int:
        """Rows used, as described; unreadable ones drop out when loading."""
        return self.data.used

    @property
    def batch_size(self) -> int:
        """Rows a batch."""
        return self.runtime.batch_size

    def load(self, root: Path, **upstream: Any) -> BatchLoader:
        """The loader, with the model's own preprocessing or tokenizer."""
        from auditor.sources.data import load
        from auditor.sources.encode import encoder_of

        return BatchLoader(
            dataset=load(self.data, root),
            encoder=encoder_of(self.model, root),
            batch_size=self.runtime.batch_size,
            seed=self.runtime.seed,
            device=self.runtime.device,
        )


@dataclass(frozen=True)
class AimedModel(Live[LoadedModel]):
    """A model that gives the score of one target alone, as its single output."""

    artifact: ClassVar[type] = LoadedModel
    model: Model
    batches: Batches
    target: str

    @property
    def title(self) -> str:
        """The model's name and the target."""
        return f"{self.model.title}, {self.target}"

    def needs(self) -> Mapping[str, Need[Any]]:
        """The model, and the data: for its tokenizer, and for references."""
        return {"model": self.model, "batches": self.batches}

    def load(self, root: Path, **upstream: Any) -> LoadedModel:
        """The view."""
        from auditor.artifacts.aimed import aimed

        return aimed(upstream["model"], upstream["batches"], aim_of(self.target))


def sweep_of(subject: Subject, target: str = "predicted") -> Sweep:
    """The sweep of a subject's model over its data, where another target than a class is all that the model gives.

    Raises ValueError when the check has no data.
    """
    if subject.data is None:
        raise ValueError("a sweep needs data")
    model = Model(subject.model, subject.runtime)
    batches = Batches(subject.model, subject.data, subject.runtime)
    if aim_of(target).kind == "plain":
        return Sweep(model, batches, Target(target))
    return Sweep(AimedModel(model, batches, target), batches)
