"""Several tasks on one trunk: each task's own fine-tune described, and the model that is trained on all at once."""

from __future__ import annotations

from collections.abc import Mapping

from auditor.errors import SourceError
from auditor.sources.digest import seal_model
from auditor.sources.models.finetune import describe_finetune
from auditor.spec.model import Finetune, ModelEntry, TaskEntry
from auditor.subject import DataRef, ModelRef, TaskRef

_OF_A_TASK = ("head", "validation")


def describe_joint(entry: ModelEntry, parent: ModelRef, data: Mapping[str, DataRef]) -> ModelRef:
    """The model of the first task, trained together with the others; `tasks` has the fine-tune of each alone.

    Each is described as if the spec had a fine-tune of it, so one that the spec does have is the same run.
    Raises SourceError where a task could not be fine-tuned alone, takes other inputs than the parent, or has no head.
    """
    tune = entry.finetune
    if tune is None or not tune.tasks:
        raise ValueError(f"model entry {entry.name!r} has no tasks")
    if parent.task in ("causal_lm", "masked_lm"):
        raise SourceError(
            f"models.{entry.name}.finetune.tasks: {parent.name!r} is a language model, with one head for all texts",
            hint="save its trunk as an encoder, and give each task a head",
            where=("models", entry.name, "finetune", "tasks"),
        )
    tasks = tuple(
        TaskRef(name=task.name, weight=task.weight, model=_alone(entry.name, tune, task, parent, data))
        for task in tune.tasks
    )
    joint = tasks[0].model.model_copy(update={"name": entry.name, "entry": entry.to_json(), "tasks": tasks})
    return seal_model(joint)


def _alone(name: str, tune: Finetune, task: TaskEntry, parent: ModelRef, data: Mapping[str, DataRef]) -> ModelRef:
    """The fine-tune of one task by the same recipe."""
    train, validation = data[task.train], data[task.validation]
    for key, each in (("data", train), ("validation", validation)):
        if each.modality != parent.modality:
            raise SourceError(
                f"models.{name}.finetune.tasks.{task.name}.{key}: data.{each.name} holds {each.modality} data, but "
                f"{parent.name!r} takes {parent.modality}",
                hint="tasks share a trunk, so all take the same kind of input",
                where=("models", name, "finetune", "tasks", task.name, key),
            )
    recipe = tune.recipe.model_copy(update={"head": task.head})
    alone = Finetune(parent=tune.parent, train=task.train, validation=task.validation, recipe=recipe)
    try:
        ref = describe_finetune(ModelEntry(name=name, source="finetune", finetune=alone), parent, train, validation)
    except SourceError as error:
        raise _placed(error, name, task.name) from error
    return ref.model_copy(update={"name": f"{name}.{task.name}"})


def _placed(error: SourceError, name: str, task: str) -> SourceError:
    """The error of a task's own fine-tune at the task's place in the spec."""
    place = f"models.{name}.finetune"
    message = error.message.replace(place, f"{place}.tasks.{task}", 1)
    if len(error.where) < 4 or error.where[3] not in _OF_A_TASK:
        return SourceError(error.message if "from" in error.where else message, error.hint, error.where)
    return SourceError(message, error.hint, (*error.where[:3], "tasks", task, *error.where[3:]))
