"""Together: what the fine-tunes of several tasks need before they become one run on one trunk."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from auditor.errors import SourceError
from auditor.sources.models.loaded import LANGUAGE, LoadedModel
from auditor.subject import ModelRef, TaskRef

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from auditor.methods.training.joint import Task
    from auditor.methods.training.objective import Objective


@dataclass(frozen=True)
class Prepared:
    """A fine-tune about to begin. model: fresh, its new head drawn from `seed`; frozen: left alone on purpose; data,
    validation: Examples, with remarks()."""

    ref: ModelRef
    model: LoadedModel
    frozen: tuple[str, ...]
    data: Any
    validation: Any
    objective: "Objective"
    seed: int

    @property
    def forward(self) -> "Callable[[Any], torch.Tensor]":
        """What is trained on: a language model's logits at every token, else the outputs of each example."""
        return self.model.token_logits if self.ref.task in LANGUAGE else self.model.logits

    def remarks(self) -> tuple[str, ...]:
        """What both data sets say of themselves."""
        return (*self.data.remarks(), *self.validation.remarks())


def on_one_trunk(ref: ModelRef, parts: Sequence[Prepared]) -> "tuple[Task, ...]":
    """The tasks of a model, once the trunk of the first is that of all.

    Raises SourceError where no head is found, or the models differ in more than their heads.
    """
    from auditor.methods.training.joint import Task, share_trunk

    heads = _heads(ref, parts)
    first = parts[0].model.module
    for task, part in list(zip(ref.tasks, parts, strict=True))[1:]:
        try:
            share_trunk(first, part.model.module, heads)
        except ValueError as error:
            raise _unlike(ref, task, str(error)) from error
    return tuple(
        Task(task.name, part.model.module, part.forward, part.data, part.validation, part.objective, task.weight,
             part.seed)
        for task, part in zip(ref.tasks, parts, strict=True)
    )  # fmt: skip


def _heads(ref: ModelRef, parts: Sequence[Prepared]) -> tuple[str, ...]:
    """The dotted names of the layers that each task has of its own."""
    from auditor.sources.models.head import heads_of

    try:
        found = [heads_of(part.model.module, part.ref.outputs, part.ref.name) for part in parts]
    except SourceError as error:
        hint = "a head is the last linear layer, or 1 x 1 convolution, with as many outputs as the task has"
        raise SourceError(error.message, hint, ("models", ref.name, "finetune", "tasks")) from error
    for task, heads in zip(ref.tasks, found, strict=True):
        if heads != found[0]:
            raise _unlike(ref, task, f"its head is {', '.join(heads)}, that of the first task {', '.join(found[0])}")
    return found[0]


def _unlike(ref: ModelRef, task: TaskRef, how: str) -> SourceError:
    place = f"models.{ref.name}.finetune.tasks.{task.name}"
    return SourceError(
        f"{place}: the model of this task has another trunk than that of {ref.tasks[0].name!r}: {how}",
        hint="tasks share all but their heads; give each a new head: `head: {classes: N}`",
        where=("models", ref.name, "finetune", "tasks", task.name),
    )
