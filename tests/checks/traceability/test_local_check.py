"""traceability.local: hand edits and frozen layers are seen at nine of ten seeds, healthy twins are left in peace."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from histories import changes, run
from walks import changes_of, cosine, edited, restarts, trained

from auditor.artifacts.trajectory import Trajectory
from auditor.checks.traceability.local import LocalChanges
from auditor.evidence import Evidence
from auditor.methods.training.record import Changes

EDITED = "2.weight"


def measured(part: Changes, **given: object) -> Evidence:
    return LocalChanges(**given).measure(trajectory=Trajectory("checkpoints", (part,)))


def value(evidence: Evidence, name: str) -> float:
    return next(found.value for found in evidence.measurements if found.name == name)


def _neuron(weight: torch.Tensor) -> torch.Tensor:
    zeroed = weight.clone()
    zeroed[5] = 0
    return zeroed


def _noise(weight: torch.Tensor) -> torch.Tensor:
    drawn = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    return weight + 0.3 * weight.std() * drawn


EDITS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "scaled": lambda weight: weight * 1.3,
    "a neuron zeroed": _neuron,
    "noise added": _noise,
}
TWINS = {
    "constant": {},
    "cosine to zero": {"schedule": cosine},
    "warm restarts": {"schedule": restarts},
    "resumed without the optimizer's state": {"resume": 0.45},
    "momentum": {"optimizer": "momentum", "lr": 0.02},
    "plain descent": {"optimizer": "sgd", "lr": 0.2},
    "few checkpoints": {"keep": 8},
}


def twin(seed: int) -> list[dict[str, torch.Tensor]]:
    return trained(seed, **{"lr": 1e-3} | list(TWINS.values())[seed % len(TWINS)])


def test_edits_by_hand_are_seen_and_healthy_twins_are_not_failed() -> None:
    healthy = [twin(seed) for seed in range(20)]
    assert sum(value(measured(changes_of(states)), "unexplained_jumps") > 0 for states in healthy) <= 1
    for edit in EDITS.values():
        caught = 0
        for seed, states in enumerate(healthy[:10]):
            after = 2 + seed % (len(states) - 4)
            found = measured(changes_of(edited(states, EDITED, after, edit)))
            table = next((block for block in found.blocks if block.kind == "table"), None)
            interval = f"{10 * after} to {10 * after + 10}"
            caught += table is not None and (EDITED, "jumped", interval) in [row[:3] for row in table.rows]
        assert caught >= 9


@pytest.mark.parametrize(("factor", "first"), [(1.5, 3), (3.0, 8)])
def test_a_layer_scaled_in_the_last_interval_is_seen_and_in_the_first_where_training_did_less(
    factor: float, first: int
) -> None:
    caught = {0: 0, -2: 0}
    for seed in range(10):
        states = twin(seed)
        for after in caught:
            at = after % len(states)
            found = measured(changes_of(edited(states, EDITED, at, lambda weight: weight * factor)))
            rows = [row[:3] for block in found.blocks if block.kind == "table" for row in block.rows]
            caught[after] += (EDITED, "jumped", f"{10 * at} to {10 * at + 10}") in rows
    assert caught[-2] == 10
    assert caught[0] >= first, caught


def test_a_short_last_interval_is_named_as_not_judged() -> None:
    part = changes(np.ones((9, 4)), np.full((9, 4), 10.0), steps=[*range(0, 90, 10), 83])
    found = measured(part)
    assert value(found, "unexplained_jumps") == 0
    assert any(note.startswith("1 of 9 intervals are not searched for jumps: 80 to 83 (") for note in found.notes)


def test_changes_within_the_rounding_of_bfloat16_are_no_count_of_jumps() -> None:
    part = changes(np.ones((20, 4)), np.full((20, 4), 1e3))
    found = measured(replace(part, resolution=np.ones((20, 4))))
    assert "unexplained_jumps" not in {each.name for each in found.measurements}
    assert any(note.startswith("unexplained_jumps is not measured") for note in found.notes)


def test_a_layer_frozen_by_mistake_is_seen_at_every_seed() -> None:
    for seed in range(10):
        states = trained(seed, steps=32, keep=8)
        still = [{**state, EDITED: states[0][EDITED]} for state in states]
        assert value(measured(changes_of(states)), "frozen_share") == 0
        found = measured(changes_of(still))
        assert value(found, "frozen_share") == 1 / 4
        assert f"1 matrices never moved and are not declared frozen: {EDITED}." in found.notes
        assert value(measured(changes_of(still), frozen=("2",)), "frozen_share") == 0


def test_a_layer_that_blew_up_is_seen() -> None:
    states = trained(0, steps=32, keep=8)
    blown = [{**state, EDITED: state[EDITED] * 4.0**at} for at, state in enumerate(states)]
    assert value(measured(changes_of(states)), "exploded_share") == 0
    assert value(measured(changes_of(blown)), "exploded_share") == 1 / 8


def test_seeds_are_averaged_and_one_history_is_an_exact_fact() -> None:
    part = changes(np.ones((8, 4)), np.full((8, 4), 10.0))
    runs = tuple(run(changes=part) for _ in range(3))
    seeds = LocalChanges().measure(trajectory=Trajectory("finetune", (part,) * 3, runs))
    assert {(found.kind, found.n, found.unit_of_resampling) for found in seeds.measurements} == {("sampled", 3, "seed")}
    assert {(found.kind, found.n) for found in measured(part).measurements} == {("exact", 1)}
    one = LocalChanges().measure(trajectory=Trajectory("finetune", (part,), runs[:1]))
    assert {found.kind for found in one.measurements} == {"unreplicated"}


def test_a_history_that_ends_in_numbers_that_are_not_finite_gives_bounds() -> None:
    moved = np.ones((9, 4))
    moved[-1, 2] = np.nan
    found = measured(changes(moved, np.full((9, 4), 10.0)))
    assert all(each.censored for each in found.measurements)
    assert value(found, "exploded_share") == 1 / 4


@pytest.mark.parametrize("shape", [(1, 4), (8, 1), (8, 0), (0, 4)])
def test_what_cannot_be_said_is_not_measured_and_named(shape: tuple[int, int]) -> None:
    found = measured(changes(np.ones(shape), np.ones(shape), dims=[2] * shape[1]))
    assert "unexplained_jumps" not in {each.name for each in found.measurements}
    assert any(note.startswith("unexplained_jumps is not measured: it takes 6 intervals") for note in found.notes)


def test_one_panel_is_drawn_for_each_glob() -> None:
    part = changes_of(trained(0, steps=32, keep=8))
    titles = [block.title for block in measured(part, layers=("0", "6.*")).blocks]
    assert titles == ["Rates of 0", "Rates of 6.*"]
    assert [block.kind for block in measured(part).blocks] == ["lines"]


def test_what_the_recipe_of_a_fine_tune_freezes_is_declared() -> None:
    moved = np.full((10, 4), 1.0)
    moved[:, 3] = 0.0
    part = changes(moved, np.full((10, 4), 100.0))
    for frozen, share in (((), 0.25), (("t3",), 0.0)):
        trajectory = Trajectory("finetune", (part,), (run(changes=part, frozen=frozen),))
        found = LocalChanges().measure(trajectory=trajectory)
        assert next(each.value for each in found.measurements if each.name == "frozen_share") == share
