"""optimizability.gradient_norm: healthy gradients pass; vanishing, exploding and rising ones are seen."""

import numpy as np
import pytest
import torch
from histories import run

from auditor.artifacts.trajectory import Trajectory
from auditor.checks.optimizability.gradient_norm import GradientNorm
from auditor.evidence import Evidence, Measurement
from auditor.judge.intervals import interval
from auditor.judge.minimum import obstacle
from auditor.methods.training.recipe import Settings
from auditor.methods.training.record import Run
from auditor.methods.training.train import train


def found(evidence: Evidence, name: str) -> Measurement:
    return next(one for one in evidence.measurements if one.name == name)


def trajectory(*runs: Run) -> Trajectory:
    return Trajectory("finetune", tuple(one.changes for one in runs), runs)


def noisy(rise: float, seed: int) -> Run:
    """100 steps whose log norm rises by `rise` per 100 steps, with noise."""
    noise = np.random.default_rng(seed).standard_normal(100) * 0.2
    return run(validation=[2.0] * 11, gradient_norm=np.exp(rise * np.arange(100) / 100 + noise))


RISES = (-1.0, 0.0, 2.0)


@pytest.mark.parametrize("rise", RISES)
def test_the_trend_of_five_seeds_is_drawn_over_the_seeds(rise: float) -> None:
    evidence = GradientNorm().measure(trajectory=trajectory(*(noisy(rise, seed) for seed in range(5))), seed=1)
    trend = found(evidence, "trend")
    assert (trend.n, trend.method, trend.unit_of_resampling) == (5, "t", "seed")
    low, high = interval(trend, 0.95)
    assert low < rise < high and high - low < 0.4


@pytest.mark.parametrize("rise", RISES)
def test_the_trend_of_fewer_seeds_is_drawn_over_the_steps(rise: float) -> None:
    evidence = GradientNorm().measure(trajectory=trajectory(*(noisy(rise, seed) for seed in range(3))), seed=1)
    trend = found(evidence, "trend")
    assert (trend.method, trend.unit_of_resampling) == ("moving_blocks", "record")
    assert 64 <= trend.n <= 100
    low, high = interval(trend, 0.95)
    assert low < trend.value < high
    assert low - 0.1 < rise < high + 0.1


def test_steps_that_are_strongly_alike_are_worth_few_and_decide_nothing() -> None:
    wander = np.cumsum(np.random.default_rng(0).standard_normal(200)) * 0.05
    evidence = GradientNorm().measure(trajectory=trajectory(run(gradient_norm=np.exp(wander))))
    trend = found(evidence, "trend")
    assert trend.n < 30
    assert "too few" in obstacle(trend, 0.95)


def test_a_rise_is_beyond_a_bound_that_a_level_norm_keeps() -> None:
    level, rising = (
        interval(found(GradientNorm().measure(trajectory=trajectory(*(noisy(r, s) for s in range(5)))), "trend"), 0.95)
        for r in (0.0, 2.0)
    )
    assert level[1] < 0.5 < rising[0]


@pytest.mark.parametrize("name", ["vanishing_layers", "exploding_layers"])
def test_counts_of_layers_are_facts_about_the_recorded_runs(name: str) -> None:
    evidence = GradientNorm().measure(trajectory=trajectory(*[noisy(0.0, seed) for seed in range(5)]))
    count = found(evidence, name)
    assert (count.value, count.kind, count.n, count.distribution.kind) == (0, "exact", 5, "none")
    assert interval(count, 0.95) == (0, 0)
    assert [block.kind for block in evidence.blocks] == ["lines", "heatmap"]


def test_a_vanishing_and_an_exploding_layer_of_one_seed_are_counted_and_named() -> None:
    gradient = np.ones((10, 3))
    gradient[:, 0] = 1e-6
    gradient[7, 2] = 300
    healthy, sick = run(validation=[2.0] * 11), run(validation=[2.0] * 11, gradient=gradient)
    evidence = GradientNorm().measure(trajectory=trajectory(*[healthy] * 4, sick))
    assert found(evidence, "vanishing_layers").value == 1
    assert found(evidence, "exploding_layers").value == 1
    bars = evidence.blocks[-1]
    assert [bar.label for bar in bars.bars] == ["t0", "t2"]  # type: ignore[union-attr]
    assert [bar.value for bar in bars.bars] == [0.2, 0.2]  # type: ignore[union-attr]


def test_a_run_that_diverged_can_fail_but_never_pass() -> None:
    lost = run(validation=[2.0, np.nan], gradient_norm=np.ones(10), gradient=np.ones((1, 3)), diverged_at=10)
    evidence = GradientNorm().measure(trajectory=trajectory(*[noisy(0.0, seed) for seed in range(5)], lost))
    assert evidence.measurements and all(one.censored for one in evidence.measurements)
    assert {interval(one, 0.95)[1] for one in evidence.measurements} == {np.inf}


class _Cloud:
    rows = 64

    def batch(self, rows):  # type: ignore[no-untyped-def]
        generator = torch.Generator().manual_seed(0)
        labels = torch.arange(64) % 4
        inputs = torch.randn(64, 16, generator=generator) + torch.eye(4, 16)[labels] * 3
        return inputs[list(rows)], labels[list(rows)]


class _Damped(torch.nn.Module):
    """Passes values through and multiplies the gradient that flows back."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs * self.factor + (inputs * (1 - self.factor)).detach()


@pytest.mark.parametrize(("factor", "count"), [(1.0, 0), (1e-7, 1)])
def test_a_layer_that_gets_no_gradient_is_seen_in_a_real_run(factor: float, count: int) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = torch.nn.Sequential(
            torch.nn.Linear(16, 16), _Damped(factor), torch.nn.ReLU(), torch.nn.Linear(16, 16), torch.nn.ReLU(),
            torch.nn.Linear(16, 4),
        )  # fmt: skip
    recorded = train(module, module, _Cloud(), _Cloud(), Settings(steps=30, batch_size=16, record_every=3), 1)
    evidence = GradientNorm().measure(trajectory=trajectory(recorded))
    assert found(evidence, "vanishing_layers").value == count


def test_what_cannot_be_determined_is_left_out_and_said() -> None:
    silent = run(agreement=np.array([1.0, -1.0, 0.1]), gradient=np.zeros((0, 3)), gradient_norm=np.ones(3))
    evidence = GradientNorm().measure(trajectory=trajectory(silent))
    assert {one.name for one in evidence.measurements} == {"gradient_norm"}
    assert any(note.startswith("noise_scale is not determined") for note in evidence.notes)
    assert any(note.startswith("vanishing_layers is not determined") for note in evidence.notes)
    assert any(note.startswith("The trend is not measured: too few steps") for note in evidence.notes)


def test_a_gradient_that_is_not_finite_explodes() -> None:
    gradient = np.array([[1.0, 1.0, 1.0], [1.0, np.inf, 1.0]])
    lost = run(gradient=gradient, gradient_norm=np.array([1.0, np.inf]), diverged_at=12)
    evidence = GradientNorm().measure(trajectory=trajectory(lost))
    assert found(evidence, "exploding_layers").value == 1
    assert "1 of 1 runs diverged: seed 1 at step 12." in evidence.notes
