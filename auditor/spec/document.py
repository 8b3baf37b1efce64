"""The written document: what people may write, as classes; the source of the JSON Schema."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from auditor.spec.model import Context, Policy, ReportSettings, RunSettings, Severity
from auditor.subject import Recipe
from auditor.values import Value

SLUG = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$"
Slug = Annotated[str, Field(pattern=SLUG)]

NOT_YET_MODELS = ("exported", "torchscript")
NOT_YET_DATA = ("huggingface", "torchvision", "factory")


class Written(Value):
    """Base of the written classes: keys that are Python words go by their alias."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)


class Bounds(Written):
    """The long form of an expectation: at_least, at_most, or both (a band)."""

    at_least: float | str | None = Field(None, description="The value must be at least this.")
    at_most: float | str | None = Field(None, description="The value must be at most this.")
    warn_below: float | str | None = Field(None, description="Warn below this; at or above at_least.")
    warn_above: float | str | None = Field(None, description="Warn above this; at or below at_most.")
    why: str = Field("", description="Who asks for it, and why.")
    severity: Severity = Field("error", description="`warn` never fails the audit.")
    versus: Literal["baseline"] | None = Field(None, description="Not in this version: compare with an earlier audit.")
    worse_at_most: float | str | None = Field(None, description="Not in this version: the margin of `versus`.")


class WrittenCheck(Written):
    """One check. An entry whose id is inherited changes that check."""

    id: Slug | None = Field(None, description="Its name in the report; default: the last word of `use`.")
    use: str | None = Field(None, description="The check's name in the catalogue, e.g. task.performance.")
    with_: dict[str, Any] = Field({}, alias="with", description="The check's parameters.")
    model: str | None = Field(None, description="The model that is audited; default: the only one, or defaults.model.")
    data: str | None = Field(None, description="The data set; default: the only one, or defaults.data.")
    against: list[str] = Field([], description="Other models to compare with; default: the one it comes `from`.")
    question: str = Field("", description="The question it answers, in the owner's words.")
    expect: dict[str, Any] = Field({}, description='Expectations by metric, e.g. accuracy: ">= 0.85".')
    after: list[str] = Field([], description="Checks that must pass for this one to pass.")
    skip: str | None = Field(None, min_length=1, description="Leave an inherited check out, with the reason.")


class WrittenWaiver(Written):
    """An accepted shortfall of one metric of one check."""

    check: str = Field(description="The id of the check.")
    metric: str = Field(description="The metric that falls short.")
    of: str = Field("", description="The layer, class or pair that is waived; default: the whole metric.")
    reason: str = Field(min_length=1, description="Why the shortfall is accepted.")
    approved_by: str = Field(min_length=1, description="Who accepts it.")
    expires: str = Field(description="The last day, YYYY-MM-DD. An unreadable date waives nothing.")
    no_worse_than: float | None = Field(None, description="The waiver holds only if the whole interval is no worse.")


class Head(Written):
    """A new head for a fine-tune."""

    classes: int = Field(ge=2)


class WrittenFinetune(Recipe):
    """A fine-tune run by the audit itself: its history feeds traceability and optimizability."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)
    from_: str = Field(alias="from", description="The model that is fine-tuned.")
    data: str = Field(description="The data set it is trained on.")
    validation: str = Field(description="The data set of the validation curve.")
    head: Head | None = Field(  # type: ignore[assignment]  # as written; the recipe's own is the number of classes
        None, description="A new head; left out, the head is kept."
    )


class WrittenTask(Written):
    """One of several tasks that are trained on one trunk."""

    data: str = Field(description="The data set it is trained on.")
    validation: str = Field(description="The data set of its validation curve.")
    head: Head | None = Field(None, description="A new head; left out, it has a copy of the parent's.")
    weight: float = Field(1.0, gt=0, description="The factor of its loss in the sum.")


class WrittenTasks(Recipe):
    """A fine-tune of several tasks at once, each with a head of its own; the first is the model's own task."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)
    from_: str = Field(alias="from", description="The model that is fine-tuned.")
    tasks: dict[Slug, WrittenTask] = Field(min_length=2, description="Two tasks or more, by name.")
    head: None = Field(None, description="Not here: each task has its own.")
    lora: None = Field(None, description="Not with several tasks.")
    stop: None = Field(None, description="Not with several tasks.")


class WrittenHistory(Written):
    """How a model came to be: one of checkpoints, trace and tensorboard, and the model it is said to come from."""

    checkpoints: str | None = Field(
        None, description="Glob of checkpoint files or transformers folders, e.g. ckpt/step-*.safetensors."
    )
    trace: str | None = Field(None, description="A trace that auditor.record wrote while the model was trained.")
    tensorboard: str | None = Field(None, description="An event file of TensorBoard, or the folder that holds some.")
    from_: str | None = Field(None, alias="from", description="The model from which this one is said to come.")


class Defaults(Written):
    """The model and data set of checks that name none, where there are several."""

    model: str | None = None
    data: str | None = None


class Document(Written):
    """The head of a spec, all but models, data, checks and waivers (which are read one by one)."""

    auditor: Literal[1] = Field(description="The version of the spec language.")
    name: Slug = Field(description="Names the run folder: letters, digits, `.`, `_`, `-`.")
    title: str = Field("", description="The title on the cover.")
    version: int | None = Field(None, ge=1, description="The version of a preset.")
    extends: list[str] = Field([], description="Presets (auditor:NAME) or files beside this one; later wins.")
    params: dict[str, Any] = Field({}, description="Values for ${params.NAME}; `-p NAME=VALUE` sets one.")
    context: Context = Field(Context(), description="What the model is for, and who answers for it.")
    defaults: Defaults = Field(Defaults())
    run: RunSettings = Field(RunSettings())
    policy: Policy = Field(Policy())
    report: ReportSettings = Field(ReportSettings())
    baseline: str | None = Field(None, description="Not in this version: an earlier audit's results.json.")
