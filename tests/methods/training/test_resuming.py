"""A killed run goes on from its last record and ends as one that was never killed, bit for bit."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from auditor.methods.training.epochs import Order
from auditor.methods.training.recipe import Settings
from auditor.methods.training.record import Run
from auditor.methods.training.scratch import Scratch
from auditor.methods.training.train import train


class Killed(Exception):
    """What stands for kill -9: nothing of the run's memory is left."""


class Clouds:
    """Two clouds, labels 0 and 1."""

    def __init__(self, rows: int = 42, seed: int = 1) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.labels = torch.arange(rows) % 2
        self.inputs = torch.randn(rows, 6, generator=generator) + self.labels[:, None]

    @property
    def rows(self) -> int:
        return len(self.labels)

    def batch(self, rows: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        return self.inputs[list(rows)], self.labels[list(rows)]


def net() -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return torch.nn.Sequential(
            torch.nn.Linear(6, 400),
            torch.nn.ReLU(),
            torch.nn.Linear(400, 600),
            torch.nn.Linear(600, 8),
            torch.nn.BatchNorm1d(8),
            torch.nn.ReLU(),
            torch.nn.Dropout(0.5),
            torch.nn.Linear(8, 2),
        )


def once(folder: Path | None, kill_at: int | None = None, seen: list[int] | None = None, **recipe: Any) -> Run:
    plain: dict[str, Any] = {"steps": 24, "batch_size": 8, "record_every": 4, "lr": 1e-2, "keep": 5}
    module = net()

    def told(step: int, said: str) -> None:
        if seen is not None:
            seen.append(step)
        if step == kill_at:
            raise Killed

    scratch = Scratch(folder) if folder else None
    settings = Settings(**{**plain, **recipe})
    return train(module, module, Clouds(), Clouds(20, 2), settings, 7, scratch=scratch, on_step=told)


def flat(run: Run) -> list[object]:
    parts = [getattr(run, field.name) for field in fields(run) if field.name not in ("changes", "checkpoints")]
    parts += [getattr(run.changes, field.name) for field in fields(run.changes)]
    parts += [part for item in sorted(run.checkpoints.items()) for part in item]
    return [part.tobytes() if isinstance(part, np.ndarray) else part for part in parts]


@pytest.mark.parametrize(
    "recipe",
    [
        {"optimizer": "adamw", "schedule": "cosine", "warmup": 3, "clip": 0.5},
        {"optimizer": "adam", "weight_decay": 0.1},
        {"optimizer": "sgd", "momentum": 0.9},
        {"micro_batch": 3, "schedule": "linear"},
        {"patience": 5, "steps": 400, "lr": 0.03},
    ],
)
def test_a_run_killed_twice_ends_with_the_same_numbers(tmp_path: Path, recipe: dict[str, Any]) -> None:
    whole = once(None, **recipe)
    for kill_at in (3, 11, 18):
        with pytest.raises(Killed):
            once(tmp_path, kill_at, **recipe)
    again = once(tmp_path, **recipe)
    assert flat(again) == flat(whole)
    assert (again.stopped_at is None) == ("patience" not in recipe)


def test_at_most_one_interval_is_lost(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        once(tmp_path, 15)
    seen: list[int] = []
    once(tmp_path, seen=seen)
    assert seen == list(range(13, 25))


def test_what_other_runs_left_is_not_taken_up(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        once(tmp_path, 15, lr=1e-3)
    assert flat(once(tmp_path)) == flat(once(None))


@pytest.mark.parametrize("broken", ["state", "kept-5"])
def test_a_torn_file_counts_as_none(tmp_path: Path, broken: str) -> None:
    with pytest.raises(Killed):
        once(tmp_path, 15)
    content = (tmp_path / broken).read_bytes()
    (tmp_path / broken).write_bytes(content[: len(content) // 2])
    seen: list[int] = []
    assert flat(once(tmp_path, seen=seen)) == flat(once(None))
    assert seen[0] == 1


@pytest.mark.gpu
@pytest.mark.parametrize("reduced", [False, True])
def test_a_run_on_an_accelerator_goes_on_too(tmp_path: Path, reduced: bool) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no accelerator here")

    class There(Clouds):
        def batch(self, rows: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
            inputs, labels = super().batch(rows)
            return inputs.cuda(), labels.cuda()

    def whole(scratch: Scratch | None, kill_at: int | None = None) -> Run:
        module = net().cuda()

        def told(step: int, said: str) -> None:
            if step == kill_at:
                raise Killed

        settings = Settings(steps=24, batch_size=8, record_every=4, reduced=reduced)
        return train(module, module, There(), There(20, 2), settings, 7, scratch=scratch, on_step=told)

    with pytest.raises(Killed):
        whole(Scratch(tmp_path), 15)
    run = whole(Scratch(tmp_path))
    assert flat(run) == flat(whole(None))
    assert all(value.dtype == np.float32 for name, value in run.weights().items() if "num_batches" not in name)


def test_nothing_but_data_is_read(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path)
    scratch.write("state", {"path": Path("x")})
    with pytest.raises(Exception, match=r"[Ww]eights.?only"):
        scratch.read("state")


def test_an_epoch_has_every_row_once_at_most_and_goes_on_where_it_stopped() -> None:
    order = Order(10, 4, torch.Generator().manual_seed(3))
    first = [order.draw() for _ in range(2)]
    assert len(set(first[0] + first[1])) == 8
    state = order.state()
    after = [order.draw() for _ in range(5)]
    other = Order(10, 4, torch.Generator())
    other.restore(state)
    assert [other.draw() for _ in range(5)] == after
    assert Order(3, 8, torch.Generator()).size == 3
