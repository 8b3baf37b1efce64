"""Bootstraps: what each draws, and that its distribution is the one that enumeration gives."""

from itertools import product

import numpy as np
import pytest

from auditor.statistics import (
    GRID,
    REPLICATES,
    cluster_bootstrap,
    dependence,
    halves,
    moving_blocks,
    quantile_interval,
    stratified_bootstrap,
)

VALUES = np.array([0.0, 1.0, 4.0, 9.0, 16.0])


def mean_of(rows: np.ndarray) -> float:
    return float(VALUES[rows].mean())


def seen(draws: list[np.ndarray]) -> "object":
    def estimate(rows: np.ndarray) -> float:
        draws.append(rows.copy())
        return float(rows.sum())

    return estimate


def assert_quantiles_of(every: np.ndarray, found: tuple[float, ...]) -> None:
    """Each value is a quantile of all resamples at its probability, to within the noise of the draws."""
    for p, value in zip(GRID, found, strict=True):
        assert (every < value - 1e-9).mean() - 0.012 <= p <= (every <= value + 1e-9).mean() + 0.012


def test_the_distribution_is_that_of_all_resamples() -> None:
    """Slow oracle: all 5^5 resamples, each as likely."""
    every = np.array([VALUES[list(rows)].mean() for rows in product(range(5), repeat=5)])
    found = stratified_bootstrap(mean_of, np.zeros(5), seed=1, replicates=40_000)
    assert_quantiles_of(every, found)


def test_with_strata_the_distribution_is_that_of_all_resamples_within_them() -> None:
    strata = np.array(["b", "b", "a", "a", "a"])
    every = np.array(
        [VALUES[[*one, *two]].mean() for one in product((0, 1), repeat=2) for two in product((2, 3, 4), repeat=3)]
    )
    found = stratified_bootstrap(mean_of, strata, seed=2, replicates=20_000)
    assert_quantiles_of(every, found)


def test_each_stratum_keeps_its_size() -> None:
    draws: list[np.ndarray] = []
    strata = np.array([2, 0, 0, 7, 2, 2])
    stratified_bootstrap(seen(draws), strata, seed=0)
    assert len(draws) == REPLICATES
    assert all(sorted(strata[rows]) == [0, 0, 2, 2, 2, 7] for rows in draws)


def test_clusters_are_drawn_whole() -> None:
    draws: list[np.ndarray] = []
    groups = np.array(["a", "b", "a", "c", "c", "c"])
    cluster_bootstrap(seen(draws), groups, seed=0)
    members = {"a": {0, 2}, "b": {1}, "c": {3, 4, 5}}
    for rows in draws[:500]:
        times = {name: [int((rows == r).sum()) for r in own] for name, own in members.items()}
        assert all(len(set(counts)) == 1 for counts in times.values())
        assert sum(counts[0] for counts in times.values()) == 3


def test_blocks_are_runs_of_neighbours() -> None:
    draws: list[np.ndarray] = []
    moving_blocks(seen(draws), 20, seed=0, block=4)
    for rows in draws[:500]:
        assert rows.shape == (20,) and rows.min() >= 0 and rows.max() < 20
        assert (np.diff(rows.reshape(5, 4), axis=1) == 1).all()


def test_blocks_reach_every_row_and_the_last_is_cut() -> None:
    draws: list[np.ndarray] = []
    moving_blocks(seen(draws), 10, seed=0, block=3)
    assert {len(rows) for rows in draws} == {10}
    assert set(np.concatenate(draws).tolist()) == set(range(10))


def test_a_planted_trend_is_found_through_correlated_noise() -> None:
    rng, time = np.random.default_rng(5), np.arange(300) / 100
    noise = rng.normal(size=301)
    series = -0.8 * time + noise[1:] + 0.6 * noise[:-1]

    def slope(values: np.ndarray) -> tuple[float, float]:
        def estimate(rows: np.ndarray) -> float:
            t = time[rows] - time[rows].mean()
            return float((t * values[rows]).sum() / (t * t).sum())

        return quantile_interval(moving_blocks(estimate, 300, seed=3), 0.95)

    assert slope(series)[1] < 0
    low, high = slope(series + 0.8 * time)
    assert low < 0 < high


@pytest.mark.parametrize("bootstrap", [stratified_bootstrap, cluster_bootstrap])
def test_the_seed_decides(bootstrap: "object") -> None:
    values, labels = np.random.default_rng(9).normal(size=60), np.arange(60) // 3
    first, again, other = (bootstrap(lambda rows: values[rows].mean(), labels, seed) for seed in (1, 1, 2))
    assert first == again != other
    assert len(first) == len(GRID) and list(first) == sorted(first)


def test_a_replicate_that_is_no_number_is_an_error() -> None:
    with pytest.raises(ValueError, match="are not finite"):
        stratified_bootstrap(lambda rows: float("nan") if rows[0] == 3 else 1.0, np.zeros(5), seed=0)


def test_too_few_replicates_for_the_ends_of_the_grid() -> None:
    with pytest.raises(ValueError, match="at least 4000 replicates"):
        stratified_bootstrap(mean_of, np.zeros(5), seed=0, replicates=3998)


@pytest.mark.parametrize("block", [0, 21])
def test_a_block_must_fit(block: int) -> None:
    with pytest.raises(ValueError, match="block of 1 to 20"):
        moving_blocks(mean_of, 20, seed=0, block=block)


def test_halves_are_disjoint_complete_and_keep_units_together() -> None:
    units = np.array(["p1", "p2", "p1", "p3", "p4", "p4", "p5"])
    first, second = halves(units, seed=4)
    assert sorted([*first, *second]) == list(range(7))
    assert not set(units[first]) & set(units[second])
    assert len(set(units[first])) == 2
    assert [h.tolist() for h in halves(units, seed=4)] == [first.tolist(), second.tolist()]


def walk(memory: float, n: int, seed: int) -> np.ndarray:
    """A stationary series in which each value keeps a share `memory` of the one before."""
    noise, values = np.random.default_rng(seed).standard_normal(n + 100), np.zeros(n + 100)
    for place in range(1, n + 100):
        values[place] = memory * values[place - 1] + noise[place]
    return values[100:]


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.8])
def test_dependence_finds_what_a_series_is_worth(memory: float) -> None:
    found = [dependence(walk(memory, 2000, seed)) for seed in range(20)]
    worth = float(np.median([one[1] for one in found]))
    assert worth == pytest.approx(2000 * (1 - memory) / (1 + memory), rel=0.2)
    blocks = np.median([one[0] for one in found])
    exact = 1.5 * (1.5 * (2 * memory / (1 - memory**2)) ** 2) ** (1 / 3) * 2000 ** (1 / 3)
    assert 0.6 * exact - 1 <= blocks <= 1.4 * exact + 4


def test_a_series_of_equal_values_or_too_few_is_taken_as_it_is() -> None:
    assert dependence([3.0] * 50) == (2, 50.0)
    assert dependence([1.0, 2.0, 3.0]) == (2, 3.0)
    with pytest.raises(ValueError, match="finite"):
        dependence([float("nan")] * 9)
