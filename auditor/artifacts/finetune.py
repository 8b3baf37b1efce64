"""FineTune: one recorded run of a model's recipe from one seed; a seed is trained once, whoever asks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.artifacts.roots import Batches, build_parent
from auditor.artifacts.together import Prepared, on_one_trunk
from auditor.errors import SourceError
from auditor.methods.training.record import Run
from auditor.needs import Cost, Derived, Live, Need, Tell
from auditor.sources.data.batch import BatchLoader
from auditor.sources.encode import Texts
from auditor.sources.models.loaded import LANGUAGE, LoadedModel, ready
from auditor.subject import DataRef, Lora, ModelRef, Recipe, Runtime

if TYPE_CHECKING:
    import torch

    from auditor.methods.training.objective import Objective
    from auditor.methods.training.recipe import Settings

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
            module = build_parent(self.ref, self.root, self.device)
            recipe = parts(self.ref)[0]
            if recipe.lora is not None:
                _adapt(module, self.ref, recipe.lora)
            return ready(self.ref, module, self.device)


def _adapt(module: "torch.nn.Module", ref: ModelRef, lora: Lora) -> None:
    """Adapters in the layers that the recipe names; a new head is trained whole."""
    from auditor.methods.training.adapters import adapt
    from auditor.sources.models.head import heads_of

    head = () if parts(ref)[0].head is None else heads_of(module, ref.outputs, ref.name)
    adapt(module, lora.rank, lora.alpha, lora.targets, head, ref.name)


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

    version: ClassVar[int] = 5
    artifact: ClassVar[type] = Run
    ref: ModelRef
    seed: int
    runtime: Runtime

    @property
    def title(self) -> str:
        """Model and seed."""
        return f"fine-tune {self.ref.name}, seed {self.seed}"

    def needs(self) -> Mapping[str, Need[Any]]:
        """The starting point, and both data sets as the model takes them; of each task where there are several."""
        return {f"{before}{name}": need for before, ref in self._trained().items()
                for name, need in _inputs(ref, self.runtime).items()}  # fmt: skip

    def cost(self) -> Cost:
        """The recipe's steps, of each task."""
        return Cost(training_steps=parts(self.ref)[0].steps * len(self._trained()))

    def build(self, *args: Any, progress: Tell | None = None, scratch: Path | None = None, **upstream: Any) -> Run:
        """Train on a fresh module; nothing shared is changed. A killed run goes on from what lies in `scratch`."""
        from auditor.methods.training.joint import train_jointly
        from auditor.methods.training.scratch import Scratch
        from auditor.methods.training.train import train

        recipe, _, _ = parts(self.ref)
        found = [self._prepared(ref, before, upstream) for before, ref in self._trained().items()]
        first = found[0]
        reduced, said = _reduced(self.runtime)
        tell = progress or (lambda done, total, said="": None)
        how: dict[str, Any] = {
            "eval_batch": EVALUATED * self.runtime.batch_size, "frozen": first.frozen,
            "scratch": Scratch(scratch) if scratch else None,
            "on_step": lambda step, how: tell(step, recipe.steps, how),
        }  # fmt: skip
        settings = _settings(recipe, reduced)
        if self.ref.tasks:
            run = train_jointly(
                on_one_trunk(self.ref, found), settings, self.draw_seed(self.runtime.seed), **how
            )  # fmt: skip
        else:
            run = train(first.model.module, first.forward, first.data, first.validation, settings, first.seed,
                        objective=first.objective, **how)  # fmt: skip
        remarks = (*(each for part in found for each in part.remarks()), *_told(self.ref, run), *said, *run.remarks)
        return replace(run, remarks=tuple(dict.fromkeys(remarks)))

    def _trained(self) -> dict[str, ModelRef]:
        """What is trained, by the beginning of its needs' names: this model, or that of each task."""
        return {f"{task.name}/": task.model for task in self.ref.tasks} or {"": self.ref}

    def _prepared(self, ref: ModelRef, before: str, upstream: Mapping[str, Any]) -> Prepared:
        """A task is prepared as if it were trained alone, so that both runs differ in nothing else."""
        seed = FineTune(ref, self.seed, self.runtime).draw_seed(self.runtime.seed)
        model: LoadedModel = upstream[f"{before}start"].fresh(seed)
        train, validation = upstream[f"{before}train"], upstream[f"{before}validation"]
        frozen, objective = _frozen(model.module, ref), _objective(ref, train)
        return Prepared(ref, model, frozen, Rows(train), Rows(validation), objective, seed)


def _inputs(ref: ModelRef, runtime: Runtime) -> dict[str, Need[Any]]:
    _, train, validation = parts(ref)
    data = {"train": train, "validation": validation}
    return {"start": Start(ref, runtime), **{name: Batches(ref, each, runtime) for name, each in data.items()}}


def _settings(recipe: Recipe, reduced: bool) -> "Settings":
    from auditor.methods.training.recipe import Settings

    stop = recipe.stop
    plain = recipe.model_dump(exclude={"seeds", "head", "freeze", "lora", "stop"})
    patience, min_delta = (stop.patience, stop.min_delta) if stop else (None, 0.0)
    return Settings(**plain, patience=patience, min_delta=min_delta, reduced=reduced)


def _frozen(module: "torch.nn.Module", ref: ModelRef) -> tuple[str, ...]:
    """Freeze what the recipe names; the parameters left alone on purpose, those beside adapters among them."""
    from auditor.methods.training.adapters import plain_name
    from auditor.methods.training.frozen import freeze

    recipe, _, _ = parts(ref)
    beside = [name for name, each in module.named_parameters() if recipe.lora and not each.requires_grad]
    return tuple(plain_name(name) for name in (*beside, *freeze(module, recipe.freeze, ref.name)))


def _objective(ref: ModelRef, loader: BatchLoader) -> "Objective":
    from auditor.methods.training import objective

    encoder: Any = loader.encoder
    match ref.task:
        case "causal_lm":
            return objective.next_tokens(ref.outputs)
        case "masked_lm":
            return objective.hidden_tokens(ref.outputs, encoder.mask_id, tuple(encoder.special_ids))
        case "regression":
            return objective.squares()
        case _:
            return objective.CLASSIFICATION


def _reduced(runtime: Runtime) -> tuple[bool, tuple[str, ...]]:
    """Whether forwards of training steps run in bfloat16, and what to say where it was asked for in vain."""
    import torch

    if runtime.precision != "bfloat16":
        return False, ()
    if runtime.device.startswith("cuda") and torch.cuda.is_bf16_supported(including_emulation=False):
        return True, ("Training steps ran forward in bfloat16; weights, gradients and losses are float32.",)
    return False, (f"`precision: bfloat16` was not used to train: {runtime.device} has no such arithmetic for it.",)


def _told(ref: ModelRef, run: Run) -> tuple[str, ...]:
    """What the recipe and the task mean for the numbers."""
    count, recipe = len(run.frozen), parts(ref)[0]
    said = {
        f"`momentum` was not used: it is that of SGD, and the optimizer is {recipe.optimizer}.":
            recipe.momentum > 0 and recipe.optimizer != "sgd",
        f"The learning rate never reached `lr`: the warm-up of {recipe.warmup} steps is as long as the run or longer.":
            recipe.warmup >= recipe.steps,
        f"Batches hold {run.batch_size} rows, all that there are, not {recipe.batch_size}.":
            run.batch_size < recipe.batch_size,
        "Losses are mean squared errors, in squared units of the label, not nats.": ref.task == "regression",
        "Losses are means over tokens.": ref.task in LANGUAGE,
        f"{count} of {len(run.changes.tensors)} tensors were left alone on purpose.": count > 0,
    }  # fmt: skip
    return tuple(sentence for sentence, holds in said.items() if holds)


def parts(ref: ModelRef) -> tuple[Recipe, DataRef, DataRef]:
    """Recipe, training and validation data of a fine-tuned model; SourceError for one that cannot be trained here."""
    if ref.recipe is None or ref.train is None or ref.validation is None:
        raise SourceError(f"models.{ref.name}: expected a fine-tune with its data, found source {ref.source!r}")
    if ref.task == "encoder":
        raise SourceError(
            f"models.{ref.name}: an encoder has no outputs to train",
            hint="give it a head: `head: {classes: N}`",
            where=("models", ref.name, "finetune"),
        )
    return ref.recipe, ref.train, ref.validation


class Rows:
    """A loader's examples by place in its seeded order, as the trainer asks for them."""

    def __init__(self, loader: BatchLoader) -> None:
        self._loader = _whole(loader)
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


def _whole(loader: BatchLoader) -> BatchLoader:
    """The loader as a trainer reads it: texts of a language model as they are, without the place that is asked."""
    encoder = loader.encoder
    if isinstance(encoder, Texts) and encoder.is_language_model:
        return replace(loader, encoder=replace(encoder, task="encoder"))
    return loader
