"""optimizability.convergence: synthetic curves with known answers, and runs that do not get there."""

import numpy as np
import pytest
from histories import run

from auditor.artifacts.trajectory import Trajectory
from auditor.checks.optimizability.convergence import Convergence
from auditor.evidence import Counts, Evidence, Measurement, Moments
from auditor.methods.training.record import Run


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
