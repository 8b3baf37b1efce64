"""Planted histories: the files hold the defect that the proof names, and their twins do not."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from benchmarks.zoo import DEFECTS, Member, Unproven, histories
from benchmarks.zoo.runs import Recipe, recipe

TABLE = 203
"""A seed of an MLP, which trains in a fifth of a second."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, bool], Member]:
    names = ("frozen_layer", "hasty_layer", "swapped_checkpoints", "edited_weights", "claimed_parent")
    folder = tmp_path_factory.mktemp("histories")
    return {(name, planted): DEFECTS[name](folder / f"{name}-{planted}", TABLE, planted)
            for name in names for planted in (True, False)}  # fmt: skip


def series(member: Member) -> list[dict[str, torch.Tensor]]:
    return [load_file(path) for path in sorted((member.folder / "ckpt").iterdir())]


def test_a_member_is_a_spec_of_eight_lines_a_series_from_step_0_and_the_model_of_its_end(made: dict) -> None:
    for (name, _), member in made.items():
        lines = member.spec.read_text().splitlines()
        assert len(lines) == 8 and "checks:" not in lines and '"checkpoints": "ckpt/step-*.safetensors"' in lines[3]
        assert ('"from": "parent"' in lines[3]) is (name == "claimed_parent")
        assert (member.folder / "ckpt" / "step-0000.safetensors").exists()
        last, model = series(member)[-1], load_file(member.folder / "model.safetensors")
        assert all(torch.equal(last[key], model[key]) for key in model)


def test_a_frozen_layer_never_moved_and_all_layers_of_its_twin_did(made: dict) -> None:
    still = []
    for planted in (True, False):
        states = series(made["frozen_layer", planted])
        still.append(sum(all(torch.equal(state[key], states[0][key]) for state in states)
                         for key in states[0] if key.endswith("weight")))  # fmt: skip
    assert still == [1, 0]


def test_two_files_of_a_swapped_series_are_those_of_its_twin_exchanged(made: dict) -> None:
    planted, twin = (sorted((made["swapped_checkpoints", kind].folder / "ckpt").iterdir()) for kind in (True, False))
    differ = [at for at, (a, b) in enumerate(zip(planted, twin, strict=True)) if a.read_bytes() != b.read_bytes()]
    assert len(differ) == 2 and 0 not in differ and len(twin) - 1 not in differ
    assert planted[differ[0]].read_bytes() == twin[differ[1]].read_bytes()
    assert differ[1] - differ[0] == made["swapped_checkpoints", True].proof["places"]


def test_an_edited_series_is_its_twin_up_to_the_edit_and_another_after(made: dict) -> None:
    pairs = zip(series(made["edited_weights", True]), series(made["edited_weights", False]), strict=True)
    same = [all(torch.equal(a[key], b[key]) for key in a) for a, b in pairs]
    first = same.index(False)
    assert first > 2 and not any(same[first:])


def test_the_claimed_parent_is_the_start_of_the_twin_alone(made: dict) -> None:
    for planted in (True, False):
        member = made["claimed_parent", planted]
        parent, start = load_file(member.folder / "parent" / "model.safetensors"), series(member)[0]
        assert torch.equal(parent["0.weight"], start["0.weight"]) is not planted


@pytest.mark.parametrize("way", [0, 1, 2])
def test_the_edits_are_what_they_say(way: int) -> None:
    before = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    weight = before.clone()
    histories._edit(weight, way, 2, torch.Generator().manual_seed(1))
    moved = (weight - before).norm() / before.norm()
    wanted = (before[2].norm() / before.norm(), histories.FACTOR - 1, histories.NOISE)[way]
    assert float(moved) == pytest.approx(float(wanted), rel=1e-5)


def test_recipes_are_drawn_from_the_seed_and_schedules_end_where_they_should() -> None:
    rates = {"adamw": (1e-3, 1e-2), "sgd": (0.02, 0.2)}
    drawn = [recipe(np.random.default_rng((seed, 7)), rates) for seed in range(40)]
    assert drawn == [recipe(np.random.default_rng((seed, 7)), rates) for seed in range(40)]
    assert {each.optimizer for each in drawn} == set(rates) and len({each.schedule for each in drawn}) == 4
    assert all(10 <= each.checkpoints <= 30 for each in drawn)
    last = {
        schedule: Recipe("sgd", schedule, 1.0, 0.0, 16, 10, 10).rate(99) for schedule in ("constant", "cosine", "step")
    }
    assert last == {"constant": 1.0, "cosine": pytest.approx(0.0, abs=1e-3), "step": 0.1}


def test_a_seed_that_does_not_learn_is_no_member(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histories.Task, "score", lambda self, model: 0.0)
    with pytest.raises(Unproven, match="the model learned its task"):
        DEFECTS["frozen_layer"](tmp_path, TABLE, False)
