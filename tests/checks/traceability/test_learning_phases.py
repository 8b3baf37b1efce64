"""traceability.learning_phases: swapped checkpoints are seen at nine of ten seeds, healthy twins are in order."""

from dataclasses import replace

import numpy as np
import pytest
from histories import changes, run
from walks import changes_of, cosine, restarts, swapped, trained, walk

from auditor.artifacts.stage_losses import StageCka, StageLoss
from auditor.artifacts.trajectory import Trajectory
from auditor.checks.traceability.learning_phases import LearningPhases
from auditor.evidence import Evidence
from auditor.methods.training.record import Changes, Curves, Series

TWINS = (
    {},
    {"schedule": cosine},
    {"schedule": restarts},
    {"lr": 2e-2},
    {"optimizer": "momentum", "lr": 0.1},
    {"optimizer": "sgd", "lr": 0.3, "schedule": cosine},
    {"keep": 8, "resume": 0.4},
)


def measured(part: Changes, **given: object) -> Evidence:
    return LearningPhases().measure(trajectory=Trajectory("checkpoints", (part,)), **given)


def value(evidence: Evidence, name: str) -> float:
    return next(found.value for found in evidence.measurements if found.name == name)


def test_swapped_checkpoints_are_seen_and_healthy_twins_are_in_order() -> None:
    healthy = [trained(seed, steps=96, **TWINS[seed % len(TWINS)]) for seed in range(20)]
    assert sum(value(measured(changes_of(states)), "order_inversions") > 0 for states in healthy) <= 1
    for apart in (1, 3):
        seen = 0
        for seed, states in enumerate(healthy[:10]):
            one = 1 + seed % (len(states) - apart - 2)
            found = measured(changes_of(swapped(states, one, one + apart)))
            table = next((block for block in found.blocks if block.title == "Records out of order"), None)
            seen += table is not None and table.rows[0][:2] == (10 * one, 10 * (one + apart))
        assert seen >= 9


def test_seeds_are_averaged_and_one_history_is_an_exact_fact() -> None:
    part = changes_of(walk(20, size=2_000))
    runs = tuple(run(changes=part) for _ in range(3))
    seeds = LearningPhases().measure(trajectory=Trajectory("finetune", (part,) * 3, runs))
    assert {(found.kind, found.n) for found in seeds.measurements} == {("sampled", 3)}
    one = measured(part)
    assert {(found.name, found.kind) for found in one.measurements} == {
        ("order_inversions", "exact"), ("path_efficiency", "exact"), ("phases", "exact"),
    }  # fmt: skip
    assert value(one, "path_efficiency") == pytest.approx(0.25, abs=0.04)


def test_a_drop_of_the_learning_rate_is_a_phase_only_where_it_is_not_known() -> None:
    draw = np.random.default_rng(0)
    factor = np.where(np.arange(40) < 20, 1.0, 0.1)
    moved = factor[:, None] * np.exp(draw.normal(0, 0.05, (40, 3)))
    part = changes(moved, np.full((40, 3), 10.0))
    unknown = measured(replace(part, lr=np.full(40, np.nan)))
    assert value(unknown, "phases") == 2
    plot = next(block for block in unknown.blocks if block.title == "Rate of change and phases")
    assert plot.marks == ((200.0, "phase 2"),)
    assert value(measured(replace(part, lr=factor * 1e-3)), "phases") == 1


def test_a_cosine_to_zero_is_one_phase_with_its_rate_known_or_not() -> None:
    for seed in range(5):
        found = measured(changes_of(trained(seed, steps=120, keep=40, schedule=cosine)))
        assert value(found, "phases") <= 2
    smooth = np.cos(np.linspace(0, np.pi / 2, 41))[:-1, None] ** 2
    part = changes(np.repeat(smooth, 3, axis=1), np.full((40, 3), 10.0), lr=np.nan)
    assert value(measured(part), "phases") == 1


def test_a_short_history_measures_what_it_can_and_says_what_it_cannot() -> None:
    found = measured(changes_of(walk(6, size=2_000)))
    assert {each.name for each in found.measurements} == {"order_inversions"}
    assert [note.split(" is ")[0] for note in found.notes] == ["path_efficiency", "phases"]
    bare = replace(changes(np.ones((20, 3)), np.ones((20, 3))), projection=np.zeros((20, 0)))
    assert {each.name for each in measured(bare).measurements} == {"phases"}
    assert measured(changes(np.zeros((0, 3)), np.zeros((0, 3)))).measurements == ()


def test_records_that_are_all_alike_or_differ_by_rounding_alone_have_no_order() -> None:
    states = walk(20, size=2_000)
    moved = changes_of(states)
    for part in (changes_of([states[0]] * 21), replace(moved, resolution=moved.change)):
        found = measured(part)
        assert "order_inversions" not in {each.name for each in found.measurements}
        assert any(note.startswith("order_inversions is not measured") for note in found.notes)
    rounded = moved.change.copy()
    rounded[5:, 0] = 0.1  # some of it is clear
    assert value(measured(replace(moved, resolution=rounded)), "order_inversions") == 0


def test_a_history_that_is_not_finite_gives_bounds_of_what_is_better_low() -> None:
    part = changes_of(walk(24, size=2_000))
    part.change[-1] = np.nan
    found = measured(part)
    kinds = {each.name: (each.censored, each.kind == "unreplicated") for each in found.measurements}
    assert kinds.pop("path_efficiency") == (False, True)
    assert kinds
    assert all(censored for censored, _ in kinds.values())


def test_losses_known_and_computed_anew_and_likeness_are_drawn() -> None:
    part = changes_of(walk(20, size=2_000))
    again = StageLoss(
        (0, 100, 200), np.array([2.0, 1.0, 0.5]), np.full(3, 0.5), ("a", "b"), np.ones((3, 2)), 64, "test"
    )
    alike = StageCka((0, 100, 200), ("a", "b"), np.array([[0.1, np.nan], [0.5, np.nan], [1.0, np.nan]]))
    curves = Curves(
        {"loss": Series(np.arange(5), np.array([2.0, 1.5, 1.2, np.nan, 1.0]))}, np.zeros(0), np.zeros((0, 2))
    )
    found = LearningPhases().measure(
        trajectory=Trajectory("checkpoints", (part,), curves=(curves,)), losses=again, alike=alike
    )
    titles = [block.title for block in found.blocks]
    assert titles == [
        "Rate of change and phases", "Loss", "Path of the weights", "Likeness to the last stage, by block",
        "Gradient by layer and stage on test",
    ]  # fmt: skip
    loss = found.blocks[1]
    assert [line.label for line in loss.lines] == ["each step's batch", "test, computed anew"]
    assert loss.lines[0].y == (2.0, 1.5, 1.2)
