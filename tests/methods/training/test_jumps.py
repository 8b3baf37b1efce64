"""Jumps: edits of one tensor are seen, schedules, restarts and resumed runs are not; against a slow definition."""

from dataclasses import replace

import numpy as np
import pytest
from histories import changes

from auditor.methods.training.jumps import FACTOR, jumps_of


def noisy(seed: int = 0, intervals: int = 12, tensors: int = 5, scatter: float = 0.1) -> np.ndarray:
    """Changes that follow one schedule, each tensor at a level of its own, with some scatter."""
    draw = np.random.default_rng(seed)
    schedule = np.linspace(1.0, 0.1, intervals)[:, None]
    return schedule * draw.uniform(0.5, 2.0, (1, tensors)) * np.exp(draw.normal(0, scatter, (intervals, tensors)))


def found(moved: np.ndarray, **given: object) -> list[tuple[int, int]]:
    jumps = jumps_of(replace(changes(moved, np.full(moved.shape, 10.0)), **given))
    assert jumps is not None
    return [(int(row), int(jumps.places[column])) for row, column in np.argwhere(jumps.found)]


def slow(moved: np.ndarray) -> np.ndarray:
    """The excess by its definition, cell by cell."""
    logs = np.log(moved)
    excess = np.full(logs.shape, -np.inf)
    for i in range(1, len(logs) - 1):
        over = [logs[i, t] - (logs[i - 1, t] + logs[i + 1, t]) / 2 for t in range(logs.shape[1])]
        excess[i] = np.array(over) - np.median(over)
    for end, near in ((0, (1, 2, 3)), (-1, (-2, -3, -4))):
        over = [logs[end, t] - np.median([logs[i, t] for i in near]) for t in range(logs.shape[1])]
        excess[end] = np.array(over) - np.median(over)
    return excess


def test_the_excess_is_that_of_the_definition() -> None:
    moved = noisy()
    jumps = jumps_of(changes(moved, np.full(moved.shape, 10.0)))
    assert jumps is not None
    np.testing.assert_allclose(jumps.excess, slow(moved), atol=1e-12)


@pytest.mark.parametrize("row", [1, 4, 10])
def test_a_planted_jump_is_found_where_it_is_and_nowhere_else(row: int) -> None:
    moved = noisy()
    moved[row, 2] *= 4
    assert found(moved) == [(row, 2)]
    jumps = jumps_of(changes(moved, np.full(moved.shape, 10.0)))
    assert jumps is not None and jumps.intervals.tolist() == [row]


@pytest.mark.parametrize("row", [0, 11])
def test_an_end_of_the_history_is_compared_with_the_three_beside_it_by_a_larger_factor(row: int) -> None:
    moved = noisy()
    moved[row, 2] *= 2.8
    assert found(moved) == []
    moved[row, 2] *= 2
    assert found(moved) == [(row, 2)]
    moved[row] *= 30  # on top of what all tensors did
    assert found(moved) == [(row, 2)]


def test_a_tensor_that_starts_at_zero_is_no_jump_of_the_first_interval() -> None:
    moved, norm = noisy(), np.full((12, 5), 10.0)
    norm[0, 1] = 0.0
    norm[1:, 1] = np.cumsum(moved[:-1, 1])
    jumps = jumps_of(changes(moved, norm))
    assert jumps is not None and jumps.judged.all() and not jumps.found.any()


def test_no_schedule_restart_or_resumed_run_is_a_jump() -> None:
    assert found(noisy()) == []
    for row in (0, 6, 11):
        moved = noisy()
        moved[row] *= 30  # all tensors alike
        assert found(moved) == []
    stepped = noisy()
    stepped[6:] /= 100
    assert found(stepped) == []


def test_a_tensor_that_scatters_widely_by_itself_reads_as_a_jump_in_a_fifth_of_histories_at_most() -> None:
    draw = np.random.default_rng(3)
    seen = []
    for seed in range(40):
        moved = noisy(seed, intervals=30)
        moved[:, 1] *= np.exp(draw.normal(0, 1.0, 30))
        seen.append(bool(found(moved)))
    assert sum(seen) <= 8


def test_a_tensor_that_moves_in_one_interval_alone_jumped_and_one_that_begins_to_move_has_not() -> None:
    moved = noisy(tensors=12)
    moved[:, 0] = 0
    moved[5, 0] = 1e-3
    moved[:6, 1] = 0  # thawed
    moved[6:, 2] = 0  # frozen later
    moved[1:, 3] = 0  # only at the start: it may have been frozen after the first record
    assert found(moved) == [(5, 0)]


def test_an_edit_of_few_elements_is_seen_by_how_few_they_are() -> None:
    moved = noisy(scatter=0.02)
    moved[4, 1] *= 1.5
    assert found(moved) == []
    few = moved.copy()
    few[4, 1] /= 1.3  # the same norm from fewer elements
    assert found(moved, l1_change=few) == [(4, 1)]
    quiet = noisy(scatter=0.02)
    assert found(quiet, l1_change=quiet * np.where(np.arange(12)[:, None] == 4, 0.5, 1.0)) == []  # all tensors alike


def test_what_rounding_may_explain_is_no_jump_and_hides_none_beside_it() -> None:
    moved = noisy(scatter=0.0)
    moved[:, 0] = 0.0
    moved[5, 0] = 0.02
    rounding = np.zeros(moved.shape)
    rounding[:, 0] = 0.01
    assert found(moved, resolution=rounding) == []  # 2 resolutions are not decidable
    moved[5, 0] = 0.05
    assert found(moved, resolution=rounding) == []  # above 3 x .01 in neighbours that are not decidable, by less than e
    moved[5, 0] = 0.5
    assert found(moved, resolution=rounding) == [(5, 0)]


def test_changes_within_rounding_are_not_judged_and_an_edit_among_them_is_seen() -> None:
    moved, rounding = noisy(), np.full((12, 5), 1.0)
    part = replace(changes(moved, np.full(moved.shape, 100.0)), resolution=rounding)
    assert jumps_of(part) is None
    for row in (0, 5, 11):
        edited = moved.copy()
        edited[row, 2] = 50.0
        jumps = jumps_of(replace(part, change=edited))
        assert jumps is not None and np.flatnonzero(jumps.judged).tolist() == [row]
        assert np.argwhere(jumps.found).tolist() == [[row, 2]]


def test_an_end_with_fewer_than_three_tensors_that_move_beside_it_is_not_judged() -> None:
    moved = noisy()
    moved[-2, :3] = 0
    jumps = jumps_of(changes(moved, np.full(moved.shape, 10.0)))
    assert jumps is not None and not jumps.judged[-1] and jumps.judged[0]


def test_too_few_intervals_or_tensors_cannot_be_read() -> None:
    assert jumps_of(changes([[1.0] * 4] * 5, [[1.0] * 4] * 5)) is None
    assert jumps_of(changes([[1.0] * 2] * 8, [[1.0] * 2] * 8)) is None
    assert jumps_of(changes([[0.0] * 4] * 8, [[1.0] * 4] * 8)) is None
    assert jumps_of(changes(np.zeros((0, 4)), np.zeros((0, 4)))) is None


def test_vectors_join_where_matrices_are_few() -> None:
    moved = noisy()
    moved[4, 3] *= 10
    jumps = [
        jumps_of(changes(moved, np.full(moved.shape, 10.0), dims=dims)) for dims in ([2, 2, 2, 1, 1], [2, 2, 1, 1, 1])
    ]
    assert jumps[0] is not None and not jumps[0].found.any()  # the vector is not among the matrices
    assert jumps[1] is not None and jumps[1].places.tolist() == [0, 1, 2, 3, 4]
    assert jumps[1].intervals.tolist() == [4]
    assert pytest.approx(np.e) == FACTOR
