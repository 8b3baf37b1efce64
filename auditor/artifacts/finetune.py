"""FineTune: one recorded run of a model's recipe from one seed; a seed is trained once, whoever asks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.artifacts.roots import Batches, build_parent
from auditor.errors import SourceError
from auditor.methods.training.record import Run
from auditor.needs import Cost, Derived, Live, Need
from auditor.sources.data.batch import BatchLoader
from auditor.sources.models.loaded import LoadedModel, ready
from auditor.subject import DataRef, ModelRef, Recipe, Runtime

if TYPE_CHECKING:
    import torch

HELD_BYTES = 256 * 2**20
"""Encoded inputs up to this size are kept for the whole run; larger ones are encoded again at each use."""

EVALUATED = 4
"""An evaluation keeps no graph, so it takes this many batches at once: fewer calls for small models."""


@dataclass(frozen=True)
class Starting:
    """Where a fine-tune starts; `fresh` reads a new module each time, so no run can touch what others use."""

    ref: ModelRef
    root: Path
    device: str

    def fresh(self, seed: int) -> LoadedModel:
        """The parent, with a new head drawn from `seed` where the recipe asks for one."""
        import torch

        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            torch.manual_seed(seed)
            return ready(self.ref, build_parent(self.ref, self.root, self.device), self.device)


@dataclass(frozen=True)
class Start(Live[Starting]):
    """The starting point of a fine-tune."""

    artifact: ClassVar[type] = Starting
    ref: ModelRef
    runtime: Runtime

    @property
    def title(self) -> str:
        """Whose start."""
        return f"start of {self.ref.name}"

    def load(self, root: Path, **upstream: Any) -> Starting:
        """Nothing is read yet: each run reads a module of its own."""
        return Starting(self.ref, root, self.runtime.device)


@dataclass(frozen=True)
class FineTune(Derived[Run]):
    """One run of the recipe of `ref` (a model of source "finetune"); seeds count from 1."""

    version: ClassVar[int] = 4
    artifact: ClassVar[type] = Run
    ref: ModelRef
    seed: int
    runtime: Runtime

    @property
    def title(self) -> str:
        """Model and seed."""
        return f"fine-tune {self.ref.name}, seed {self.seed}"

    def needs(self) -> Mapping[str, Need[Any]]:
        """The starting point, and both data sets as the model takes them."""
        _, train, validation = parts(self.ref)
        return {
            "start": Start(self.ref, self.runtime),
            "train": Batches(self.ref, train, self.runtime),
            "validation": Batches(self.ref, validation, self.runtime),
        }

    def cost(self) -> Cost:
        """The recipe's steps."""
        return Cost(training_steps=parts(self.ref)[0].steps)

    def build(self, *args: Any, progress: Callable[[int, int], None] | None = None, **upstream: Any) -> Run:
        """Train on a fresh module; nothing shared is changed."""
        from auditor.methods.training.recipe import Settings
        from auditor.methods.training.train import train

        recipe, _, _ = parts(self.ref)
        seed = self.draw_seed(self.runtime.seed)
        model: LoadedModel = upstream["start"].fresh(seed)
        settings = Settings(**recipe.model_dump(exclude={"seeds", "head"}))
        data, validation = Rows(upstream["train"]), Rows(upstream["validation"])
        size = EVALUATED * self.runtime.batch_size
        tell = progress or (lambda done, total: None)
        run = train(
            model.module, model.logits, data, validation, settings, seed,
            eval_batch=size, on_step=lambda step: tell(step, recipe.steps),
        )  # fmt: skip
        said = (*data.remarks(), *validation.remarks())
        return replace(run, remarks=tuple(dict.fromkeys(said)))


def parts(ref: ModelRef) -> tuple[Recipe, DataRef, DataRef]:
    """Recipe, training and validation data of a fine-tuned model; SourceError for one that cannot be trained here."""
    if ref.recipe is None or ref.train is None or ref.validation is None:
        raise SourceError(f"models.{ref.name}: expected a fine-tune with its data, found source {ref.source!r}")
    if ref.task != "classification":
        raise SourceError(
            f"models.{ref.name}: this version fine-tunes classifiers, found a model for {ref.task}",
            hint="audit its checkpoints instead: history: {checkpoints: ...}",
        )
    return ref.recipe, ref.train, ref.validation


class Rows:
    """A loader's examples by place in its seeded order, as the trainer asks for them."""

    def __init__(self, loader: BatchLoader) -> None:
        self._loader = loader
        self._held = self._encode_all()

    @property
    def rows(self) -> int:
        """How many there are."""
        return self._loader.rows

    def remarks(self) -> tuple[str, ...]:
        """What the data say of themselves."""
        return self._loader.remarks(self.rows)

    def batch(self, rows: Sequence[int]) -> "tuple[Any, torch.Tensor]":
        """Inputs and labels of these places."""
        if self._held is not None:
            inputs, labels = self._held
            return inputs[list(rows)], labels[list(rows)]
        return self._take(rows)

    def _take(self, rows: Sequence[int]) -> "tuple[Any, torch.Tensor]":
        order = self._loader.order
        batch = self._loader.take([order[row] for row in rows])
        return batch.inputs, batch.labels

    def _encode_all(self) -> "tuple[Any, torch.Tensor] | None":
        """All inputs as one tensor, if they are tensors of one shape and small; texts are padded batch by batch."""
        first, _ = self._take([0])
        if isinstance(first, dict) or first.nbytes * self.rows > HELD_BYTES:
            return None
        return self._take(range(self.rows))
