"""optimizability.multitask: made-up runs with known gaps and conflicts, and runs of which nothing can be said."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from histories import run

from auditor.artifacts.multitask import Tasks
from auditor.artifacts.trajectory import Trajectory
from auditor.checks.optimizability.multitask import Multitask
from auditor.errors import NotApplicable
from auditor.evidence import Evidence, Measurement, Moments
from auditor.methods.training.record import Joint, Run, TaskCurve
from auditor.report.figures import draw
from auditor.subject import ModelRef, Subject


def curve(name: str, last: int | None, loss: float = 0.5, weight: float = 1.0) -> TaskCurve:
    """A task that ends with so many right answers of 100, or without classes."""
    correct = np.array([] if last is None else [50, 70, last], dtype=np.int64)
    return TaskCurve(name, weight, np.full(20, 1.0), np.array([2.0, 1.0, loss]), correct, 100)


def together(right: dict[str, int | None], cosine: Any = (0.5, -0.1), shared: int = 10, **given: Any) -> Run:
    cosines = np.array(cosine, dtype=float).reshape(2, -1)
    tasks = tuple(curve(name, last) for name, last in right.items())
    made = Joint(tasks, shared, np.array([10, 20]), cosines, np.ones((2, len(tasks))))
    return run(joint=made, **given)


def alone(last: int, **given: Any) -> Run:
    return run(validation_correct=np.array([50, 70, last]), **given)


def trajectory(*runs: Run) -> Trajectory:
    return Trajectory("finetune", tuple(one.changes for one in runs), runs)


def measured(joint: list[Run], **singles: list[Run]) -> Evidence:
    names = tuple(singles)
    return Multitask().measure(
        found=Tasks(names, trajectory(*joint), tuple(trajectory(*one) for one in singles.values()))
    )


def of(evidence: Evidence, name: str, task: str) -> Measurement:
    return next(one for one in evidence.measurements if (one.name, one.of) == (name, task))


def test_known_runs_give_known_numbers() -> None:
    joint = [together({"a": 90, "b": 80}), together({"a": 88, "b": 80}, cosine=(-0.2, -0.1))]
    found = measured(joint, a=[alone(91), alone(92)], b=[alone(90), alone(80)])
    gap, conflict = of(found, "task_gap", "a"), of(found, "gradient_conflict", "a, b")
    assert isinstance(gap.distribution, Moments) and gap.unit_of_resampling == "seed"
    assert gap.distribution.mean == pytest.approx((0.01 + 0.04) / 2)
    assert gap.distribution.sd == pytest.approx(0.03 / np.sqrt(2)), "seeds are paired"
    assert of(found, "task_gap", "b").value == pytest.approx(0.05)
    assert conflict.value == pytest.approx((0.5 + 1.0) / 2) and conflict.n == 2
    assert [row[:2] for row in found.blocks[0].rows] == [("a", "accuracy"), ("b", "accuracy")]  # type: ignore[union-attr]
    assert [each.title for each in found.blocks[1:]] == [
        "Cosine of the tasks' gradients on the trunk",
        "a: accuracy together and alone",
        "b: accuracy together and alone",
    ]  # fmt: skip
    assert all(draw(block) for block in found.blocks[1:])


def test_without_classes_a_gap_is_loss_gained() -> None:
    joint = [together({"a": None, "b": 80})]
    single = run(validation=[2.0, 1.0, 0.2], validation_correct=np.array([], dtype=int))
    found = measured(joint, a=[single], b=[alone(80)])
    assert of(found, "task_gap", "a").value == pytest.approx(0.3)
    assert of(found, "task_gap", "a").kind == "unreplicated", "a single seed decides nothing"


def test_three_tasks_have_three_pairs() -> None:
    cosine = [[0.1, -0.1, 0.2], [0.1, -0.3, -0.2]]
    joint = [together({"a": 90, "b": 90, "c": 90}, cosine=cosine)]
    found = measured(joint, a=[alone(90)], b=[alone(90)], c=[alone(90)])
    shares = {one.of: one.value for one in found.measurements if one.name == "gradient_conflict"}
    assert shares == {"a, b": 0, "a, c": 1, "b, c": 0.5}


def test_records_without_a_cosine_are_left_out_and_said() -> None:
    joint = [together({"a": 90, "b": 80}, cosine=(np.nan, -0.1))]
    found = measured(joint, a=[alone(90)], b=[alone(80)])
    assert of(found, "gradient_conflict", "a, b").value == 1
    assert "a, b: 1 records have no cosine, since a gradient is zero." in found.notes
    none = measured([together({"a": 90, "b": 80}, cosine=(np.nan, np.nan))], a=[alone(90)], b=[alone(80)])
    assert {one.name for one in none.measurements} == {"task_gap"}
    assert any("gradient_conflict of a, b was not measured" in note for note in none.notes)
    assert not any("Cosine" in block.title for block in none.blocks)


def test_a_run_together_that_diverged_can_fail_and_never_pass() -> None:
    lost = together({"a": 90, "b": 80}, diverged_at=20)
    found = measured([lost, lost], a=[alone(90)] * 2, b=[alone(80)] * 2)
    assert all(one.censored for one in found.measurements)
    assert "Together: 2 of 2 runs diverged: seed 1 at step 20, seed 2 at step 20." in found.notes


def test_a_run_alone_that_diverged_decides_nothing() -> None:
    found = measured(
        [together({"a": 90, "b": 80})] * 2, a=[alone(20, diverged_at=20), alone(90)], b=[alone(80), alone(81)]
    )
    assert of(found, "task_gap", "a").kind == "unreplicated"
    assert of(found, "task_gap", "b").kind == "sampled"
    assert "a alone: 1 of 2 runs diverged: seed 1 at step 20." in found.notes


def test_a_gap_on_a_dozen_examples_decides_nothing_however_many_seeds_there_are() -> None:
    def ends(rows: int) -> Evidence:
        few = [replace(together({"a": 5 + seed, "b": 5}), validation_rows=rows) for seed in range(5)]
        joint = [replace(one, joint=replace(one.joint, tasks=tuple(replace(task, validation_rows=rows)
                 for task in one.joint.tasks))) for one in few if one.joint]  # fmt: skip
        single = [alone(8, validation_rows=rows)] * 5
        return measured(joint, a=single, b=single)

    assert of(ends(30), "task_gap", "a").kind == "sampled"
    assert of(ends(12), "task_gap", "a").kind == "unreplicated"
    assert "task_gap of a: 12 validation examples are too few; 30 are needed." in ends(12).notes


def test_losses_that_were_never_finite_give_no_gap() -> None:
    bad = alone(90, validation=[np.nan] * 3)
    found = measured([together({"a": 90, "b": 80})], a=[bad], b=[alone(80)])
    assert [one.of for one in found.measurements if one.name == "task_gap"] == ["b"]
    assert any("task_gap of a was not measured" in note for note in found.notes)
    assert found.blocks[0].rows[0][4] is None  # type: ignore[union-attr]  # a table
    assert not any("a: accuracy" in block.title for block in found.blocks)


def test_the_last_finite_record_counts() -> None:
    found = measured([together({"a": 90, "b": 80})], a=[alone(10, validation=[2.0, 1.0, np.nan])], b=[alone(80)])
    assert of(found, "task_gap", "a").value == pytest.approx(0.7 - 0.9)


def test_a_frozen_trunk_is_not_applicable() -> None:
    with pytest.raises(NotApplicable, match="share no parameter that is trained: the trunk is frozen"):
        measured([together({"a": 90, "b": 80}, shared=0)], a=[alone(90)], b=[alone(80)])


def test_a_model_of_one_task_is_skipped_with_the_lines_to_add() -> None:
    ref = ModelRef(digest="d", name="m", source="factory", entry={}, architecture="a", modality="image")
    reason = Multitask().applies(Subject(model=ref))
    assert reason is not None and "models: {NAME: {finetune: {from: MODEL, tasks: {A: {data: TRAIN" in reason
