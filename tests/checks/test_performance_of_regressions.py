"""task.performance of a regression: errors against scikit-learn, planted defects, groups, residuals."""

from typing import Any

import numpy as np
import pytest
import torch
from fakes import Source
from judged import measured, one, outcome
from sklearn import metrics as sk

from auditor.artifacts.predictions import Predictions, PredictionsProbe
from auditor.blocks import Bars, Lines
from auditor.checks.task.performance import Performance
from auditor.evidence import Evidence, Moments, Quantiles
from auditor.judge.intervals import interval
from auditor.needs import Step, Sweep
from auditor.subject import DataRef, ModelRef, Subject


def predictions(n: int = 300, noise: float = 0.5, slope: float = 1.0, **more: Any) -> Predictions:
    rng = np.random.default_rng(0)
    targets = rng.normal(3, 2, n)
    said = 3 + slope * (targets - 3) + rng.normal(0, noise, n)
    examples = tuple(f"x{row}" for row in range(n))
    return Predictions(said[:, None].astype(np.float32), np.full(n, -1), examples, targets=targets, **more)


def measure(given: Predictions) -> Evidence:
    return Performance().measure(predictions=given, seed=1)


@pytest.fixture(scope="module")
def good() -> Evidence:
    return measure(predictions())


def test_values_equal_scikit_learns(good: Evidence) -> None:
    given = predictions()
    assert given.targets is not None
    said = given.logits[:, 0]
    assert one(good, "rmse").value == pytest.approx(sk.root_mean_squared_error(given.targets, said))
    assert one(good, "mae").value == pytest.approx(sk.mean_absolute_error(given.targets, said))
    assert one(good, "r2").value == pytest.approx(sk.r2_score(given.targets, said))
    assert {m.name: type(m.distribution) for m in good.measurements} == {
        "mae": Moments, "rmse": Quantiles, "r2": Quantiles,
    }  # fmt: skip


def test_intervals_hold_the_truth_that_is_known(good: Evidence) -> None:
    for name, truth in (("rmse", 0.5), ("mae", 0.5 * np.sqrt(2 / np.pi)), ("r2", 1 - 0.25 / 4)):
        low, high = interval(one(good, name), 0.95)
        assert low < truth < high


@pytest.mark.parametrize("spoilt", [{"noise": 3.0}, {"slope": -0.5}])
def test_a_good_regression_passes_and_a_bad_one_fails(good: Evidence, spoilt: dict[str, float]) -> None:
    bad = measure(predictions(**spoilt))
    for name, bound in (("rmse", {"at_most": 0.7}), ("mae", {"at_most": 0.6}), ("r2", {"at_least": 0.8})):
        assert outcome(one(good, name), **bound) == "pass" and outcome(one(bad, name), **bound) == "fail"


def test_groups_are_the_unit_where_there_are_some() -> None:
    found = measure(predictions(groups=tuple(f"g{row // 3}" for row in range(300))))
    assert {(m.n, m.unit_of_resampling) for m in found.measurements} == {(100, "group")}


def test_equal_targets_leave_r2_out_and_say_so() -> None:
    given = predictions()
    assert given.targets is not None
    given.targets[:] = 2.0
    found = measure(given)
    assert not measured(found, "r2") and any("r2 was not measured" in note for note in found.notes)


def test_it_shows_where_predictions_are_off(good: Evidence) -> None:
    lines, bars = measure(predictions(slope=0.5)).blocks
    assert isinstance(lines, Lines) and isinstance(bars, Bars)
    mean = lines.lines[0]
    assert mean.y[0] > 0.5 and mean.y[-1] < -0.5  # it pulls towards the middle
    straight = good.blocks[0]
    assert isinstance(straight, Lines)
    assert all(
        low < 0.2 and high > -0.2 for low, high in zip(straight.lines[0].low, straight.lines[0].high, strict=True)
    )
    assert sum(bar.value for bar in bars.bars) == pytest.approx(1)
    assert set(good.samples) == {"mae", "residual"} and not good.notes


def test_float_labels_are_targets_and_integers_are_classes() -> None:
    def gathered(labels: torch.Tensor) -> Predictions:
        collector = PredictionsProbe(Sweep(Source(), Source())).collect()
        batch: Any = type("Batch", (), {"groups": ("", "")})
        step = Step(
            start=0, inputs=None, logits=torch.tensor([[1.5], [2.5]]), targets=labels, labels=labels,
            examples=("a", "b"), taps={}, layers={}, batch=batch,
        )  # fmt: skip
        collector.see(step)
        return collector.result()

    numbers = gathered(torch.tensor([1.0, 2.25]))
    assert numbers.targets is not None and numbers.targets.tolist() == [1.0, 2.25]
    assert numbers.labels.tolist() == [-1, -1] and not numbers.notes()
    classes = gathered(torch.tensor([0, 0]))
    assert classes.targets is None and classes.labels.tolist() == [0, 0]


def test_it_applies_to_regressions_with_labels() -> None:
    model = ModelRef(
        digest="m", name="m", source="factory", entry={}, architecture="a", modality="tabular", task="regression"
    )
    data = DataRef(digest="d", name="d", source="csv", entry={}, modality="tabular", rows=9, used=9, task="regression")
    assert Performance().applies(Subject(model=model, data=data)) is None
    without = Subject(model=model, data=data.model_copy(update={"labelled": False}))
    assert "needs labels" in str(Performance().applies(without))
    other = Subject(model=model.model_copy(update={"task": "encoder"}), data=data)
    assert Performance().applies(other) == "the model's task is encoder"
