"""Candidates: what is planted is found, equals are not told apart, and what diverged never wins."""

from typing import Any

import numpy as np
import pytest
from histories import run

from auditor.methods.candidates import Scores, apart, gap, lr_tolerance, paired, race, standing, wins


def scores(accuracy: float, loss: float, seeds: int = 5, n: int = 200, seed: int = 0, **given: Any) -> Scores:
    """Seeds that differ a little, examples that differ much; examples 0, 1, ... are equally hard for all candidates."""
    hard = np.random.default_rng(99).random(n)
    draw = np.random.default_rng(seed)
    level = accuracy + 0.005 * draw.normal(size=(seeds, 1))
    right = hard + 0.05 * draw.normal(size=(seeds, n)) < level
    return Scores(np.abs(loss * 2 * hard + 0.05 * draw.normal(size=(seeds, n))), right, **given)


def test_wins_are_counted_as_by_hand() -> None:
    one = Scores(np.array([[1.0, 2.0, 3.0, np.inf, np.inf, 1.0]]), None)
    other = Scores(np.array([[2.0, 1.0, 3.0 + 1e-9, np.inf, 1.0, np.inf]]), None)
    assert wins(one, other).tolist() == [[1.0, 0.0, 0.5, 0.5, 0.0, 1.0]]
    assert (wins(one, other) + wins(other, one) == 1).all()


def test_seeds_stand_side_by_side_and_a_model_without_stands_beside_each() -> None:
    five, three, one = np.arange(5)[:, None], np.arange(3)[:, None], np.full((1, 1), 9)
    assert [len(each) for each in paired(five, one)] == [5, 5] and (paired(five, one)[1] == 9).all()
    assert [len(each) for each in paired(five, three)] == [3, 3]


def test_two_draws_of_one_recipe_are_not_told_apart_and_a_worse_one_is() -> None:
    told = 0
    for seed in range(0, 40, 2):
        found = gap(scores(0.9, 0.3, seed=seed).table, scores(0.9, 0.3, seed=seed + 1).table, ())
        low, high = found.interval(0.95)
        told += not low <= 0 <= high
    assert told <= 4
    worse = gap(scores(0.9, 0.3, seed=1).table, scores(0.8, 0.5, seed=2).table, ())
    assert worse.interval(0.95)[0] > 0


@pytest.mark.parametrize(("n", "lost", "won"), [(200, 0.03, 0.005), (100, 0.05, 0.0), (500, 0.2, 0.15)])
def test_few_differing_answers_do_not_pass_by_their_small_spread(n: int, lost: float, won: float) -> None:
    """Where the truth is the bound, 'at least' passes in error in .025; of few lost answers it was .07 and .11."""
    draw, above, zero = np.random.default_rng(11), 0, np.zeros((1, n))
    for _ in range(1000):
        place = draw.random((1, n))
        other, own = Scores(zero, place < lost), Scores(zero, (place >= lost) & (place < lost + won))
        found = own.less(other, ())
        above += found.variance > 0 and found.interval(0.95)[0] > won - lost
    assert above <= 40


def test_many_differing_answers_have_students_interval_and_agreeing_ones_no_spread() -> None:
    one, other = scores(0.9, 0.3, seed=1, n=2000), scores(0.6, 0.3, seed=2, n=2000)
    plain, found = gap(one.table, other.table, ()), one.less(other, ())
    assert found.interval(0.95) == pytest.approx(plain.interval(0.95), abs=0.001)
    assert one.less(one, ()).variance == 0


def test_the_best_beats_what_is_worse_and_equals_what_is_alike() -> None:
    tables = {"a": scores(0.9, 0.3, seed=1), "b": scores(0.9, 0.3, seed=2), "bad": scores(0.6, 0.9, seed=3)}
    found = standing(tables, (), 0.95)
    assert found is not None and found.best in ("a", "b")
    assert set(found.beaten) == {"bad"} and set(found.equal) == {"a", "b"} - {found.best}
    assert found.confidence == pytest.approx(1 - 0.05 / 2)


def test_equal_candidates_are_seldom_said_not_to_be_the_best() -> None:
    claims = 0
    for seed in range(0, 300, 3):
        found = standing({str(at): scores(0.9, 0.3, n=100, seed=seed + at) for at in range(3)}, (), 0.95)
        claims += found is not None and bool(found.beaten)
    assert claims <= 12, "the true rate is at most .05 in each direction of looking"


def test_with_too_few_examples_or_seeds_nobody_is_beaten() -> None:
    for seeds, n in ((1, 12), (5, 12), (3, 200)):
        found = standing({"a": scores(1.0, 0.1, seeds, n), "bad": scores(0.0, 2.0, seeds, n, 1)}, (), 0.95)
        assert found is not None and (found.best, set(found.equal), found.beaten) == ("a", {"bad"}, {})


def test_what_diverged_is_never_the_best() -> None:
    tables = {"lost": scores(0.99, 0.1, diverged=1), "kept": scores(0.5, 1.0)}
    found = standing(tables, (), 0.95)
    assert found is not None and (found.best, found.lost) == ("kept", ("lost",))
    assert standing({"lost": tables["lost"]}, (), 0.95) is None


def test_a_diverged_run_only_bounds_the_differences() -> None:
    kept, lost = scores(0.9, 0.3), scores(0.8, 0.4, seed=1, diverged=2)
    assert {one.name: one.bound for one in apart(kept, lost, (), 1)} == {
        "superiority": "lower", "accuracy_difference": "lower", "loss_difference": "upper",
    }  # fmt: skip
    assert {one.name: one.bound for one in apart(lost, kept, (), 1)} == {
        "superiority": "upper", "accuracy_difference": "upper", "loss_difference": "lower",
    }  # fmt: skip


def test_losses_that_are_not_finite_have_no_difference_but_lose() -> None:
    broken = Scores(np.full((1, 64), np.inf), np.zeros((1, 64), dtype=bool))
    found = {one.name: one.found.mean for one in apart(scores(0.9, 0.3, seeds=1, n=64), broken, (), 1)}
    assert set(found) == {"superiority", "accuracy_difference"} and found["superiority"] == 1


def grid(losses: dict[float, float], seeds: int = 5) -> dict[float, Any]:
    draw = np.random.default_rng(0)
    return {
        rate: None if np.isinf(loss) else loss * (1 + 0.01 * draw.normal(size=(seeds, 100)))
        for rate, loss in losses.items()
    }


def test_the_tolerance_is_enclosed_by_the_grid() -> None:
    losses = {1e-5: 2.0, 1e-4: 1.02, 1e-3: 1.0, 1e-2: 1.05, 1e-1: np.inf}
    found = lr_tolerance(grid(losses), (), 0.95)
    assert found is not None and (found.best, found.inside) == (1e-3, (1e-4, 1e-3, 1e-2))
    assert (found.inner, found.outer) == (pytest.approx(2.0), pytest.approx(4.0))


def test_a_grid_that_ends_too_early_gives_a_bound_and_what_is_not_sure_widens_it() -> None:
    open_end = lr_tolerance(grid({1e-3: 1.0, 1e-2: 1.01}), (), 0.95)
    assert open_end is not None and (open_end.inner, open_end.outer) == (pytest.approx(1.0), None)
    near = lr_tolerance(grid({1e-4: 3.0, 1e-3: 1.0, 1e-2: 1.1, 1e-1: 3.0}), (), 0.95)
    assert near is not None and near.unsure == (1e-2,)
    assert (near.inner, near.outer) == (0.0, pytest.approx(3.0))
    assert lr_tolerance(grid({1e-3: 1.0}), (), 0.95) is None
    assert lr_tolerance({1e-3: None, 1e-2: None}, (), 0.95) is None


def test_a_race_goes_to_the_worst_of_the_minima() -> None:
    fast = [run(validation=[2.0, 0.5, 0.4]), run(validation=[2.0, 0.6, 0.4])]
    slow = [run(validation=[2.0, 1.5, 0.9]), run(validation=[2.0, 1.5, 1.1])]
    found = race({"fast": fast, "slow": slow})
    assert found is not None and found.target == pytest.approx(1.0)
    assert found.times["fast"] == ((10.0, True), (10.0, True))
    assert found.times["slow"] == ((20.0, True), (20.0, False))


def test_what_diverged_or_never_fell_sets_no_target_and_the_shortest_run_is_the_horizon() -> None:
    lost = [run(validation=[2.0, np.nan], diverged_at=7)]
    long = [run(validation=[2.0, 1.9, 1.8, 0.3])]
    found = race({"a": [run(validation=[2.0, 0.5, 0.4])], "b": long, "lost": lost, "flat": [run(validation=[2.0] * 3)]})
    assert found is not None and found.target == pytest.approx(0.4)
    assert found.horizon == 10 and found.times["b"] == ((10.0, False),)
    assert race({"a": [run()], "lost": lost}) is None
