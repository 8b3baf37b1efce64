"""Rank agreement of maps and CKA of representations: analytic cases, scipy and the direct formula as oracles."""

import doctest

import numpy as np
import pytest
from scipy.stats import spearmanr

from auditor.methods.similarity import cka, ranks
from auditor.methods.similarity.cka import cka_by_example, linear_cka
from auditor.methods.similarity.ranks import signed_rank_correlation, top_k_overlap

RNG = np.random.default_rng(0)


def test_the_examples_in_the_text_hold() -> None:
    assert doctest.testmod(ranks).failed == doctest.testmod(cka).failed == 0


def test_rank_correlation_equals_scipys_with_ties_and_padding() -> None:
    a, b = RNG.normal(size=(6, 5, 4)).round(1), RNG.normal(size=(6, 5, 4)).round(1)
    found = signed_rank_correlation(a, b)
    np.testing.assert_allclose(found.values, [spearmanr(x.ravel(), y.ravel())[0] for x, y in zip(a, b, strict=True)])
    lines, others, lengths = a.reshape(6, 20), b.reshape(6, 20), [20, 3, 7, 20, 11, 5]
    cut = signed_rank_correlation(lines, others, lengths).values
    wanted = [spearmanr(x[:k], y[:k])[0] for x, y, k in zip(lines, others, lengths, strict=True)]
    np.testing.assert_allclose(cut, wanted)


def test_constant_maps_are_flagged_and_never_nan() -> None:
    a = RNG.normal(size=(3, 4, 4))
    a[1] = 7
    for found in (signed_rank_correlation(a, a), top_k_overlap(a, a)):
        assert found.constant.tolist() == [False, True, False]
    np.testing.assert_allclose(signed_rank_correlation(a, a).values, [1, 0, 1])
    np.testing.assert_allclose(signed_rank_correlation(a, -a).values, [-1, 0, -1])
    assert top_k_overlap(a, a).iou.tolist() == top_k_overlap(a, a).corrected.tolist() == [1, 0, 1]


def test_overlap_equals_the_sets_counted_one_by_one() -> None:
    a, b = (
        RNG.permuted(np.tile(np.arange(50.0), (8, 1)), axis=1),
        RNG.permuted(np.tile(np.arange(50.0), (8, 1)), axis=1),
    )
    found = top_k_overlap(a, b, 0.2)
    for row in range(8):
        first, second = set(np.argsort(a[row])[-10:]), set(np.argsort(b[row])[-10:])
        assert found.iou[row] == len(first & second) / len(first | second)
        assert found.share[row] == len(first & second) / 10
        assert found.chance[row] == pytest.approx(0.2)


def test_the_share_of_random_maps_is_its_chance() -> None:
    found = top_k_overlap(RNG.normal(size=(500, 60)), RNG.normal(size=(500, 60)), 0.1)
    assert found.share.mean() == pytest.approx(0.1, abs=0.02)
    assert found.corrected.mean() == pytest.approx(0, abs=0.02)


def test_ties_are_no_agreement() -> None:
    a, b = np.zeros((1, 100)), np.zeros((1, 100))
    a[0, 3], b[0, 90] = 1, 1
    assert top_k_overlap(a, b, 0.1).iou[0] == 0
    assert top_k_overlap(a, a, 0.1).iou[0] == 1
    half = (np.arange(100) < 50).astype(float)[None]
    assert top_k_overlap(half, half[:, ::-1], 0.1).iou[0] == 0


def test_bad_maps_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        signed_rank_correlation(np.ones((2, 3)), np.ones((2, 4)))
    with pytest.raises(ValueError, match="finite"):
        top_k_overlap(np.array([[1.0, np.nan]]), np.array([[1.0, 2.0]]))
    with pytest.raises(ValueError, match="share"):
        top_k_overlap(np.ones((2, 3)), np.ones((2, 3)), 0)
    with pytest.raises(ValueError, match="lengths"):
        signed_rank_correlation(np.ones((2, 3)), np.ones((2, 3)), [4, 1])


def direct_hsic(x: np.ndarray, y: np.ndarray) -> float:
    """The unbiased HSIC as a sum over distinct quadruples: the definition, O(n^4)."""
    k, el, n = x @ x.T, y @ y.T, len(x)
    total, count = 0.0, 0
    for i in range(n):
        for j in range(n):
            for q in range(n):
                for r in range(n):
                    if len({i, j, q, r}) == 4:
                        total += k[i, j] * (el[i, j] + el[q, r] - 2 * el[i, q])
                        count += 1
    return total / count


def test_cka_equals_the_definition_over_quadruples() -> None:
    x, y = RNG.normal(size=(9, 3)) + 2, RNG.normal(size=(9, 5))
    y[:, :3] += x
    wanted = direct_hsic(x, y) / np.sqrt(direct_hsic(x, x) * direct_hsic(y, y))
    assert linear_cka(x, y) == pytest.approx(wanted, rel=1e-9)


def test_cka_knows_no_rotation_scale_or_shift() -> None:
    x = RNG.normal(size=(300, 6))
    rotation, _ = np.linalg.qr(RNG.normal(size=(6, 6)))
    assert linear_cka(x, 3 * x @ rotation + 5) == pytest.approx(1)
    assert cka_by_example(x, x) == pytest.approx(np.ones(300))


def test_unrelated_wide_representations_are_not_alike() -> None:
    x, y = RNG.normal(size=(256, 400)), RNG.normal(size=(256, 400))
    assert abs(linear_cka(x, y)) < 0.05


def test_pseudo_values_equal_leaving_each_example_out() -> None:
    x = RNG.normal(size=(20, 4))
    y = x[:, :2] + RNG.normal(size=(20, 2))
    whole = linear_cka(x, y)
    without = [linear_cka(np.delete(x, i, 0), np.delete(y, i, 0)) for i in range(20)]
    np.testing.assert_allclose(cka_by_example(x, y), 20 * whole - 19 * np.array(without), rtol=1e-8)


def test_the_jackknifes_standard_error_is_that_of_repeated_draws() -> None:
    drawn = []
    for _ in range(200):
        x = RNG.normal(size=(256, 5))
        y = x + RNG.normal(size=(256, 5))
        drawn.append((linear_cka(x, y), cka_by_example(x, y).std(ddof=1) / 16))
    estimates, errors = np.array(drawn).T
    assert errors.mean() == pytest.approx(estimates.std(ddof=1), rel=0.2)


def test_what_has_no_cka_is_refused() -> None:
    x = RNG.normal(size=(9, 3))
    for y, words in ((np.ones((9, 2)), "does not vary"), (x[:5], "expected"), (np.full((9, 1), np.nan), "finite")):
        with pytest.raises(ValueError, match=words):
            linear_cka(x, y)
    with pytest.raises(ValueError, match="at least 4"):
        linear_cka(x[:3], x[:3])
