"""optimizability.generalization: memorizing is seen, what holds for new data is not blamed."""

from typing import Any

import numpy as np
import pytest
from histories import run
from making import ASSETS, digits, evidence

from auditor.artifacts.predictions import Predictions
from auditor.artifacts.trajectory import Trajectory
from auditor.checks.optimizability.generalization import Generalization
from auditor.evidence import CountsPair, Evidence, Measurement
from auditor.judge.intervals import interval
from auditor.judge.minimum import obstacle
from auditor.methods.training.gap import Gap, scored
from auditor.sources import data, labels
from auditor.spec.model import DataEntry
from auditor.statistics import newcombe
from auditor.subject import Subject


def said(right: int, n: int, confidence: float = 2.0, groups: tuple[str, ...] = ()) -> Predictions:
    """n rows of two classes, the first `right` of them right; the logit of what is said is `confidence`."""
    truth = np.arange(n) % 2
    chosen = np.where(np.arange(n) < right, truth, 1 - truth)
    examples = tuple(map(str, range(n)))
    return Predictions((np.eye(2)[chosen] * confidence).astype(np.float32), truth, examples, groups, ("a", "b"))


def measured(test: Predictions, train: Predictions, **more: Any) -> Evidence:
    return Generalization().measure(predictions=test, trained=train, seed=1, **more)


def found(evidence: Evidence, name: str) -> Measurement:
    return next(one for one in evidence.measurements if one.name == name)


@pytest.mark.parametrize(("right", "gap"), [(90, 0.1), (100, 0.0), (60, 0.4)])
def test_the_gap_of_two_rates_has_newcombes_interval(right: int, gap: float) -> None:
    found_here = measured(said(right, 100), said(200, 200))
    one = found(found_here, "generalization_gap")
    assert one.value == pytest.approx(gap)
    assert one.distribution == CountsPair(k1=100 - right, n1=100, k2=0, n2=200)
    assert interval(one, 0.95) == pytest.approx(newcombe(100 - right, 100, 0, 200, 0.95))
    assert obstacle(one, 0.95) == ""


def test_the_gap_of_losses_is_that_of_a_slow_loop() -> None:
    test, train = said(80, 100, 3.0), said(190, 200)
    slow = []
    for one in (test, train):
        odds = np.exp(one.logits) / np.exp(one.logits).sum(axis=1, keepdims=True)
        slow.append(np.mean([-np.log(row[label]) for row, label in zip(odds, one.labels, strict=True)]))
    gap = found(measured(test, train), "loss_gap")
    assert gap.value == pytest.approx(slow[0] - slow[1], rel=1e-6)
    low, high = interval(gap, 0.95)
    assert low < gap.value < high and (gap.n, gap.method) == (100, "bootstrap")


def test_the_resampled_interval_covers() -> None:
    draw, hits = np.random.default_rng(0), 0
    for seed in range(30):
        logits = [np.c_[np.zeros(80), draw.normal(size=80)].astype(np.float32) for _ in range(2)]
        sides = [Predictions(each, np.zeros(80, dtype=int), tuple("x" * 80)) for each in logits]
        one = found(Generalization().measure(predictions=sides[0], trained=sides[1], seed=seed), "loss_gap")
        low, high = interval(one, 0.95)
        hits += low <= 0 <= high
    assert hits >= 25


def test_groups_are_drawn_whole_and_the_smaller_side_counts() -> None:
    groups = tuple(f"plant{row // 2}" for row in range(200))
    evidence = measured(said(160, 200, groups=groups), said(380, 400))
    one = found(evidence, "generalization_gap")
    assert (one.method, one.unit_of_resampling, one.n) == ("bootstrap", "group", 100)
    assert one.value == pytest.approx(0.2 - 0.05)
    low, high = interval(one, 0.95)
    free = interval(found(measured(said(160, 200), said(380, 400)), "generalization_gap"), 0.95)
    assert high - low > free[1] - free[0], "neighbours that err together are worth less"


def test_a_regression_has_squared_errors_and_no_rate() -> None:
    sides = []
    for error in (2.0, 1.0):
        targets = np.arange(70.0)
        logits = (targets + error)[:, None].astype(np.float32)
        sides.append(Predictions(logits, np.full(70, -1), tuple("x" * 70), targets=targets))
    evidence = measured(*sides)
    assert found(evidence, "loss_gap").value == pytest.approx(3.0, rel=1e-4)
    assert set(evidence.inapplicable) == {"generalization_gap"}


def test_the_curves_are_shown_where_there_are_any() -> None:
    runs = (run(), run())
    trajectory = Trajectory("finetune", tuple(one.changes for one in runs), runs)
    titles = [block.title for block in measured(said(9, 10), said(9, 10), trajectory=trajectory).blocks]
    assert titles == ["Error rate", "Mean loss", "Loss over the fine-tune"]
    assert len(measured(said(9, 10), said(9, 10)).blocks) == 2


def test_what_is_left_of_a_run_that_diverged_can_fail_but_never_pass() -> None:
    runs = (run(diverged_at=20), run())
    lost = measured(said(90, 100), said(90, 100), trajectory=Trajectory("finetune", (), runs))
    assert all(one.censored for one in lost.measurements) and any("diverged" in note for note in lost.notes)
    other = measured(said(90, 100), said(90, 100), trajectory=Trajectory("finetune", (), runs[::-1]))
    assert not any(one.censored for one in other.measurements), "the model is that of the first seed"


def test_a_draw_without_one_side_is_no_number() -> None:
    one = said(5, 6)
    gap = Gap(*(scored(one.logits, one.labels, None, ()) for _ in range(2)))
    assert np.isnan(gap.loss(np.arange(3)))


def test_it_asks_for_training_data_that_are_other_data() -> None:
    subject = digits()
    check = Generalization()
    assert "name them, `with: {train: NAME}`" in str(check.applies(subject))
    assert subject.data is not None
    same = subject.model_copy(update={"others": {"train": subject.data}})
    assert "not trained on" in str(check.applies(same))
    assert "the model's task is encoder" in str(
        check.applies(subject.model_copy(update={"model": subject.model.model_copy(update={"task": "encoder"})}))
    )


def test_a_real_model_on_real_data() -> None:
    subject = digits(100)
    entry = DataEntry(
        name="train", source="sklearn", options={"name": "digits", "split": "train", "sample": {"n": 100}}
    )
    train = labels.match(subject.model, data.describe(entry, ASSETS))
    both: Subject = subject.model_copy(update={"others": {"train": train}})
    assert Generalization().applies(both) is None
    found_here = evidence(Generalization(rows=100), both, seed=0)
    assert abs(found(found_here, "generalization_gap").value) < 0.1
