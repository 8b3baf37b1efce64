"""optimizability.convergence: synthetic curves with known answers, and runs that do not get there."""

import numpy as np
import pytest
from histories import run

from auditor.artifacts.trajectory import Trajectory
from auditor.checks.optimizability.convergence import Convergence
from auditor.evidence import Counts, Evidence, Measurement, Moments
from auditor.judge.bounds import claim
from auditor.judge.intervals import interval
from auditor.judge.minimum import obstacle
from auditor.methods.training.record import Run
from auditor.spec.model import Rule


def found(evidence: Evidence, name: str) -> Measurement:
    return next(one for one in evidence.measurements if one.name == name)


def trajectory(*runs: Run) -> Trajectory:
    return Trajectory("finetune", tuple(one.changes for one in runs), runs)


FAST = [2.0, 0.6, 0.5, 0.5, 0.5]  # 90% of the drop at 0.65: step 10
SLOW = [2.0, 1.7, 1.2, 0.9, 0.5]  # at step 40


def test_known_curves_give_known_numbers() -> None:
    evidence = Convergence(target=1.0).measure(trajectory=trajectory(*[run(validation=FAST)] * 4, run(validation=SLOW)))
    assert found(evidence, "steps_to_90_validation").value == pytest.approx((4 * 10 + 40) / 5)
    assert found(evidence, "steps_to_target_validation").value == pytest.approx((4 * 10 + 30) / 5)
    assert found(evidence, "final_loss_validation").value == pytest.approx(0.5)
    assert found(evidence, "final_loss_train").value == pytest.approx(0.45)
    area = ((2 + 0.6) / 2 + (0.6 + 0.5) / 2 + 0.5 + 0.5) / (4 * 2)
    slow = (1.85 + 1.45 + 1.05 + 0.7) / (4 * 2)
    assert found(evidence, "loss_auc_validation").value == pytest.approx((4 * area + slow) / 5)
    assert found(evidence, "converged_share").distribution == Counts(k=5, n=5)
    assert not any(one.censored for one in evidence.measurements)


def test_seeds_are_the_unit() -> None:
    evidence = Convergence().measure(trajectory=trajectory(run(validation=FAST), run(validation=SLOW)))
    measured = found(evidence, "steps_to_90_validation")
    assert isinstance(measured.distribution, Moments)
    assert (measured.distribution.mean, measured.distribution.n) == (25, 2)
    assert measured.distribution.sd == pytest.approx(np.sqrt(450))
    assert measured.unit_of_resampling == "seed"


def test_one_seed_is_not_replicated() -> None:
    evidence = Convergence().measure(trajectory=trajectory(run()))
    assert {one.kind for one in evidence.measurements} == {"unreplicated"}


def test_a_diverged_seed_stays_in_the_count_as_a_bound() -> None:
    lost = run(validation=[2.0, 3.0, np.nan], diverged_at=20, planned_steps=40)
    evidence = Convergence(target=1.0).measure(trajectory=trajectory(*[run(validation=FAST)] * 4, lost))
    final = found(evidence, "final_loss_validation")
    assert final.censored
    assert final.value == pytest.approx((4 * 0.5 + 3.0) / 5)
    assert found(evidence, "steps_to_90_validation").value == pytest.approx((4 * 10 + 40) / 5)
    assert found(evidence, "converged_share").distribution == Counts(k=4, n=5)
    assert "1 of 5 runs diverged: seed 5 at step 20." in evidence.notes


def test_a_run_that_was_stopped_early_is_followed_no_longer() -> None:
    early = run(validation=FAST, stopped_at=20, planned_steps=200)
    evidence = Convergence(target=0.1).measure(trajectory=trajectory(run(validation=FAST), early))
    times = found(evidence, "steps_to_target_validation")
    assert times.censored and times.value == (40 + 20) / 2, "a lower bound by what was seen, not planned"
    assert not found(evidence, "final_loss_validation").censored
    assert "1 of 2 runs stopped early: seed 2 at step 20." in evidence.notes


def test_a_target_out_of_reach_is_censored() -> None:
    evidence = Convergence(target=0.1).measure(trajectory=trajectory(*[run(validation=FAST)] * 5))
    assert found(evidence, "steps_to_target_validation").censored
    assert found(evidence, "converged_share").value == 0


def test_without_a_target_its_numbers_are_absent_and_the_reader_is_told() -> None:
    evidence = Convergence().measure(trajectory=trajectory(run()))
    assert not {one.name for one in evidence.measurements} & {"converged_share", "steps_to_target_validation"}
    assert any("No `target` is given" in note for note in evidence.notes)


def test_the_curves_have_a_band_over_the_seeds_and_a_row_each() -> None:
    evidence = Convergence(target=1.0).measure(trajectory=trajectory(run(validation=FAST), run(validation=SLOW)))
    loss, accuracy, times, table = evidence.blocks
    assert loss.lines[1].low == (2.0, 0.6, 0.5, 0.5, 0.5)  # type: ignore[union-attr]
    assert loss.lines[1].high == (2.0, 1.7, 1.2, 0.9, 0.5)  # type: ignore[union-attr]
    assert [block.kind for block in (accuracy, times, table)] == ["lines", "lines", "table"]
    assert len(table.rows) == 2  # type: ignore[union-attr]


QUICK = ([2.0, 0.6, 0.5, 0.5, 0.5], [2.0, 1.2, 0.5, 0.5, 0.5])  # 90% of the drop at steps 10 and 20
LATE = ([2.0, 1.9, 1.7, 1.5, 0.9], [2.0, 1.9, 1.7, 0.95, 0.9])  # at 40 and 30
BOUNDS = {"final_loss": 0.7, "steps_to_90": 25.0, "steps_to_target": 25.0, "loss_auc": 0.6}


def five(shapes: tuple[list[float], list[float]]) -> Trajectory:
    curves = [np.array(shapes[k % 2]) + 0.01 * k * (np.arange(5) > 0) for k in range(5)]
    return trajectory(*(run(validation=curve, train=curve) for curve in curves))


@pytest.mark.parametrize("side", ["train", "validation"])
@pytest.mark.parametrize("name", BOUNDS)
def test_a_recipe_that_converges_passes_and_one_that_is_late_fails(name: str, side: str) -> None:
    asked = claim(Rule(check="c", metric=name, at_most=BOUNDS[name], set_by="spec.yaml:1"))
    both = [found(Convergence(target=1.05).measure(trajectory=five(shape)), f"{name}_{side}")
            for shape in (QUICK, LATE)]  # fmt: skip
    assert [obstacle(one, 0.95) for one in both] == ["", ""]
    assert [asked.outcome(interval(one, 0.95)) for one in both] == ["pass", "fail"]


def test_equal_seeds_of_a_coarse_record_decide_nothing() -> None:
    measured = found(
        Convergence().measure(trajectory=trajectory(*[run(validation=FAST)] * 5)), "steps_to_90_validation"
    )
    assert "no width" in obstacle(measured, 0.95)


@pytest.mark.parametrize(("target", "outcome"), [(1.0, "pass"), (0.1, "fail")])
def test_the_share_of_converged_seeds(target: float, outcome: str) -> None:
    share = found(Convergence(target=target).measure(trajectory=five(QUICK)), "converged_share")
    assert obstacle(share, 0.95) == ""
    asked = claim(Rule(check="c", metric="converged_share", at_least=0.5, set_by="spec.yaml:1"))
    assert asked.outcome(interval(share, 0.95)) == outcome


def test_a_seed_that_reached_the_target_and_then_diverged_has_not_converged() -> None:
    lost = run(validation=[2.0, 0.6, 0.5], diverged_at=25, planned_steps=40)
    evidence = Convergence(target=1.0).measure(trajectory=trajectory(*[lost] * 5))
    assert found(evidence, "converged_share").distribution == Counts(k=0, n=5)
    assert found(evidence, "steps_to_target_validation").value == 10, "when it was there is known all the same"


def test_what_the_data_say_of_themselves_reaches_the_page() -> None:
    said = "1 of 1,000 pictures of train could not be read and was left out: cat/7.png."
    assert said in Convergence().measure(trajectory=trajectory(run(remarks=(said,)))).notes
