"""Several tasks on one trunk: gradients whose cosine is known, tasks that are the same, opposite, or do not meet."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from auditor.methods.training.joint import Task, share_trunk, train_jointly
from auditor.methods.training.objective import CLASSIFICATION, Objective, squares
from auditor.methods.training.recipe import Settings
from auditor.methods.training.record import Joint, Run
from auditor.methods.training.scratch import Scratch
from auditor.methods.training.train import train


class Rows:
    """Inputs and labels that are given."""

    def __init__(self, inputs: Tensor, labels: Tensor) -> None:
        self.inputs, self.labels = inputs, labels

    @property
    def rows(self) -> int:
        return len(self.labels)

    def batch(self, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
        return self.inputs[list(rows)], self.labels[list(rows)]


def clouds(seed: int, turned: bool = False, rows: int = 64) -> Rows:
    """Two clouds; turned: with their labels exchanged."""
    labels = torch.arange(rows) % 2
    inputs = torch.randn(rows, 5, generator=torch.Generator().manual_seed(seed)) + 1.5 * labels[:, None]
    return Rows(inputs, 1 - labels if turned else labels)


def net(seed: int = 0, dropout: float = 0.0, outputs: int = 2) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Dropout(dropout), nn.Linear(7, outputs))


def tasks(*data: Rows, validation: Rows | None = None, seeds: Sequence[int] = (), **made: Any) -> list[Task]:
    """Tasks on one trunk; equal seeds give equal heads and orders."""
    seeds = seeds or [1] * len(data)
    modules = [net(seed, **made) for seed in seeds]
    for module in modules[1:]:
        share_trunk(modules[0], module, ["3"])
    return [
        Task(f"t{place}", module, module, rows, validation or rows, CLASSIFICATION, 1.0, seed)
        for place, (module, rows, seed) in enumerate(zip(modules, data, seeds, strict=True))
    ]


def settings(**given: Any) -> Settings:
    plain: dict[str, Any] = {"steps": 20, "batch_size": 16, "record_every": 5, "lr": 1e-2, "keep": 2}
    return Settings(**{**plain, **given})


def joint(run: Run) -> Joint:
    assert run.joint is not None
    return run.joint


def test_the_cosine_of_two_linear_regressions_is_the_one_in_closed_form() -> None:
    inputs = torch.randn(12, 3, generator=torch.Generator().manual_seed(0))
    wanted = [inputs @ torch.tensor(slope) for slope in ([1.0, 0.0, -2.0], [0.5, 1.0, 1.0])]
    trunk = nn.Linear(3, 1, bias=False)
    start = trunk.weight.detach().clone()[0].double()
    made = [Task(f"t{place}", trunk, trunk, Rows(inputs, y), Rows(inputs, y), squares(), 1.0, place)
            for place, y in enumerate(wanted)]  # fmt: skip
    found = joint(train_jointly(made, settings(steps=1, batch_size=12, optimizer="sgd"), 0))
    x = inputs.double().numpy()
    slopes = [2 / 12 * x.T @ (x @ start.numpy() - y.double().numpy()) for y in wanted]
    norms = [np.linalg.norm(slope) for slope in slopes]
    assert found.cosine[0, 0] == pytest.approx(slopes[0] @ slopes[1] / (norms[0] * norms[1]), abs=1e-6)
    assert found.norm[0] == pytest.approx(norms, rel=1e-6)
    assert found.shared == 3 and found.steps.tolist() == [1]


def test_the_step_is_that_of_the_weighted_sum() -> None:
    made = tasks(clouds(1), clouds(2, turned=True), seeds=(1, 2))
    made[1] = Task(**{**vars(made[1]), "weight": 0.25})
    plain = [net(1), net(2)]
    share_trunk(plain[0], plain[1], ["3"])
    for module, rows, weight in zip(plain, (clouds(1), clouds(2, turned=True)), (1, 0.25), strict=True):
        (weight * nn.functional.cross_entropy(module(rows.inputs), rows.labels)).backward()
    wanted = [each - 0.1 * each.grad for each in nn.ModuleList(plain).parameters() if each.grad is not None]
    train_jointly(made, settings(steps=1, batch_size=64, optimizer="sgd", lr=0.1), 0)
    found = nn.ModuleList(task.module for task in made).parameters()
    assert all(torch.allclose(a, b, atol=1e-7) for a, b in zip(found, wanted, strict=True))


def test_the_same_task_twice_agrees_wholly_and_learns_the_same_curve() -> None:
    found = joint(train_jointly(tasks(clouds(1), clouds(1)), settings(), 3))
    assert found.cosine == pytest.approx(1, abs=1e-6)
    assert found.steps.tolist() == [5, 10, 15, 20] and found.norm.shape == (4, 2)
    assert (found.tasks[0].validation_loss == found.tasks[1].validation_loss).all()


def test_opposite_labels_under_one_head_pull_apart() -> None:
    module = net()
    data = clouds(1), clouds(1, turned=True)
    made = [Task(f"t{place}", module, module, rows, rows, CLASSIFICATION, 1.0, 1) for place, rows in enumerate(data)]
    found = joint(train_jointly(made, settings(steps=60, optimizer="sgd", lr=0.1), 3))
    assert (found.cosine < 0).mean() > 0.9
    ends = [task.accuracy() for task in found.tasks]
    assert ends[0] is not None and ends[1] is not None and ends[0][-1] + ends[1][-1] == pytest.approx(1)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_tasks_that_share_nothing_that_is_trained_learn_as_if_alone(optimizer: Any) -> None:
    """The order of the data and the new heads are those of single training: pairs by seed differ in nothing else."""
    data = clouds(1), clouds(2, turned=True)
    made = tasks(*data, seeds=(1, 2))
    for layer in (made[0].module, made[1].module):
        layer[0].requires_grad_(False)  # type: ignore[index]  # a Sequential
    found = joint(train_jointly(made, settings(optimizer=optimizer), 9))
    assert found.shared == 0 and found.cosine.shape == (0, 1)
    for task, rows, seed in zip(found.tasks, data, (1, 2), strict=True):
        alone = net(1)
        alone[3] = net(seed)[3]
        alone[0].requires_grad_(False)
        single = train(alone, alone, rows, rows, settings(optimizer=optimizer), seed)
        assert task.loss == pytest.approx(single.loss, rel=1e-6)
        assert task.validation_loss == pytest.approx(single.validation_loss, rel=1e-6)
        assert task.validation_correct.tolist() == single.validation_correct.tolist()


def test_the_run_is_the_first_tasks_own() -> None:
    made = tasks(clouds(1), clouds(2), seeds=(1, 2))
    run = train_jointly(made, settings(clip=0.5), 3)
    assert run.changes.tensors == ("0.weight", "0.bias", "3.weight", "3.bias")
    assert run.gradient.shape == (4, 4) and (run.loss == joint(run).tasks[0].loss).all()
    assert (run.gradient_norm[4::5] > np.linalg.norm(run.gradient, axis=1)).all(), "the other head's is in the norm"
    assert (run.weights()["3.weight"] == made[0].module[3].weight.detach().numpy()).all()  # type: ignore[index]
    assert (run.weights()["0.weight"] == made[1].module[0].weight.detach().numpy()).all()  # type: ignore[index]
    assert not made[1].module.training


def test_looking_more_often_changes_no_weight() -> None:
    ends = []
    for every in (1, 10):
        made = tasks(clouds(1), clouds(2), seeds=(1, 2), dropout=0.5)
        train_jointly(made, settings(record_every=every), 3)
        ends.append([each.detach().clone() for task in made for each in task.module.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


def test_batches_in_parts_have_the_whole_batchs_gradient() -> None:
    runs = [joint(train_jointly(tasks(clouds(1), clouds(2), seeds=(1, 2)), settings(micro_batch=size), 3))
            for size in (16, 5)]  # fmt: skip
    assert runs[0].cosine == pytest.approx(runs[1].cosine, abs=1e-4)
    assert runs[0].tasks[1].loss == pytest.approx(runs[1].tasks[1].loss, rel=1e-4)


def test_a_loss_that_is_not_finite_ends_the_run_whichever_task_has_it() -> None:
    bad = clouds(2)
    bad.inputs[:] = np.inf
    run = train_jointly(tasks(clouds(1), bad, seeds=(1, 2)), settings(), 3)
    assert run.diverged_at == 1 and np.isnan(run.loss[-1])
    assert joint(run).cosine.shape == (0, 1) and len(joint(run).tasks[1].loss) == 1


def test_a_task_without_a_gradient_has_no_cosine() -> None:
    still = Objective(lambda outputs, labels: outputs.sum() * 0)
    made = tasks(clouds(1), clouds(2), seeds=(1, 2))
    made[1] = Task(**{**vars(made[1]), "objective": still})
    found = joint(train_jointly(made, settings(), 3))
    assert np.isnan(found.cosine).all() and (found.norm[:, 1] == 0).all()


def test_the_trunk_is_one_also_of_recurrent_and_normalized_layers() -> None:
    first, other = (nn.Sequential(nn.LSTM(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)) for _ in range(2))
    share_trunk(first, other, ["2"])
    with torch.no_grad():
        first[0].weight_ih_l0.zero_()
        first[0].weight_hh_l0.zero_()
    inputs = torch.randn(2, 5, 3)
    assert torch.equal(first[0](inputs)[0], other[0](inputs)[0])
    assert other[1].running_mean is first[1].running_mean and other[2].weight is not first[2].weight
    with pytest.raises(ValueError, match=r"0\.weight differs, and is no part of the head"):
        share_trunk(nn.Sequential(nn.Linear(2, 2)), nn.Sequential(nn.Linear(2, 3)), [])


class Killed(Exception):
    """What stands for kill -9."""


def test_a_killed_run_ends_as_one_that_was_not(tmp_path: Path) -> None:
    def once(folder: Path | None, kill_at: int | None = None) -> Run:
        def told(step: int, said: str) -> None:
            if step == kill_at:
                raise Killed

        made = tasks(clouds(1), clouds(2), seeds=(1, 2), dropout=0.5)
        scratch = Scratch(folder) if folder else None
        return train_jointly(made, settings(), 7, scratch=scratch, on_step=told)

    whole = once(None)
    with pytest.raises(Killed):
        once(tmp_path / "s", kill_at=12)
    again = once(tmp_path / "s")
    assert (again.loss == whole.loss).all() and (joint(again).cosine == joint(whole).cosine).all()
    for one, other in zip(joint(again).tasks, joint(whole).tasks, strict=True):
        assert (one.loss == other.loss).all() and (one.validation_loss == other.validation_loss).all()
    assert all((again.weights()[name] == value).all() for name, value in whole.weights().items())
