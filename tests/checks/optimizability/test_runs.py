"""What the checks of a fine-tune's runs have in common: runs lost from the start, and histories without runs."""

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
from histories import run
from making import digits

from auditor.artifacts.trajectory import Trajectory
from auditor.checks.optimizability.convergence import Convergence
from auditor.checks.optimizability.diagnosis import Diagnosis
from auditor.checks.optimizability.generalization import Generalization
from auditor.checks.optimizability.gradient_norm import GradientNorm
from auditor.checks.optimizability.stability import Stability
from auditor.subject import History, Holding


def born_lost() -> Trajectory:
    """Five runs of a start that is not finite: one record, before step 1, and one step."""
    nothing = np.array([np.nan])
    looks = {name: nothing for name in ("train_loss", "validation_loss", "agreement", "disagreement")}
    right = {f"{side}_correct": np.array([10]) for side in ("train", "validation")}
    steps = {name: nothing for name in ("loss", "lr", "gradient_norm")}
    one = replace(
        run(), **looks, **right, **steps, gradient=np.full((1, 3), np.nan), record_steps=np.array([0]), diverged_at=1
    )
    return Trajectory("finetune", (one.changes,) * 5, (one,) * 5)


@pytest.mark.parametrize("check", [Convergence(target=1.0), GradientNorm(), Stability(), Diagnosis()])
def test_a_start_that_is_not_finite_is_said_and_no_reason_to_break(check: Any) -> None:
    evidence = check.measure(trajectory=born_lost(), seed=0)
    assert "5 of 5 runs diverged" in " ".join(evidence.notes)
    for one in evidence.measurements:
        assert one.name in ("diverged_share", "converged_share") or one.censored
    for block in evidence.blocks:
        if block.title.startswith(("Loss over", "Gradient norm")):
            assert not block.lines and "No value is finite of" in block.reading


@pytest.mark.parametrize("check", [Convergence(), GradientNorm(), Stability(), Diagnosis(), Generalization()])
def test_a_trace_of_another_loop_is_no_fine_tune(check: Any) -> None:
    """It holds losses, gradients and a validation curve, but no runs: that is said before anything is computed."""
    subject = digits()
    trace = History(source="trace", holds=frozenset(get_args(Holding)), steps=(10, 20))
    other = subject.model_copy(update={"model": subject.model.model_copy(update={"history": trace})})
    if isinstance(check, Generalization):
        assert "trajectory" not in check.needs(other.model_copy(update={"others": {"train": subject.data}}))
    else:
        assert "fine-tune the model here" in str(check.applies(other))
