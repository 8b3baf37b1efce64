"""Subject: what one check audits (a model, data, other models, a history), described without torch."""

from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, field_serializer, model_serializer

from auditor.values import Value

Modality = Literal["image", "text", "tabular"]
Task = Literal["classification", "regression", "causal_lm", "masked_lm", "encoder"]
Trust = Literal["data", "restricted", "code"]
Holding = Literal["weights", "changes", "losses", "gradients", "learning_rates", "validation"]

UNLABELLED = -1
"""The label of every row of data without labels."""


class Runtime(Value):
    """All of the run that can change a number; part of every content address."""

    device: str = "cpu"
    precision: Literal["float32", "bfloat16"] = "float32"
    threads: int = 1
    batch_size: int = 32
    seed: int = 0
    packages: dict[str, str] = {}


class Digested(Value):
    """A value that stands in content addresses as its class and `digest`, which covers all that can change a number."""

    digest: str


class FileRef(Value):
    """A file inside the root: its path as the spec names it, its size and sha256, checked again at load."""

    path: str
    sha256: str
    size: int = Field(ge=0)


class DataRef(Digested):
    """A data set, described: `entry` is the resolved spec entry of `source`, `rows` all rows, `used` after sampling.

    classes: class names in the order of the model's head indices once matched; counts: used rows by class.
    labels: label as found in the data -> index in the head (the table that the report shows).
    labelled: False for data without labels, whose label is -1 in every row. columns: names of a table's inputs.
    digest: over the files' sha256, the source and the entry (sampling included).
    """

    name: str
    source: str
    entry: dict[str, Any]
    files: tuple[FileRef, ...] = ()
    modality: Modality
    task: Task = "classification"
    rows: int = Field(ge=0)
    used: int = Field(ge=0)
    classes: tuple[str, ...] = ()
    counts: dict[str, int] = {}
    labels: dict[str, int] = {}
    grouped: bool = False
    labelled: bool = True
    columns: tuple[str, ...] = ()
    corrupt: int = Field(0, description="Rows known to be unreadable when described.")


Globs = tuple[Annotated[str, Field(min_length=1)], ...]


class Lora(Value):
    """Low-rank adapters, by peft: W + (alpha / rank) B A in the layers that the globs name; all else is left alone."""

    rank: int = Field(8, ge=1)
    alpha: float = Field(16, gt=0)
    targets: Globs = Field(min_length=1, description="Globs of the names of linear layers, e.g. *.query.")


class Stop(Value):
    """Stop after `patience` records whose validation losses are none more than min_delta below the lowest before."""

    patience: int = Field(5, ge=1)
    min_delta: float = Field(0.0, ge=0)


class Recipe(Value):
    """How the audit fine-tunes a model; `steps` optimizer steps of `batch_size` examples, for each of `seeds` seeds."""

    optimizer: Literal["sgd", "adam", "adamw"] = "adamw"
    lr: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    momentum: float = Field(0.0, ge=0, lt=1)
    schedule: Literal["constant", "cosine", "linear"] = "constant"
    warmup: int = Field(0, ge=0, description="Steps of linear warm-up.")
    clip: float | None = Field(None, gt=0, description="Largest gradient norm; null leaves gradients alone.")
    steps: int = Field(200, ge=1, le=1_000_000)
    batch_size: int = Field(32, ge=1)
    micro_batch: int | None = Field(
        None, ge=1, description="Examples whose gradient is taken at once; null: the batch, or what memory allows."
    )
    seeds: int = Field(5, ge=1, le=100)
    record_every: int = Field(5, ge=1)
    keep: int = Field(8, ge=1, le=64, description="Checkpoints kept, evenly spaced, plus the last.")
    head: int | None = Field(None, ge=2, description="Classes of a new head; null keeps the head.")
    validation_rows: int = Field(512, ge=1, description="At most this many validation rows at each record.")
    freeze: Globs = Field((), description="Globs of the names of parameters that are left alone on purpose.")
    lora: Lora | None = Field(None, description="Train low-rank adapters instead of the weights.")
    stop: Stop | None = Field(None, description="Stop early when the validation loss no longer falls.")

    @model_serializer(mode="wrap")
    def _without_the_unused(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Options that came later are left out while unused: a recipe keeps its digest, and the seeds drawn from it."""
        later = ("micro_batch", "freeze", "lora", "stop")
        return {name: value for name, value in plain(self).items() if value or name not in later}


class History(Value):
    """How a model came to be, as far as it is known: a fine-tune run here, checkpoints on disk, or a record of a run.

    remarks: what a reader must know of how it was read.
    """

    source: Literal["finetune", "checkpoints", "trace", "tensorboard"]
    holds: frozenset[Holding]
    seeds: int = 1
    steps: tuple[int, ...] = Field((), description="Steps of the checkpoints, or of a trace's weight snapshots.")
    files: tuple[FileRef, ...] = Field((), description="The files of all steps, in the order of the steps.")
    shards: tuple[int, ...] = Field((), description="How many of the files each step has; empty for one each.")
    record: tuple[FileRef, ...] = Field((), description="The trace, or the event files.")
    adapters: bool = Field(False, description="The checkpoints hold adapters (LoRA) alone.")
    remarks: tuple[str, ...] = ()

    def at(self, step: int) -> tuple[FileRef, ...]:
        """The files of a step. ValueError for a step without any."""
        place = self.steps.index(step)
        counts = self.shards or (1,) * len(self.steps)
        start = sum(counts[:place])
        return self.files[start : start + counts[place]]

    @field_serializer("holds")
    def _in_order(self, holds: frozenset[Holding]) -> list[str]:
        return sorted(holds)  # a set's own order differs from process to process


class ModelRef(Digested):
    """A model, described: files with digests, head, preprocessing, and what had to be assumed.

    `entry` is the resolved spec entry. `preprocess` is the declarative list of input steps that sources/ applies.
    parameters: as files tell before anything is built; 0 where none does; a fine-tune's are its parent's.
    For a fine-tune (source "finetune"): `parent`, `recipe`, `train` and `validation` are set. tasks: all that
    are trained at once, where there are several; the first is the model's own, which all else here describes.
    digest: over the files' sha256, the source, the entry, the preprocessing and, for a fine-tune, parent, recipe, data.
    """

    name: str
    source: str
    entry: dict[str, Any]
    files: tuple[FileRef, ...] = ()
    trust: Trust = "data"
    architecture: str
    modality: Modality
    task: Task = "classification"
    parameters: int = Field(0, ge=0)
    outputs: int = Field(0, ge=0)
    classes: tuple[str, ...] = ()
    preprocess: dict[str, Any] = {}
    assumptions: tuple[str, ...] = ()
    history: History | None = None
    parent: "ModelRef | None" = None
    recipe: Recipe | None = None
    train: DataRef | None = None
    validation: DataRef | None = None
    tasks: tuple["TaskRef", ...] = ()


class TaskRef(Value):
    """One of several tasks that a fine-tune trains at once; model: the fine-tune of it alone, by the same recipe."""

    name: str
    weight: float
    model: ModelRef


class Subject(Value):
    """What one check looks at. `others`: further data sets by parameter name (`train`, `ood`)."""

    model: ModelRef
    data: DataRef | None = None
    others: dict[str, DataRef] = {}
    against: tuple[ModelRef, ...] = ()
    runtime: Runtime = Runtime()

    def is_no_labelled_classifier(self) -> str | None:
        """Why no class can be compared with a label, or None: for what a check's applies() says."""
        if self.model.task != "classification":
            return f"the model's task is {self.model.task}"
        return self.lacks_labels()

    def lacks_labels(self) -> str | None:
        """Why nothing can be compared with labels, or None: for what a check's applies() says."""
        if self.data is None or self.data.labelled:
            return None
        return f"it needs labels, and data.{self.data.name} has none (name their column: `label: ...`)"

    @property
    def history(self) -> History | None:
        """The model's own history."""
        return self.model.history
