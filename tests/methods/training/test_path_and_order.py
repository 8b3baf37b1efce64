"""Paths of known shape, orders that are known, and phases that were planted."""

import itertools

import numpy as np
import pytest
from walks import changes_of, circle, line, swapped, walk

from auditor.methods.training.order import SHORTER, SHORTER_AT_AN_END, exchanges
from auditor.methods.training.path import distances, efficiency, even_records, plane, points
from auditor.methods.training.phases import change_points


@pytest.mark.parametrize("records", [16, 17, 33, 100])
def test_a_random_walk_of_real_tensors_has_an_efficiency_of_a_quarter_at_any_spacing(records: int) -> None:
    found = changes_of(walk(records, size=100_000, seed=records))
    assert efficiency(points(found), found.steps) == pytest.approx(0.25, abs=0.03)


def test_a_random_walk_of_five_hundred_records_and_uneven_steps_has_the_same() -> None:
    draw = np.random.default_rng(0)
    at = np.cumsum(draw.normal(size=(501, 256)), axis=0)  # as projections of a walk in many dimensions are
    assert efficiency(at, np.arange(501)) == pytest.approx(0.25, abs=0.03)
    dense = np.concatenate([np.arange(20), np.arange(20, 801, 20)])
    walked = np.cumsum(draw.normal(size=(801, 256)), axis=0)[dense]
    assert efficiency(walked, dense) == pytest.approx(0.25, abs=0.03)


def test_a_line_is_straight_and_a_circle_gets_nowhere() -> None:
    for states, expected in ((line(16), 1.0), (line(40), 1.0), (circle(16), 0.0), (circle(48), 0.0)):
        found = changes_of(states)
        assert efficiency(points(found), found.steps) == pytest.approx(expected, abs=1e-4)


def test_what_has_no_sixteen_gaps_is_not_measured() -> None:
    short = changes_of(line(15))
    assert efficiency(points(short), short.steps) is None
    assert even_records(np.array([*range(17), 10_000])) is None
    still = changes_of([line(1)[0]] * 20)
    assert efficiency(points(still), still.steps) is None
    assert efficiency(np.zeros((20, 0)), np.arange(20)) is None


def test_points_end_where_numbers_are_not_finite() -> None:
    found = changes_of(line(16))
    found.projection[10] = np.nan
    assert points(found).shape == (11, 256)


def test_distances_are_those_of_the_points_and_the_plane_keeps_a_flat_path() -> None:
    at = np.random.default_rng(0).normal(size=(9, 5))
    np.testing.assert_allclose(distances(at), np.linalg.norm(at[:, None] - at, axis=2), atol=1e-7)
    flat = (
        np.random.default_rng(0).normal(size=(9, 2)) @ np.linalg.qr(np.random.default_rng(1).normal(size=(7, 2)))[0].T
    )
    drawn, share = plane(flat)
    assert share == pytest.approx(1)
    np.testing.assert_allclose(distances(drawn), distances(flat), atol=1e-6)
    assert plane(np.zeros((4, 3)))[1] == 1


def slow_best(d: np.ndarray) -> tuple[float, int, int]:
    """The exchange that shortens the path most, by the length of the whole path each time."""

    def gaps(order: list[int], beside: set[int]) -> float:
        pairs = [(i, i + 1) for i in range(len(order) - 1) if {i, i + 1} & beside and {i, i + 1} != beside]
        return sum(d[order[i], order[j]] for i, j in pairs)

    best = (0.0, -1, -1)
    for a, b in itertools.combinations(range(len(d)), 2):
        order = list(range(len(d)))
        before = gaps(order, {a, b})
        order[a], order[b] = b, a
        after = gaps(order, {a, b})
        least = SHORTER_AT_AN_END if a == 0 or b == len(d) - 1 else SHORTER
        if before > 0 and 1 - after / before >= least:
            best = max(best, (before - after, a, b), key=lambda found: found[0])
    return best


@pytest.mark.parametrize("seed", range(6))
def test_the_first_exchange_is_that_of_a_slow_search(seed: int) -> None:
    at = np.random.default_rng(seed).normal(size=(8, 3))
    d = distances(at)
    gain, a, b = slow_best(d)
    found = exchanges(d)
    assert (found[0].first, found[0].second) == (a, b) if gain > 0 else found == ()


@pytest.mark.parametrize(("one", "other"), [(4, 5), (2, 9), (7, 9), (0, 1), (11, 12), (0, 12)])
@pytest.mark.parametrize("kind", ["line", "walk"])
def test_swapped_records_are_found_and_put_back(kind: str, one: int, other: int) -> None:
    states = line(12) if kind == "line" else walk(12, size=20_000)
    assert exchanges(distances(points(changes_of(states)))) == ()
    found = exchanges(distances(points(changes_of(swapped(states, one, other)))))
    assert [(each.first, each.second) for each in found] == [(one, other)]


def test_two_swaps_are_two_exchanges() -> None:
    states = swapped(swapped(walk(30, size=20_000), 3, 20), 10, 11)
    found = exchanges(distances(points(changes_of(states))))
    assert sorted((each.first, each.second) for each in found) == [(3, 20), (10, 11)]


def test_records_that_scatter_around_one_place_with_less_and_less_noise_have_no_order() -> None:
    for seed in range(20):
        draw = np.random.default_rng(seed)
        scatter = draw.normal(size=(20, 5_000)) * np.linspace(1, 0.05, 20)[:, None]
        at = scatter @ draw.normal(size=(5_000, 256)) / 16
        assert exchanges(distances(at)) == ()


def test_equal_records_and_few_records_have_none() -> None:
    assert exchanges(np.zeros((5, 5))) == ()
    assert exchanges(np.zeros((0, 0))) == exchanges(np.zeros((1, 1))) == ()


def noisy(values: np.ndarray, scatter: float, seed: int) -> np.ndarray:
    return (values + np.random.default_rng(seed).normal(0, scatter, len(values)))[None]


@pytest.mark.parametrize("count", [20, 60, 200])
def test_white_noise_and_smooth_decay_are_one_phase(count: int) -> None:
    share = (np.arange(count) + 0.5) / count
    for curve in (np.zeros(count), -np.log(1 + 20 * share), -3 * share):
        assert sum(change_points(noisy(curve, 0.1, seed)) != () for seed in range(20)) <= 1


@pytest.mark.parametrize("count", [20, 60, 200])
def test_planted_jumps_are_found_where_they_are(count: int) -> None:
    share = np.arange(count) / count
    one, two = np.where(share < 0.5, 0.0, -2.3), np.where((share < 0.3) | (share >= 0.7), 0.0, 2.3)
    for seed in range(10):
        assert change_points(noisy(one, 0.1, seed)) == (count // 2,)
        assert len(change_points(noisy(two, 0.1, seed))) == 2


def test_a_jump_of_either_series_is_a_phase_of_both() -> None:
    flat, jump = noisy(np.zeros(40), 0.1, 0), noisy(np.where(np.arange(40) < 25, 0.0, -2.0), 0.1, 1)
    assert change_points(np.concatenate([flat, jump])) == (25,)
    assert change_points(np.zeros((1, 7))) == change_points(np.zeros((1, 0))) == ()
    assert change_points(np.zeros((1, 40))) == ()
