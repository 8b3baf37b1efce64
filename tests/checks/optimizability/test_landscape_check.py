"""optimizability.landscape on landscapes written by hand: what decides, what is a bound, and what has no number."""

from itertools import combinations
from math import inf, nan
from typing import Any

import numpy as np
import pytest

from auditor.artifacts.landscape_found import Landscape as Found
from auditor.artifacts.landscape_found import Pairs, Path, Surroundings
from auditor.blocks import Heatmap, Lines
from auditor.checks.optimizability.landscape import Landscape
from auditor.evidence import Evidence, Moments
from auditor.judge.minimum import obstacle
from auditor.methods.landscape.found import Around, Lane, Trodden
from tests.checks.judged import measured, one, outcome

RISES = [0.02, 0.03, 0.025, 0.021, 0.029, 0.022, 0.027, 0.024, 0.026, 0.023]


def around(rises: Any = RISES, fed: str = "", **given: Any) -> Surroundings:
    at = np.linspace(-0.5, 0.5, 5)
    plain = {"own": 0.9, "centre": 1.0, "at": at, "surface": 1 + at[:, None] ** 2 + 2 * at**2}
    return Surroundings(Around(rises=np.array(rises, dtype=float), **{**plain, **given}), 128, "eval", fed, ())


def path(losses: Any = (3.0, 2.5, 1.8, 1.4, 1.0), diverged: bool = False) -> Path:
    flat = np.array([[-1.0, 0.0], [0.2, 0.5], [1.0, 0.0]])
    way = Trodden((10, 20, 30), np.array([0, 0.6, 1]), np.array([3, 1.5, 1.0]), flat, 0.9)
    return Path(Lane("step 10 to step 30", np.array(losses)), way, diverged)


def pairs(heights: Any, lost: tuple[int, ...] = (), seeds: int = 5) -> Pairs:
    """Losses of 1 at the seeds and 1 + height half way."""
    each = tuple(combinations([seed for seed in range(1, seeds + 1) if seed not in lost], 2))
    lanes = tuple(Lane(f"seeds {a} and {b}", np.array([1.0, 1.0 + h, 1.0])) for (a, b), h in
                  zip(each, heights, strict=True))  # fmt: skip
    return Pairs(each, lanes, lost, seeds, max(seeds, 5))


def found(**given: Any) -> Evidence:
    plain: dict[str, Any] = {"around": around(), "path": path(), "pairs": pairs(np.linspace(0.1, 0.2, 10))}
    return Landscape().measure(landscape=Found(**{**plain, "absent": {}, **given}))


def test_numbers_and_figures() -> None:
    seen = found()
    assert one(seen, "flatness").value == pytest.approx(np.mean(RISES)) and one(seen, "flatness").n == 10
    assert obstacle(one(seen, "flatness"), 0.95) == ""
    assert (one(seen, "path_barrier").value, one(seen, "path_barrier").kind) == (0.0, "exact")
    apart = one(seen, "seed_barrier")
    assert apart.value == pytest.approx(0.15) and apart.n == 5 and apart.unit_of_resampling == "seed"
    assert obstacle(apart, 0.95) == "" and seen.inapplicable == {}
    kinds = [(type(block), block.title) for block in seen.blocks]
    assert kinds == [
        (Heatmap, "Loss on two random directions"), (Lines, "Loss from step 10 to step 30"), (Lines, "Training path"),
        (Lines, "Loss between seeds"),
    ]  # fmt: skip
    heat = seen.blocks[0]
    assert isinstance(heat, Heatmap) and heat.log and heat.rows[0] == "0.5" and heat.columns[0] == "-0.5"
    assert heat.values[0][2] == pytest.approx(1.25)
    assert seen.notes == ("Mean loss over 128 examples of eval: 1 at the model itself.",)


def test_a_sharp_minimum_fails_where_a_flat_one_passes() -> None:
    flat, sharp = found(), found(around=around([100 * rise for rise in RISES]))
    assert outcome(one(flat, "flatness"), at_most=0.1) == "pass"
    assert outcome(one(sharp, "flatness"), at_most=0.1) == "fail"


def test_a_run_over_a_hill_fails_where_one_downhill_passes() -> None:
    down, over = found(), found(path=path((3.0, 3.5, 2.9, 1.4, 1.0)))
    assert outcome(one(down, "path_barrier"), at_most=0.1) == "pass"
    assert one(over, "path_barrier").value == pytest.approx(1.0)
    assert outcome(one(over, "path_barrier"), at_most=0.1) == "fail"


def test_a_path_on_which_nothing_changes_does_not_pass() -> None:
    dead = found(path=path((6.5e4,) * 5))
    assert not measured(dead, "path_barrier") and dead.inapplicable == {}
    assert any("path_barrier is not measured: the loss is 6.5e+04 all along" in note for note in dead.notes)
    assert not path((1.0, inf, 1.0)).lane.is_flat() and not path((1.0, nan, 1.0)).lane.is_flat()


def test_seeds_in_one_basin_pass_and_seeds_apart_fail() -> None:
    near, far = found(pairs=pairs(np.linspace(-0.03, -0.01, 10))), found(pairs=pairs(np.linspace(1, 1.2, 10)))
    basin = one(near, "seed_barrier")
    assert basin.value == 0.0 and isinstance(basin.distribution, Moments)
    assert 0 < basin.distribution.sd < 0.02 and obstacle(basin, 0.95) == ""
    assert outcome(basin, at_most=0.05) == "pass"
    assert outcome(one(far, "seed_barrier"), at_most=0.05) == "fail"


def test_seeds_that_are_one_and_the_same_decide_nothing() -> None:
    assert "no" in obstacle(one(found(pairs=pairs([0.0] * 10)), "seed_barrier"), 0.95)
    alone = one(found(pairs=pairs([0.3], seeds=2)), "seed_barrier")
    assert (alone.kind, alone.value) == ("unreplicated", pytest.approx(0.3))
    assert "The first 2 of 5 seeds are compared." in found(pairs=pairs([0.3], seeds=2)).notes
    three = one(found(pairs=pairs([0.3, 0.2, 0.1], seeds=3)), "seed_barrier")
    assert three.n == 3 and obstacle(three, 0.95) != ""


def test_what_is_not_finite_is_a_lower_bound_that_never_passes() -> None:
    some = one(found(around=around([*RISES[:8], inf, nan])), "flatness")
    assert some.censored and some.value < 0.03 and some.n == 8
    assert outcome(some, at_most=0.1) == "inconclusive" and outcome(some, at_most=0.001) == "fail"
    hole = found(path=path((3.0, 3.5, nan, inf, 1.0)))
    assert one(hole, "path_barrier").censored and one(hole, "path_barrier").value == pytest.approx(1.0)
    assert outcome(one(hole, "path_barrier"), at_most=2) == "inconclusive"
    assert outcome(one(hole, "path_barrier"), at_most=0.1) == "fail"
    assert any("path_barrier is a lower bound" in note for note in hole.notes)
    apart = found(pairs=pairs([inf, *np.linspace(0.01, 0.02, 9)]))
    assert one(apart, "seed_barrier").censored and "seed_barrier is a lower bound." in apart.notes
    assert outcome(one(apart, "seed_barrier"), at_most=1) == "inconclusive"


def test_runs_that_diverged_are_bounds() -> None:
    assert one(found(path=path(diverged=True)), "path_barrier").censored
    lost = found(pairs=pairs(np.linspace(0.01, 0.02, 6), lost=(3,)))
    assert one(lost, "seed_barrier").censored and one(lost, "seed_barrier").n == 4
    assert "Seed 3 diverged and is left out of seed_barrier." in lost.notes


def test_no_number_without_ends_and_it_is_said() -> None:
    seen = found(path=path((nan, 2.0, 1.0)), around=around([inf] * 9 + [0.1]),
                 pairs=Pairs((), (), (1, 2, 3, 4), 5, 5))  # fmt: skip
    assert seen.measurements == ()
    said = " ".join(seen.notes)
    assert "path_barrier is not measured" in said and "flatness is not measured" in said
    assert "9 of 10 directions" in said and "seed_barrier is not measured" in said
    assert seen.inapplicable == {}  # it went wrong; it is not what such a model cannot have


def test_what_cannot_be_had_is_inapplicable() -> None:
    seen = found(path=None, pairs=None, around=around([], surface=np.zeros((0, 0))),
                 absent={"path_barrier": "no history", "seed_barrier": "no seeds"})  # fmt: skip
    assert seen.inapplicable["path_barrier"] == "no history" and seen.inapplicable["seed_barrier"] == "no seeds"
    assert "two or more dimensions" in seen.inapplicable["flatness"]
    assert seen.measurements == seen.blocks == ()


def test_figures_leave_out_what_is_not_finite() -> None:
    surface = np.array([[1.0, inf], [nan, -1.0]])
    seen = found(around=around(at=np.array([-0.5, 0.5]), surface=surface), path=path((nan, 2.0, 1.0)))
    heat, line = seen.blocks[0], seen.blocks[1]
    assert isinstance(heat, Heatmap) and heat.values == ((None, -1.0), (1.0, None)) and not heat.log
    assert isinstance(line, Lines) and line.lines[0].y == (2.0, 1.0)
    many = found(pairs=pairs(np.linspace(0.1, 0.2, 45), seeds=10)).blocks[-1]
    assert isinstance(many, Lines) and len(many.lines) == 10 and "10 of 45 pairs" in many.reading
    assert max(many.lines[0].y) == pytest.approx(0.2)


def test_batchnorm_is_told() -> None:
    assert "BatchNorm measured its statistics anew on train" in found(around=around(fed="train")).notes[1]
    assert "0.9" in found(around=around(fed="train")).notes[1]
    assert len(measured(found(), "flatness")) == 1
