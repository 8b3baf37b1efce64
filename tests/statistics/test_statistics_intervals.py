"""Intervals against textbook values, exact enumerations and the equations that define them."""

from itertools import pairwise
from math import inf, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from auditor.statistics import (
    GRID,
    binomial_tail,
    clopper_pearson,
    difference,
    moments,
    newcombe,
    paired,
    quantile_interval,
    t_interval,
    wilson,
)

CONFIDENCE = st.floats(0.5, 0.999999)
NAN = float("nan")


def counts(largest: int = 500) -> st.SearchStrategy[tuple[int, int]]:
    return st.integers(1, largest).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_of_newcombe_1998(k: int, n: int, low: float, high: float) -> None:
    assert wilson(k, n, 0.95) == pytest.approx((low, high), abs=5e-5)


@given(counts(), CONFIDENCE)
def test_wilson_ends_solve_the_score_equation(of: tuple[int, int], confidence: float) -> None:
    (k, n), z = of, stats.norm.isf((1 - confidence) / 2)
    for p in wilson(k, n, confidence):
        assert 0 <= p <= 1
        if 0 < p < 1:
            assert abs(k / n - p) == pytest.approx(z * sqrt(p * (1 - p) / n), rel=1e-6, abs=1e-12)


@given(counts(), CONFIDENCE)
def test_wilson_holds_the_estimate_and_mirrors(of: tuple[int, int], confidence: float) -> None:
    k, n = of
    low, high = wilson(k, n, confidence)
    assert low <= k / n <= high
    assert wilson(n - k, n, confidence) == pytest.approx((1 - high, 1 - low), abs=1e-12)


@given(counts(), st.floats(0.5, 0.99), st.floats(0.0, 0.009))
def test_wilson_widens_with_confidence_and_is_never_sure_of_more(
    of: tuple[int, int], confidence: float, more: float
) -> None:
    inner, outer = wilson(*of, confidence), wilson(*of, confidence + more)
    assert outer[0] <= inner[0] and inner[1] <= outer[1]


@pytest.mark.parametrize("n", [30, 100, 1000])
def test_wilson_covers_as_promised_by_exact_enumeration(n: int) -> None:
    k, rates = np.arange(n + 1), np.linspace(0.5, 0.95, 46)
    ends = np.array([wilson(int(i), n, 0.95) for i in k])
    coverage = [stats.binom.pmf(k, n, p)[(ends[:, 0] <= p) & (p <= ends[:, 1])].sum() for p in rates]
    assert 0.935 <= np.mean(coverage) <= 0.965
    assert min(coverage) >= 0.92


@pytest.mark.parametrize(("k", "n"), [(-1, 5), (6, 5), (0, 0)])
def test_wilson_refuses_impossible_counts(k: int, n: int) -> None:
    with pytest.raises(ValueError, match=f"k = {k}, n = {n}"):
        wilson(k, n, 0.95)


@pytest.mark.parametrize("confidence", [0.0, 1.0, -0.1, NAN, 95.0])
def test_a_confidence_lies_between_0_and_1(confidence: float) -> None:
    for interval in (
        lambda: wilson(1, 2, confidence),
        lambda: t_interval(0.0, 1.0, 5, confidence),
        lambda: newcombe(1, 2, 1, 2, confidence),
        lambda: quantile_interval(GRID, confidence),
    ):
        with pytest.raises(ValueError, match="confidence"):
            interval()


@given(st.integers(0, 40), st.floats(0.01, 0.99))
def test_binomial_tail_by_enumeration(k: int, p: float) -> None:
    pmf = stats.binom.pmf(np.arange(41), 40, p)
    assert binomial_tail(k, 40, p, 1) == pytest.approx(pmf[: k + 1].sum(), abs=1e-12)
    assert binomial_tail(k, 40, p, -1) == pytest.approx(pmf[k:].sum(), abs=1e-12)


def test_binomial_tail_of_a_bound_that_no_proportion_can_meet() -> None:
    assert binomial_tail(5, 5, 1.5, 1) == 0.0
    assert binomial_tail(0, 5, -0.5, -1) == 0.0


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6), st.integers(2, 10_000), CONFIDENCE)
def test_t_equals_scipys(mean: float, sd: float, n: int, confidence: float) -> None:
    low, high = t_interval(mean, sd, n, confidence)
    half = stats.t.ppf(0.5 + confidence / 2, n - 1) * sd / sqrt(n)
    assert (low, high) == pytest.approx((mean - half, mean + half), rel=1e-6, abs=1e-6)


def test_one_value_bounds_nothing() -> None:
    assert t_interval(3.0, 0.0, 1, 0.95) == (-inf, inf)


@pytest.mark.parametrize(
    ("mean", "sd", "n"), [(NAN, 1.0, 5), (0.0, NAN, 5), (inf, 1.0, 5), (0.0, 1.0, 0), (0.0, -1.0, 5)]
)
def test_t_refuses_what_is_no_sample(mean: float, sd: float, n: int) -> None:
    with pytest.raises(ValueError, match="t_interval"):
        t_interval(mean, sd, n, 0.95)


@pytest.mark.parametrize(
    ("table", "low", "high"),
    [((56, 70, 48, 80), 0.0524, 0.3339), ((9, 10, 3, 10), 0.1705, 0.8090), ((10, 10, 0, 10), 0.6075, 1.0)],
)
def test_newcombe_of_the_paper(table: tuple[int, int, int, int], low: float, high: float) -> None:
    assert newcombe(*table, 0.95) == pytest.approx((low, high), abs=5e-5)


@given(counts(60), counts(60), CONFIDENCE)
def test_newcombe_holds_the_estimate_and_mirrors(a: tuple[int, int], b: tuple[int, int], confidence: float) -> None:
    low, high = newcombe(*a, *b, confidence)
    assert low <= a[0] / a[1] - b[0] / b[1] <= high
    assert newcombe(*b, *a, confidence) == pytest.approx((-high, -low), abs=1e-12)


@pytest.mark.parametrize(("n1", "n2"), [(30, 30), (100, 100), (100, 60)])
def test_newcombe_covers_by_exact_enumeration(n1: int, n2: int) -> None:
    k1, k2 = np.arange(n1 + 1), np.arange(n2 + 1)
    first, second = ([wilson(int(k), n, 0.95) for k in ks] for ks, n in ((k1, n1), (k2, n2)))
    coverage = []
    for p1, p2 in ((0.9, 0.8), (0.75, 0.7), (0.95, 0.85)):
        held = np.array([
            [lo <= p1 - p2 <= hi for lo, hi in (difference(i / n1, first[i], j / n2, second[j]) for j in k2)]
            for i in k1
        ])  # fmt: skip
        coverage.append((np.outer(stats.binom.pmf(k1, n1, p1), stats.binom.pmf(k2, n2, p2)) * held).sum())
    assert 0.935 <= np.mean(coverage) <= 0.975


def test_difference_with_an_open_end_is_open_on_one_side() -> None:
    low, high = difference(5.0, (5.0, inf), 1.0, (0.5, 2.0))
    assert (low, high) == (3.0, inf)
    assert difference(5.0, (5.0, 5.0), 1.0, (1.0, inf)) == (-inf, 4.0)


def test_grid_is_symmetric_ascending_and_holds_the_common_levels() -> None:
    assert all(a < b for a, b in pairwise(GRID))
    assert [p + q for p, q in zip(GRID, reversed(GRID), strict=True)] == pytest.approx([1.0] * len(GRID))
    for level in (0.025, 0.005, 0.05, 0.025 / 2, 0.025 / 40, 0.00025):
        assert min(abs(p - level) for p in GRID) < 1e-12


@pytest.mark.parametrize(
    ("confidence", "low", "high"),
    [
        (0.95, 0.025, 0.975),
        (0.99, 0.005, 0.995),
        (0.9, 0.05, 0.95),
        (0.944, 0.025, 0.975),  # between two probabilities the outer one
        (1 - 2 * 0.00025, 0.00025, 0.99975),
        (1 - 2 * 0.000249, -inf, inf),  # beyond the grid nothing is known
    ],
)
def test_quantile_interval_reads_the_grid_and_never_beyond(confidence: float, low: float, high: float) -> None:
    assert quantile_interval(GRID, confidence) == pytest.approx((low, high))


@pytest.mark.parametrize("values", [(), (1.0,) * 3, tuple(reversed(GRID)), (NAN, *GRID[1:]), (*GRID[:-1], inf)])
def test_quantile_interval_refuses_what_is_no_distribution(values: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="quantile_interval"):
        quantile_interval(values, 0.95)


def test_moments_by_hand() -> None:
    assert moments([1.0, 2.0, 3.0, 6.0]) == (3.0, pytest.approx(sqrt(14 / 3)), 4)
    assert moments([7]) == (7.0, 0.0, 1)
    assert moments(np.array([True, False])) == (0.5, pytest.approx(sqrt(0.5)), 2)


def test_paired_is_of_the_differences() -> None:
    assert paired([3.0, 5.0, 9.0], [1.0, 1.0, 3.0]) == (4.0, pytest.approx(2.0), 3)


@pytest.mark.parametrize("values", [[], [1.0, NAN], [inf], [[1.0, 2.0]]])
def test_moments_refuse_what_is_no_column(values: list[float]) -> None:
    with pytest.raises(ValueError, match="moments"):
        moments(values)


def test_paired_refuses_columns_of_two_lengths() -> None:
    with pytest.raises(ValueError, match="paired"):
        paired([1.0, 2.0], [1.0])


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 10), (10, 10), (29, 30), (81, 263)])
def test_clopper_pearson_equals_scipys_exact_interval(k: int, n: int) -> None:
    oracle = stats.binomtest(k, n).proportion_ci(0.95, method="exact")
    assert clopper_pearson(k, n, 0.95) == pytest.approx((oracle.low, oracle.high))
    low, high = clopper_pearson(k, n, 0.95)
    narrow = wilson(k, n, 0.95)
    assert low <= k / n <= high and high - low >= narrow[1] - narrow[0]


def test_clopper_pearson_refuses_what_is_no_proportion() -> None:
    with pytest.raises(ValueError, match="expected 0 <= k <= n"):
        clopper_pearson(3, 2, 0.95)


def test_equal_values_have_no_spread_to_the_last_digit() -> None:
    assert moments([0.1] * 3) == (0.1, 0.0, 3)
