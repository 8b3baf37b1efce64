"""optimizability.stability: calm runs are zero, planted oscillation, spikes and unlike seeds are seen."""

from typing import Any

import numpy as np
import pytest
from histories import run

from auditor.artifacts.trajectory import Trajectory
from auditor.checks.optimizability.stability import Stability
from auditor.evidence import Evidence, Measurement
from auditor.judge.intervals import interval
from auditor.judge.minimum import obstacle
from auditor.methods.training.calm import beyond_noise, jumps, window_of
from auditor.methods.training.record import Run
from auditor.statistics import GRID, moments, spread

RECORDS, ROWS = 41, 500


def recorded(shares: Any, seed: int = 0, **more: Any) -> Run:
    """A run whose accuracies are counts of `ROWS` examples drawn with these chances."""
    draw = np.random.default_rng(seed)
    right = {f"{side}_correct": draw.binomial(ROWS, np.clip(shares, 0, 1)) for side in ("train", "validation")}
    rows = {"train_rows": ROWS, "validation_rows": ROWS}
    return run(validation=np.linspace(2, 0.5, len(shares)), **{**right, **rows, **more})


def risen(height: float = 0.0) -> np.ndarray:
    """It rises, then stays; it swings by `height` at the end."""
    swing = height * np.where(np.arange(RECORDS) % 2, 1.0, -1.0) * (np.arange(RECORDS) > 20)
    return np.minimum(0.9, 0.3 + 0.05 * np.arange(RECORDS)) + swing


def measured(*runs: Run, **parameters: Any) -> Evidence:
    trajectory = Trajectory("finetune", tuple(one.changes for one in runs), runs)
    return Stability(**parameters).measure(trajectory=trajectory)


def found(evidence: Evidence, name: str) -> Measurement:
    return next(one for one in evidence.measurements if one.name == name)


@pytest.mark.parametrize(("height", "low", "high"), [(0.0, -0.012, 0.012), (0.05, 0.04, 0.06)])
def test_what_varies_beyond_counting_noise(height: float, low: float, high: float) -> None:
    evidence = measured(*(recorded(risen(height), seed) for seed in range(5)))
    for side in ("train", "validation"):
        one = found(evidence, f"accuracy_sd_{side}")
        assert low < one.value < high
        assert (one.method, one.unit_of_resampling, one.n) == ("t", "seed", 5)
        assert obstacle(one, 0.95) == "", "calm seeds must be able to pass"
        ends = interval(one, 0.95)
        assert ends[0] < height < ends[1] + 0.01
    assert found(evidence, "spikes").value == 0
    assert [block.title for block in evidence.blocks] == ["Variation of the accuracy", "Accuracy over the fine-tune"]


def test_counting_noise_is_taken_off_on_average() -> None:
    steps = np.arange(20)
    drawn = np.random.default_rng(1).binomial(ROWS, 0.8, (4000, 20)) / ROWS
    signed = np.array([beyond_noise(steps, shares, ROWS) for shares in drawn])
    excess = np.sign(signed) * signed**2
    assert abs(excess.mean()) < 3 * excess.std() / np.sqrt(4000) + 1e-6


def test_a_line_is_no_variation_and_nothing_is_less_than_noise() -> None:
    steps = np.arange(10)
    assert beyond_noise(steps, np.linspace(0.5, 0.7, 10), 10**12) == pytest.approx(0, abs=1e-6)
    assert beyond_noise(steps, np.full(10, 0.5), 100) == pytest.approx(-0.05)
    assert beyond_noise(steps, np.ones(10), 100) == 0


def test_spikes_are_counted_in_the_worst_run() -> None:
    loss = np.full(RECORDS, 0.5)
    loss[0], loss[20:22], loss[30] = 2.0, 0.9, 1.5
    calm, jumpy = recorded(risen()), recorded(risen(), train_loss=loss)
    assert found(measured(calm, jumpy), "spikes").value == 2
    assert found(measured(calm, jumpy, height=0.4), "spikes").value == 1
    assert jumps(np.array([1.0, 0.5, np.nan]), 0.1).tolist() == [2]
    assert jumps(np.array([1.0, 1.2]), 0.1).tolist() == [1], "a recipe that makes it worse at once"
    assert jumps(np.array([1.0]), 0.1).tolist() == []


def test_seeds_that_end_apart() -> None:
    apart = [recorded(np.full(RECORDS, level), seed) for seed, level in enumerate((0.6, 0.7, 0.8, 0.9, 0.95))]
    one = found(measured(*apart), "seed_sd")
    ends = [run.validation_correct[-1] / ROWS for run in apart]
    assert one.value == pytest.approx(np.std(ends, ddof=1))
    low, high = interval(one, 0.95)
    assert (low, high) == pytest.approx((one.value * 0.599, one.value * 2.874), rel=1e-3)
    assert obstacle(one, 0.95) == ""
    assert "too few" in obstacle(found(measured(*apart[:3]), "seed_sd"), 0.95)


def test_the_interval_of_a_standard_deviation_covers() -> None:
    draws = np.random.default_rng(0).normal(0, 2.0, (4000, 5))
    ends = np.array([[spread(moments(row)[1], 5)[GRID.index(p)] for p in (0.025, 0.975)] for row in draws])
    assert np.mean((ends[:, 0] <= 2) & (ends[:, 1] >= 2)) == pytest.approx(0.95, abs=0.012)
    assert set(spread(0.0, 3)) == {0.0}
    with pytest.raises(ValueError, match="n >= 2"):
        spread(1.0, 1)


def test_one_seed_and_short_runs_say_what_is_not_measured() -> None:
    single = measured(recorded(risen()))
    assert found(single, "accuracy_sd_train").kind == "unreplicated"
    assert single.notes == ("seed_sd is not measured: there is one seed.",)
    short = measured(*(recorded(risen()[:8], seed) for seed in range(2)))
    assert {one.name for one in short.measurements} == {"spikes", "seed_sd"} and "six records" in short.notes[0]
    assert window_of(8, 0.5) == 0 and window_of(12, 0.5) == 6


def test_a_task_without_classes_has_spikes_alone() -> None:
    none = np.array([], dtype=int)
    evidence = measured(recorded(risen(), train_correct=none, validation_correct=none))
    assert [one.name for one in evidence.measurements] == ["spikes"]
    assert set(evidence.inapplicable) == {"accuracy_sd_train", "accuracy_sd_validation", "seed_sd"}


def test_after_a_divergence_all_are_lower_bounds() -> None:
    lost = recorded(risen(), 1, diverged_at=400, train_loss=np.r_[np.full(RECORDS - 1, 0.5), np.nan])
    evidence = measured(recorded(risen()), lost)
    assert all(one.censored for one in evidence.measurements)
    assert found(evidence, "spikes").value == 1 and "diverged" in evidence.notes[0]
