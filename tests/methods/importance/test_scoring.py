"""The score of layers: the formulas by hand on three layers, what always holds, and degenerate cases."""

from dataclasses import replace

import numpy as np
import pytest
from histories import changes
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.methods.importance import score

RATE, IMPORTANCE = np.array([0.1, 0.2, 0.4]), np.array([6.0, 3.0, 1.0])
# percentiles 5 and 95 of three values a <= b <= c: a + .1 (b - a) and c - .1 (c - b)
U = np.array([1.0, 1 - (0.2 - 0.11) / (0.38 - 0.11), 0.0])
V = np.array([1.0, (0.3 - 0.12) / (0.57 - 0.12), 0.0])


def test_three_layers_by_hand() -> None:
    u, v = score.criteria(RATE, IMPORTANCE, "stable")
    np.testing.assert_allclose(u, U)
    np.testing.assert_allclose(v, V)
    np.testing.assert_allclose(score.criteria(RATE, IMPORTANCE, "as_published")[0], 1 - U)
    np.testing.assert_allclose(score.joined(0.25, u, v), 0.25 * U + 0.75 * V)
    p = [[x / sum(column) for x in column if x > 0] for column in (U, V)]
    d = [1 + sum(x * np.log(x) for x in column) / np.log(3) for column in p]
    assert score.entropy_weight(u, v) == pytest.approx(d[0] / sum(d))
    assert score.critic_weight(u, v) == pytest.approx(np.std(U) / (np.std(U) + np.std(V)))
    assert score.overall(0.25, 0.8, 0.1) == pytest.approx(0.25 * 0.8 + 0.75 * 0.9)


def test_critic_with_two_criteria_is_the_ratio_of_spreads_that_its_formula_leaves() -> None:
    rng = np.random.default_rng(0)
    u, v = rng.random(9), rng.random(9)
    conflict = 1 - np.corrcoef(u, v)[0, 1]
    published = u.std() * conflict / (u.std() * conflict + v.std() * conflict)
    assert score.critic_weight(u, v) == pytest.approx(published)


Layers = st.lists(st.tuples(st.floats(0, 1e3), st.floats(0, 1e3)), min_size=2, max_size=12)


@settings(max_examples=80, deadline=None)
@given(Layers, st.floats(0, 1), st.floats(1e-3, 1e3))
def test_scores_lie_between_both_criteria_keep_their_order_and_forget_units(
    layers: list[tuple[float, float]], alpha: float, unit: float
) -> None:
    rate, importance = np.array(layers).T
    u, v = score.criteria(rate, importance, "stable")
    joint = score.joined(alpha, u, v)
    assert ((joint >= np.minimum(u, v) - 1e-12) & (joint <= np.maximum(u, v) + 1e-12)).all()
    assert ((joint >= 0) & (joint <= 1)).all()
    assert (np.diff(u[np.argsort(rate, kind="stable")]) <= 1e-12).all()  # the faster, the lower
    assert (np.diff(v[np.argsort(importance, kind="stable")]) >= -1e-12).all()
    np.testing.assert_allclose(score.criteria(rate, importance, "as_published")[0], 1 - u, atol=1e-12)
    if np.ptp(v) > 0 and np.ptp(importance) > 1e-6 and np.ptp(rate) > 1e-6:
        again = score.criteria(rate * unit, importance * unit, "stable")
        np.testing.assert_allclose(again, (u, v), atol=1e-4)
    for weight in (score.entropy_weight(u, v), score.critic_weight(u, v), score.predicting_weight(u, v, importance)):
        assert 0 <= weight <= 1
    assert -1 <= score.rank_stability(alpha, u, v) <= 1


def test_what_does_not_differ_says_nothing_and_weighs_nothing() -> None:
    level, rising = np.ones(4), np.arange(4.0)
    u, v = score.criteria(level, rising, "stable")
    assert u.tolist() == [0.5] * 4
    assert score.entropy_weight(u, v) == score.critic_weight(u, v) == 0
    assert score.entropy_weight(u, u) == score.critic_weight(u, u) == 0.5
    assert score.criteria(rising, np.zeros(4), "stable")[1].tolist() == [0.5] * 4
    assert score.kendall(level, rising) == 0 and score.kendall(level, level) == 1
    one = score.criteria(np.array([0.3]), np.array([2.0]), "stable")
    assert [each.tolist() for each in one] == [[0.5], [0.5]]
    assert score.entropy_weight(*one) == 0.5


def test_kendall_is_scipy_s_tau_b() -> None:
    from scipy.stats import kendalltau

    rng = np.random.default_rng(1)
    for _ in range(20):
        a, b = rng.integers(0, 5, 12).astype(float), rng.random(12)
        assert score.kendall(a, b) == pytest.approx(kendalltau(a, b).statistic)


def test_alpha_is_that_whose_ranking_predicts_best() -> None:
    u, v = np.array([1.0, 0.5, 0.0]), np.array([0.0, 0.4, 1.0])
    assert score.predicting_weight(u, v, np.array([3.0, 2.0, 1.0])) == pytest.approx(0.55)  # the nearest to the middle
    assert score.predicting_weight(u, v, np.array([1.0, 2.0, 3.0])) == pytest.approx(0.4)


def _history():  # type: ignore[no-untyped-def]
    wave = 1 + 0.5 * np.sin(np.arange(12.0))
    moved = np.stack([0.3 * np.ones(12), 0.4 * np.ones(12), wave, np.zeros(12), 9 * np.ones(12)], axis=1)
    found = changes(moved, np.full((12, 5), 5.0), dims=[2, 1, 2, 2, 1])
    names = ("a.weight", "a.bias", "b.weight", "still.weight", "norm.weight")
    return replace(found, tensors=names)


def test_a_layer_is_its_tensors_taken_as_one_vector_and_frozen_ones_have_no_steadiness() -> None:
    layers = score.layers_of(_history(), [[0, 1], [2], [3]])
    assert layers is not None
    np.testing.assert_allclose(layers.rate[0], 0.5 / np.sqrt(50))
    assert layers.unsteady[0] == pytest.approx(0, abs=1e-12) and layers.unsteady[1] > 0.1
    assert layers.rate[2] == 0 and layers.moved.tolist() == [True, True, False]
    assert layers.steadiness() == pytest.approx((1 + np.exp(-layers.unsteady[1])) / 2)
    frozen = score.layers_of(_history(), [[3]])
    assert frozen is not None and frozen.steadiness() is None
    assert score.layers_of(changes([[1.0]], [[1.0]]), [[0]]) is None


def test_layers_are_matched_by_name_and_vectors_alone_are_left_out() -> None:
    known = score.shared(_history(), ("b.weight", "a.weight", "a.bias", "norm.weight", "head.weight"))
    assert known.names == ("b", "a")
    assert known.history == ((2,), (0, 1)) and known.weighed == ((0,), (1, 2))
    assert (known.unfollowed, known.unweighed, known.vectors) == (1, 1, 1)
    assert score.shared(_history(), ("a.bias", "norm.weight")).names == ("a", "norm")  # nothing but vectors
    assert score.shared(_history(), ("x",)).names == ()
