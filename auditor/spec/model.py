"""The resolved Spec: one closed value, all defaults filled in, all names matched."""

from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from auditor.subject import Recipe
from auditor.values import Value

Severity = Literal["error", "warn"]
Format = Literal["html", "pdf", "json", "junit"]


class Rule(Value):
    """One one-sided expectation (a band is two). Exactly one of at_least and at_most is set.

    warn: the bound of the warning, on the inner side. set_by: "file:line" or "preset@version", with the "-p NAME=VALUE"
    that filled it. inherited: from a preset. replaced: the preset bound that it replaced, e.g. ">= 0.85
    (auditor:vision-classifier@1)"; loosened: it is weaker than that. versus "baseline": non-inferiority with margin
    worse_at_most.
    """

    check: str
    metric: str
    at_least: float | None = None
    at_most: float | None = None
    warn: float | None = None
    versus: Literal["", "baseline"] = ""
    worse_at_most: float | None = None
    severity: Severity = "error"
    why: str = ""
    set_by: str
    inherited: bool = False
    replaced: str = ""
    loosened: bool = False


class CheckEntry(Value):
    """One check of the audit. model and data are names; others: further data sets by parameter name."""

    id: str
    use: str
    params: dict[str, Any] = Field({}, description="The check's parameters, defaults filled in.")
    model: str
    data: str = ""
    others: dict[str, str] = {}
    against: tuple[str, ...] = ()
    question: str = ""
    rules: tuple[Rule, ...] = ()
    after: tuple[str, ...] = ()
    set_by: str = Field("", description="Where the check comes from: file:line, or preset@version.")


class Skipped(Value):
    """A preset's check that the spec leaves out, with the owner's reason."""

    id: str
    use: str
    reason: str
    set_by: str
    metrics: tuple[str, ...] = ()


class Waiver(Value):
    """An accepted shortfall. `expires` stays text: an unreadable date waives nothing."""

    check: str
    metric: str
    of: str = ""
    reason: str
    approved_by: str
    expires: str
    no_worse_than: float | None = None
    set_by: str = ""


class Context(Value):
    """What the model is for, in the owner's words."""

    purpose: str = ""
    out_of_scope: tuple[str, ...] = ()
    owner: str = ""
    reviewers: tuple[str, ...] = ()


class RunSettings(Value):
    """How to run. Threads and batch size "auto" are fixed rules, never free memory."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["float32", "bfloat16"] = "float32"
    seed: int = Field(0, ge=0)
    threads: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    batch_size: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    timeout: float = Field(
        1800.0, gt=0, description="Seconds that one job may take, or `30m`.", json_schema_extra={"unit": "s"}
    )


class Policy(Value):
    """How verdicts are made."""

    confidence: float = Field(0.95, gt=0.5, lt=1)
    multiplicity: Literal["holm"] = "holm"


class ReportSettings(Value):
    """What is written beside results.json."""

    formats: tuple[Format, ...] = ("html", "pdf", "json", "junit")
    language: Literal["en"] = "en"


class TaskEntry(Value):
    """One of several tasks of a fine-tune. head: classes of a new head; null keeps a copy of the parent's."""

    name: str
    train: str
    validation: str
    head: int | None = None
    weight: float = 1.0


class Finetune(Value):
    """A model derived here: `parent` fine-tuned on `train` by the recipe.

    tasks: all tasks that are trained at once, where there are several: the first is the model's own, with `train`,
    `validation` and the recipe's head.
    """

    parent: str
    train: str
    validation: str
    recipe: Recipe
    tasks: tuple[TaskEntry, ...] = ()

    @model_serializer(mode="wrap")
    def _without_the_unused(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What came later is left out while unused: an older audit keeps its identity."""
        return {name: value for name, value in plain(self).items() if value or name != "tasks"}


class ModelEntry(Value):
    """A model of the spec: `source` and its `options`, or a fine-tune of another entry."""

    name: str
    source: Literal["torchvision", "transformers", "factory", "finetune"]
    options: dict[str, Any] = {}
    finetune: Finetune | None = None
    checkpoints: str = Field("", description="Glob of the checkpoints of its history, relative to the root.")
    trace: str = Field("", description="The trace of its training, relative to the root.")
    tensorboard: str = Field("", description="Event file or folder of its training, relative to the root.")
    derived_from: str = Field("", description="The model from which it is said to come (`history: {from: NAME}`).")

    @property
    def parent(self) -> str:
        """The name of the model that it comes from, or is said to come from; "" for none."""
        return self.finetune.parent if self.finetune else self.derived_from

    @property
    def has_history(self) -> bool:
        """Whether it is known how its parameters came to be."""
        return bool(self.finetune or self.checkpoints or self.trace or self.tensorboard)


class DataEntry(Value):
    """A data set of the spec: `source` and its `options`; options hold `sample`, `group`, `label` and the like."""

    name: str
    source: Literal["image_folder", "csv", "jsonl", "parquet", "sklearn", "tensors"]
    options: dict[str, Any] = {}


class Spec(Value):
    """A resolved audit. Its canonical JSON is hashed: that hash is the audit's identity."""

    auditor: Literal[1] = 1
    name: str
    title: str = ""
    presets: tuple[str, ...] = ()
    params: dict[str, Any] = {}
    context: Context = Context()
    models: dict[str, ModelEntry]
    data: dict[str, DataEntry] = {}
    run: RunSettings = RunSettings()
    policy: Policy = Policy()
    checks: tuple[CheckEntry, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    report: ReportSettings = ReportSettings()
