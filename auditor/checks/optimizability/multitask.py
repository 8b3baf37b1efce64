"""Do several tasks on one trunk help or hinder each other?"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from auditor.artifacts.multitask import Tasks, TasksOf, cosine_curves, pairs_of, task_curves, task_table
from auditor.check import About, Check, Pillar
from auditor.evidence import Evidence, Measurement, Metric
from auditor.needs import Need
from auditor.subject import Subject

TASKS = (
    "models: {NAME: {finetune: {from: MODEL, tasks: {A: {data: TRAIN, validation: EVAL, head: {classes: N}}, "
    "B: {...}}, steps: 200, seeds: 5}}}"
)

ENOUGH = 30
"""Validation examples without which no gap is decided, as verdicts have it of examples."""


class Multitask(Check):
    """Whether several tasks on one trunk help or hinder each other.

    Figure: the cosine of the tasks' gradients at each record, and each task's curve together and alone.
    """

    pillar: ClassVar[Pillar] = "optimizability"
    about: ClassVar[About] = About(
        title="Several tasks on one trunk",
        question="Do several tasks on one trunk help or hinder each other?",
        formula=(
            "gradient_conflict = share of records with g_a . g_b < 0, g the gradients of two tasks' batches on the "
            "trunk; task_gap = accuracy alone - accuracy together, or loss together - loss alone"
        ),
        method=(
            "The audit trains all tasks at once, one batch of each a step, on the weighted sum of their mean losses, "
            "and each task alone by the same recipe. The trunk is all that the tasks share and train: everything but "
            "the heads. At each record the gradients of the step's batches are compared there. Together and alone a "
            "task begins with the same head, sees the same batches in the same order, makes the same number of steps, "
            "and is asked on the same validation examples, so gaps are differences of pairs, one a seed, with "
            "Student's interval over the seeds."
        ),
        reading=(
            "A gap near zero: the tasks get along, and one model does the work of several. A gap well above zero: the "
            "task pays for the company of the others; below zero: it profits. Tasks that have nothing to do with each "
            "other conflict at about half of the records, with cosines near 0; well above half, with cosines clearly "
            "below 0, they pull apart."
        ),
        limits=(
            "Gradients of batches are noisy: small batches draw cosines towards 0, and the share of conflicts towards "
            "a half. Conflicts do not have to cost anything, since heads and trunk can make room for both tasks. The "
            "gap is that of this recipe and this number of steps. Training together takes as many times the work of a "
            "step as there are tasks, and a weight scales a task's gradient together, never alone. Normalization "
            "statistics are those of all tasks' batches. Validation examples are the same for all seeds: what other "
            "examples would give is not in the interval. A single seed, or fewer than 30 of them, decide nothing."
        ),
        citation="Yu et al., Gradient Surgery for Multi-Task Learning, NeurIPS 2020; Standley et al., Which Tasks "
        "Should Be Learned Together in Multi-task Learning?, ICML 2020.",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            name="gradient_conflict", better="down", interval="t", resampling="seed",
            doc="Share of records at which the gradients of two tasks on the trunk have a negative cosine.",
            what_to_try="Leave the tasks that pull apart to models of their own, weigh their losses, or project "
            "conflicting gradients (PCGrad).",
        ),
        Metric(
            name="task_gap", better="down", interval="t", resampling="seed",
            doc="How much worse a task ends together with the others than alone: accuracy lost or, without classes, "
            "mean squared error gained.",
            what_to_try="Give the task more weight, train longer, or train it alone.",
        ),
    )  # fmt: skip

    def applies(self, subject: Subject) -> str | None:
        """Fine-tunes of several tasks."""
        if subject.model.tasks:
            return None
        return f"the model has one task; train several on one trunk: {TASKS}"

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """The runs of all tasks together, and of each alone."""
        return {"found": TasksOf(subject.model, subject.runtime)}

    def measure(self, *, found: Tasks) -> Evidence:
        """Conflicts of each pair and gaps of each task, over the seeds."""
        joints = found.joints()
        measured, notes = list[Measurement](), list[str]()
        for one, note in (*self._conflicts(found), *self._gaps(found)):
            measured += [one] if one else []
            notes += [note] if note else []
        pairs = pairs_of(found.names)
        return Evidence(
            measurements=found.together.bounded(measured),
            blocks=(task_table(found, joints), *cosine_curves(joints, pairs), *task_curves(found, joints)),
            notes=(*notes, *found.notes()),
        )

    def _conflicts(self, found: Tasks) -> Iterator[tuple[Measurement | None, str]]:
        """Of each pair of tasks, with what a reader must know of it."""
        from auditor.methods.training.tasks import conflicts

        joints = found.joints()
        for place, pair in enumerate(pairs_of(found.names)):
            shares, left = conflicts(joints, place)
            if len(shares) < len(joints):
                yield None, f"gradient_conflict of {pair} was not measured: a seed has no record with both gradients."
                continue
            note = f"{pair}: {left} records have no cosine, since a gradient is zero." if left else ""
            yield self.averaged("gradient_conflict", shares, of=pair), note

    def _gaps(self, found: Tasks) -> Iterator[tuple[Measurement | None, str]]:
        """Of each task. A run alone that diverged ends worse than it would have, so its gap is decided by nothing; nor
        is a gap on fewer examples than a verdict takes, which the seeds, all asked on the same ones, do not replace."""
        from auditor.methods.training.tasks import gaps

        joints = found.joints()
        for place, (name, alone) in enumerate(zip(found.names, found.alone, strict=True)):
            together = [joint.tasks[place] for joint in joints]
            each = gaps(alone.runs, together)
            if each is None:
                yield None, f"task_gap of {name} was not measured: a run never had a finite loss."
                continue
            one, rows = self.averaged("task_gap", each, of=name), together[0].validation_rows
            lost = any(run.diverged for run in alone.runs)
            few = f"task_gap of {name}: {rows} validation examples are too few; {ENOUGH} are needed."
            yield (one.undecided() if lost or rows < ENOUGH else one), few if rows < ENOUGH else ""
