"""Tasks: the runs of several tasks on one trunk, beside those of each task alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.artifacts.curves import seed_curves
from auditor.artifacts.trajectory import Trajectories, Trajectory
from auditor.blocks import MAX_ROWS, AnyBlock, Table
from auditor.errors import NotApplicable
from auditor.methods.training.record import Joint
from auditor.needs import Derived, Need
from auditor.subject import ModelRef, Runtime

if TYPE_CHECKING:
    from auditor.methods.training.tasks import Curve

SHOWN = 6


@dataclass(frozen=True)
class Tasks:
    """names: the tasks, the model's own first. together: their runs on one trunk, by seed; alone: those of each task in
    the order of names, with the same seeds."""

    names: tuple[str, ...]
    together: Trajectory
    alone: tuple[Trajectory, ...]

    def joints(self) -> tuple[Joint, ...]:
        """What all tasks did, by seed. NotApplicable where they share nothing that is trained."""
        found = tuple(run.joint for run in self.together.runs if run.joint is not None)
        if not all(joint.shared for joint in found):
            raise NotApplicable("the tasks share no parameter that is trained: the trunk is frozen")
        return found

    def notes(self) -> tuple[str, ...]:
        """What the runs say of themselves, and which of them it was."""
        said = [f"Together: {note}" for note in self.together.notes()]
        for name, alone in zip(self.names, self.alone, strict=True):
            said += [f"{name} alone: {note}" for note in alone.notes()]
        return tuple(said)


@dataclass(frozen=True)
class TasksOf(Derived[Tasks]):
    """The runs of a model of several tasks, and of each task alone by the same recipe."""

    stored: ClassVar[bool] = False
    tensors: ClassVar[bool] = False
    artifact: ClassVar[type] = Tasks
    ref: ModelRef
    runtime: Runtime

    @property
    def title(self) -> str:
        """Whose tasks."""
        return f"tasks of {self.ref.name}, together and alone"

    def needs(self) -> Mapping[str, Need[Any]]:
        """The records of the model, and of each task's own fine-tune."""
        alone = {f"{task.name}/alone": Trajectories(task.model, self.runtime) for task in self.ref.tasks}
        return {"together": Trajectories(self.ref, self.runtime), **alone}

    def build(self, *args: Any, **upstream: Any) -> Tasks:
        """Gather them."""
        names = tuple(task.name for task in self.ref.tasks)
        return Tasks(names, upstream["together"], tuple(upstream[f"{name}/alone"] for name in names))


def pairs_of(names: Sequence[str]) -> tuple[str, ...]:
    """The pairs of tasks in the order of Joint.cosine.

    >>> pairs_of(["a", "b", "c"])
    ('a, b', 'a, c', 'b, c')
    """
    return tuple(f"{one}, {other}" for one, other in combinations(names, 2))


def cosine_curves(joints: Sequence[Joint], pairs: Sequence[str]) -> tuple[AnyBlock, ...]:
    """The cosine of each pair at each record; none where no record has one."""
    import numpy as np

    series = {pair: [(joint.steps, joint.cosine[:, place]) for joint in joints]
              for place, pair in enumerate(pairs)
              if any(np.isfinite(joint.cosine[:, place]).any() for joint in joints)}  # fmt: skip
    reading = (
        "1: the tasks want the same step of the trunk; 0: they do not meet; below 0: a step for one undoes part of the "
        "other's."
    )
    shown = dict(list(series.items())[:SHOWN])
    title = "Cosine of the tasks' gradients on the trunk"
    return (seed_curves(title, "cosine", shown, reading),) if shown else ()


def task_curves(found: Tasks, joints: Sequence[Joint]) -> tuple[AnyBlock, ...]:
    """How each task learns together and alone: a figure a task."""
    from auditor.methods.training.tasks import end_of, seen_of

    blocks = []
    reading = "On the same validation examples, in evaluation mode, after as many of the task's own batches."
    for place, name in list(enumerate(found.names))[:SHOWN]:
        together = [joint.tasks[place] for joint in joints]
        both: list[Curve] = [*together, *found.alone[place].runs]
        if any(end_of(curve) is None for curve in both):
            continue
        steps = [run.record_steps for run in found.together.runs]
        series = {
            "together": list(zip(steps, map(seen_of, together), strict=True)),
            "alone": [(run.record_steps, seen_of(run)) for run in found.alone[place].runs],
        }
        what = _measure(together[0])
        blocks.append(seed_curves(f"{name}: {what} together and alone", what, series, reading))
    return tuple(blocks)


def task_table(found: Tasks, joints: Sequence[Joint]) -> Table:
    """One row a task: where it ends together and alone, the means over the seeds."""
    rows = []
    for place, name in enumerate(found.names):
        together = [joint.tasks[place] for joint in joints]
        ends = _mean(together), _mean(found.alone[place].runs)
        rows.append((name, _measure(together[0]), together[0].weight, *ends, together[0].validation_rows))
    return Table(
        title="Each task at the end", rows=tuple(rows[:MAX_ROWS]), more=max(0, len(rows) - MAX_ROWS),
        columns=("task", "measure", "weight", "together", "alone", "validation examples"),
        reading="Means over the seeds. The first task is the one that other checks audit the model on.",
    )  # fmt: skip


def _measure(curve: "Curve") -> str:
    return "loss" if curve.accuracy() is None else "accuracy"


def _mean(curves: "Sequence[Curve]") -> float | None:
    from statistics import fmean

    from auditor.methods.training.tasks import end_of

    ends = [end for curve in curves if (end := end_of(curve)) is not None]
    return round(fmean(ends), 4) if len(ends) == len(curves) else None
