"""Rates, learning curves and gradients on histories whose answers are known."""

from dataclasses import replace

import numpy as np
import pytest
from histories import changes, run

from auditor.methods.training.curves import (
    final_loss,
    kaplan_meier,
    loss_auc,
    steps_to_share,
    steps_to_target,
    still_above,
)
from auditor.methods.training.gradients import exploding, log_norms, noise_scale, slope, vanishing
from auditor.methods.training.picture import band, short_names, thinned
from auditor.methods.training.rates import early_ratios, model_rates, stability, steady_part, summary, tensor_rates


def test_the_rate_of_a_model_is_that_of_all_tensors_as_one_vector() -> None:
    found = changes(change=[[3.0, 4.0]], norm=[[6.0, 8.0]])
    assert tensor_rates(found, "l2").tolist() == [[0.5, 0.5]]
    assert model_rates(found, "l2").tolist() == [0.5]
    assert model_rates(replace(found, l1_change=np.array([[1.0, 2.0]]), l1_norm=np.array([[10.0, 20.0]])), "l1")[
        0
    ] == pytest.approx(0.1)


def test_a_tensor_that_starts_at_zero_has_a_large_finite_rate() -> None:
    found = changes(change=[[1.0, 1.0], [1.0, 1.0]], norm=[[0.0, 5.0], [1.0, 5.0]])
    rates = tensor_rates(found, "l2")
    assert np.isfinite(rates).all()
    assert rates[0, 0] == pytest.approx(1000)


def test_stability_divides_a_schedule_out() -> None:
    lr = 1e-3 * (1 + np.cos(np.linspace(0, 3, 40))) / 2
    assert stability(5 * lr, lr) == pytest.approx(0, abs=1e-12)
    assert (stability(5 * lr, np.full(40, np.nan)) or 0) > 0.5
    jumpy = 5 * lr * np.where(np.arange(40) % 2, 4.0, 1.0)
    assert stability(jumpy, lr) == pytest.approx(np.log(4) / 2)
    assert stability(np.zeros(40), lr) is None


def test_a_layer_with_a_hundredfold_rate_leads_and_vectors_are_left_out() -> None:
    found = changes(change=[[1.0, 1.0, 100.0, 900.0]] * 20, norm=[[100.0] * 4] * 20, dims=[2, 2, 4, 1])
    ratios = early_ratios(found, tensor_rates(found, "l2"))
    assert ratios == {"t0": pytest.approx(1), "t1": pytest.approx(1), "t2": pytest.approx(100)}


def test_a_frozen_layer_does_not_pull_the_median_down() -> None:
    found = changes(change=[[0.0, 0.0, 1.0, 1.0, 2.0]] * 10, norm=[[10.0] * 5] * 10)
    assert summary(found, "l2")["early_rate_ratio"] == pytest.approx(2.0)


def test_a_short_last_interval_and_what_is_not_finite_are_cut() -> None:
    found = changes(change=[[1.0]] * 5, norm=[[10.0]] * 5, steps=[0, 10, 20, 30, 40, 42])
    assert steady_part(found).steps.tolist() == [0, 10, 20, 30, 40]
    broken = changes(change=[[1.0], [1.0], [np.inf]], norm=[[1.0]] * 3)
    assert len(steady_part(broken).change) == 2


def test_steps_to_ninety_percent_of_the_own_drop() -> None:
    steps = np.arange(0, 101, 10)
    curve = 0.5 + 1.5 * np.exp(-steps / 20)  # the run drops from 2 to 0.51; 90% of it is reached at ln(10) * 20 = 46
    assert steps_to_share(steps, curve, 100, diverged=False).value == 50
    never = steps_to_share(steps, 1 + steps / 100, 100, diverged=False)
    assert (never.value, never.reached) == (100, False)


def test_a_target_not_reached_is_a_lower_bound() -> None:
    steps, curve = np.array([0, 10, 20]), np.array([2.0, 1.0, 0.6])
    assert steps_to_target(steps, curve, 20, 1.0).value == 10
    late = steps_to_target(steps, curve, 20, 0.5)
    assert (late.value, late.reached) == (20, False)


def test_area_and_final_loss_of_simple_curves() -> None:
    steps = np.array([0, 50, 100])
    assert loss_auc(steps, np.array([2.0, 2.0, 2.0]), 100, False).value == pytest.approx(1)
    assert loss_auc(steps, np.array([2.0, 1.0, 0.0]), 100, False).value == pytest.approx(0.5)
    lost = loss_auc(np.array([0, 50]), np.array([2.0, np.nan]), 100, True)
    assert (lost.value, lost.reached) == (pytest.approx(1), False)
    assert final_loss(np.array([2.0, 9.0, np.nan]), True).value == 9.0
    assert not final_loss(np.array([2.0, 1.0]), True).reached


def test_kaplan_meier_against_a_slow_count_without_censoring() -> None:
    times = [3.0, 1.0, 4.0, 1.0, 5.0]
    at, share = kaplan_meier(times, [True] * 5)
    slow = [sum(time > moment for time in times) / 5 for moment in at]
    np.testing.assert_allclose(share, slow)


def test_the_staircase_holds_its_last_share_to_the_end() -> None:
    runs = [run(validation=[2.0, 0.4, 0.3]), run(validation=[2.0, 1.0, 0.9])]
    x, y = still_above(runs, "validation", 0.5)
    assert x == (0.0, 10.0, 10.0, 20.0)
    assert y == (1.0, 1.0, 0.5, 0.5)


def test_slope_and_log_norms() -> None:
    norms = np.exp(0.02 * np.arange(1, 51))
    steps, logs = log_norms((run(gradient_norm=norms), run(gradient_norm=norms[:30])))
    assert slope(steps, logs) == pytest.approx(0.02)
    assert slope(np.ones(4), np.arange(4.0)) == 0


def test_layers_that_vanish_or_explode() -> None:
    healthy = np.full((20, 5), 1.0) * np.array([1, 3, 0.5, 2, 1])
    assert not vanishing(healthy).any() and not exploding(healthy).any()
    faint = healthy * np.array([1, 1e-6, 1, 1, 1])
    assert vanishing(faint).tolist() == [False, True, False, False, False]
    dead = healthy * np.array([1, 0, 0, 0, 1])  # then the median layer has no gradient either
    assert vanishing(dead).tolist() == [False, True, True, True, False]
    assert vanishing(np.zeros((20, 2))).all()
    flare = healthy.copy()
    flare[12, 3] *= 500
    assert exploding(flare).tolist() == [False, False, False, True, False]
    flare[12, 3] = np.nan
    assert exploding(flare).tolist() == [False, False, False, True, False]
    tower = healthy * np.array([1e5, 1, 1, 1, 1])
    assert exploding(tower).tolist() == [True, False, False, False, False]


def test_the_noise_scale_is_unbiased_on_planted_gradients() -> None:
    generator = np.random.default_rng(0)
    mean, sd, half, dim = 0.5, 2.0, 16, 40
    g1, g2 = (mean + sd / np.sqrt(half) * generator.standard_normal((400, dim)) for _ in range(2))
    planted = run(agreement=(g1 * g2).sum(1), disagreement=((g1 - g2) ** 2).sum(1), noise_rows=half)
    assert noise_scale(planted).value == pytest.approx(sd**2 / mean**2, rel=0.1)
    silent = run(agreement=generator.standard_normal(40), disagreement=np.ones(40), noise_rows=half)
    assert noise_scale(silent).value is None


def test_pictures_are_thinned_named_and_banded() -> None:
    assert thinned(5, 10).tolist() == [0, 1, 2, 3, 4]
    assert thinned(1000, 5).tolist() == [0, 250, 500, 749, 999]
    assert short_names(["only.weight"]) == ("only",)
    assert short_names(["t.0.weight", "t.1.weight"]) == ("t.0", "t.1")
    assert short_names(["net.a.conv.weight", "net.a.weight", "net.b.conv.weight"]) == (
        "net.a.conv",
        "net.a",
        "net.b.conv",
    )
    steps, middle, low, high = band(
        [(np.array([0, 1, 2]), np.array([1.0, 2.0, np.nan])), (np.array([0, 1]), np.array([3.0, 4.0]))]
    )
    assert steps.tolist() == [0, 1]
    assert (middle.tolist(), low.tolist(), high.tolist()) == ([2, 3], [1, 2], [3, 4])
