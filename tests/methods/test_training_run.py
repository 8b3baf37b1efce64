"""The recorded run against closed forms, a slow loop, and its own seeds."""

from collections.abc import Sequence
from dataclasses import fields
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from auditor.methods.training.objective import Objective
from auditor.methods.training.recipe import Settings, learning_rate
from auditor.methods.training.record import Run
from auditor.methods.training.train import train
from auditor.recorder.watch import FLOOR, GRID, sketch_rows, unique_parameters


class Points:
    """Two separable clouds, labels 0 and 1."""

    def __init__(self, rows: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.labels = torch.arange(rows) % 2
        self.inputs = torch.randn(rows, 6, generator=generator) + self.labels[:, None] * 1.5

    @property
    def rows(self) -> int:
        return len(self.labels)

    def batch(self, rows: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        return self.inputs[list(rows)], self.labels[list(rows)]


class Quadratic(torch.nn.Module):
    """loss = curvature / 2 * w^2, whatever the inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.w = torch.nn.Parameter(torch.tensor([[3.0, -4.0]]))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.w.expand(len(inputs), 2)


def half_square(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return logits.square().sum(1).mean() / 2


def mlp(seed: int = 0, dropout: float = 0.0) -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return torch.nn.Sequential(
            torch.nn.Linear(6, 8), torch.nn.BatchNorm1d(8), torch.nn.ReLU(), torch.nn.Dropout(dropout),
            torch.nn.Linear(8, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2),
        )  # fmt: skip


def run_of(module: torch.nn.Module, seed: int = 5, **recipe: object) -> Run:
    settings = Settings(**{"steps": 20, "batch_size": 8, "record_every": 4, "lr": 1e-2, **recipe})
    return train(module, module, Points(40, 1), Points(30, 2), settings, seed)


def test_gradient_descent_on_a_quadratic_has_its_closed_form() -> None:
    module, lr = Quadratic(), 0.1
    points = Points(8, 0)
    settings = Settings(optimizer="sgd", lr=lr, steps=6, batch_size=4, record_every=2)
    run = train(module, module, points, points, settings, 0, objective=Objective(half_square))
    shrink = 1 - lr
    np.testing.assert_allclose(run.loss, [12.5 * shrink ** (2 * k) for k in range(6)], rtol=1e-5)
    np.testing.assert_allclose(run.gradient_norm, [5 * shrink**k for k in range(6)], rtol=1e-5)
    np.testing.assert_allclose(run.validation_loss, [12.5 * shrink ** (2 * k) for k in (0, 2, 4, 6)], rtol=1e-5)
    np.testing.assert_allclose(run.changes.norm[:, 0], [5 * shrink**k for k in (0, 2, 4)], rtol=1e-5)
    np.testing.assert_allclose(run.changes.change[:, 0] / run.changes.norm[:, 0], 1 - shrink**2, rtol=1e-5)
    np.testing.assert_allclose(run.changes.l1_change[:, 0] / run.changes.l1_norm[:, 0], 1 - shrink**2, rtol=1e-5)
    np.testing.assert_allclose(run.changes.quantiles, 1 - shrink**2, rtol=1e-5)
    np.testing.assert_allclose(run.weights()["w"], np.array([[3.0, -4.0]]) * shrink**6, rtol=1e-5)
    np.testing.assert_allclose(run.disagreement, 0, atol=1e-9)  # both halves have the same gradient


def test_the_record_equals_a_slow_loop_that_keeps_everything() -> None:
    module = mlp()
    seen: list[dict[str, np.ndarray]] = [_state(module)]
    settings = Settings(steps=10, batch_size=8, record_every=5, lr=1e-2)
    run = train(
        module,
        module,
        Points(40, 1),
        Points(30, 2),
        settings,
        7,
        on_step=lambda step, said: seen.append(_state(module)),
    )
    assert run.changes.steps.tolist() == [0, 5, 10]
    for row, (start, end) in enumerate(((0, 5), (5, 10))):
        for column, name in enumerate(run.changes.tensors):
            before, moved = seen[start][name], seen[end][name] - seen[start][name]
            size = before if before.any() else seen[end][name]  # what began as zeros is held against what it became
            floor = max(FLOOR * np.sqrt(np.mean(size**2)), np.finfo(np.float32).tiny)
            ratio = np.abs(moved) / np.maximum(np.abs(before), floor)
            assert run.changes.norm[row, column] == pytest.approx(np.linalg.norm(before), rel=1e-5)
            assert run.changes.change[row, column] == pytest.approx(np.linalg.norm(moved), rel=1e-4)
            assert run.changes.l1_change[row, column] == pytest.approx(np.abs(moved).sum(), rel=1e-4)
            assert run.changes.elementwise[row, column] == pytest.approx(ratio.mean(), rel=1e-3)
            np.testing.assert_allclose(run.changes.quantiles[row, column], np.quantile(ratio, GRID), rtol=1e-2)
    module.eval()
    points = Points(30, 2)
    logits = module(points.inputs).detach()
    assert run.validation_loss[-1] == pytest.approx(float(cross_entropy(logits, points.labels)), rel=1e-5)
    assert run.validation_correct[-1] == int((logits.argmax(1) == points.labels).sum())


def _state(module: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name: parameter.detach().double().numpy().copy() for name, parameter in module.named_parameters()}


def test_a_seed_gives_the_same_record_bit_for_bit_and_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(123)
    before = torch.get_rng_state()
    first, again, other = (run_of(mlp(dropout=0.5), seed) for seed in (5, 5, 6))
    assert torch.equal(torch.get_rng_state(), before)
    assert _flat(first) == _flat(again)
    assert first.loss.tobytes() != other.loss.tobytes()


def _flat(run: Run) -> list[object]:
    parts = [getattr(run, field.name) for field in fields(run) if field.name not in ("changes", "checkpoints")]
    parts += [getattr(run.changes, field.name) for field in fields(run.changes)] + list(run.checkpoints.values())
    return [part.tobytes() if isinstance(part, np.ndarray) else part for part in parts]


def test_what_another_did_with_the_global_generator_changes_nothing() -> None:
    torch.manual_seed(1)
    first = run_of(mlp(dropout=0.5))
    torch.manual_seed(2)
    torch.rand(17)
    assert _flat(first) == _flat(run_of(mlp(dropout=0.5)))


def test_looking_leaves_batch_statistics_alone() -> None:
    rarely, often = (run_of(mlp(), record_every=every).weights() for every in (20, 1))
    assert {name: value.tobytes() for name, value in rarely.items()} == {
        name: value.tobytes() for name, value in often.items()
    }
    assert "1.running_mean" in rarely


def test_checkpoints_are_evenly_spaced_and_end_with_the_last() -> None:
    run = run_of(mlp(), steps=20, keep=4)
    assert run.checkpoint_steps == (5, 10, 15, 20)
    assert run.weights(10)["0.weight"].dtype == np.float32
    with pytest.raises(KeyError, match="no checkpoint of step 3; kept: 5, 10, 15, 20"):
        run.weights(3)
    assert run.light().checkpoints == {}


def test_a_run_that_diverges_says_where_and_stops() -> None:
    run = run_of(mlp(), optimizer="sgd", lr=1e30, steps=50)
    assert run.diverged_at is not None and run.diverged_at < 50
    assert len(run.loss) == run.diverged_at
    assert run.checkpoint_steps[-1] == run.diverged_at
    assert not np.isfinite([run.loss[-1], run.gradient_norm[-1], run.validation_loss[-1]]).all()


def test_tied_weights_count_once_and_buffers_are_no_parameters() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4))
    module[1].weight = module[0].weight
    assert list(unique_parameters(module)) == ["0.weight", "0.bias", "1.bias", "2.weight", "2.bias"]


def test_a_frozen_layer_is_recorded_as_untrained_and_unmoved() -> None:
    module = mlp()
    module[0].requires_grad_(False)
    run = run_of(module)
    place = run.changes.tensors.index("0.weight")
    assert not run.changes.trained[place]
    assert run.changes.change[:, place].max() == 0
    assert run.gradient[:, place].max() == 0


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_optimizers_learn_an_easy_task(name: str) -> None:
    run = run_of(mlp(), optimizer=name, steps=60, lr=0.1 if name == "sgd" else 1e-2, schedule="cosine", warmup=5)
    assert run.validation_loss[-1] < 0.85 * run.validation_loss[0]


def test_clipping_bounds_the_step_but_not_the_recorded_norm() -> None:
    free, clipped = (
        run_of(mlp(), optimizer="sgd", lr=1.0, steps=4, record_every=1, clip=clip) for clip in (None, 1e-3)
    )
    assert clipped.gradient_norm[0] == free.gradient_norm[0] > 1e-3
    assert np.sqrt(np.square(clipped.changes.change[0]).sum()) == pytest.approx(1e-3, rel=1e-3)


def test_warm_up_rises_to_the_rate_and_a_cosine_falls_towards_nothing() -> None:
    settings = Settings(lr=1.0, steps=100, warmup=4, schedule="cosine")
    rates = [learning_rate(settings, step) for step in range(1, 101)]
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert all(a > b for a, b in pairwise(rates[4:]))
    assert 0 < rates[-1] < 1e-3


def test_a_sketch_reads_different_elements_spread_over_the_tensor() -> None:
    rows = sketch_rows(100_000)
    assert rows is not None
    assert len(set(rows.tolist())) > 2000
    assert np.histogram(rows.numpy(), bins=10, range=(0, 100_000))[0].min() > 180
    assert sketch_rows(2048) is None
