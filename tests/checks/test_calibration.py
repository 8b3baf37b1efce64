"""task.calibration: over-confidence is caught, a calibrated model is not, and the numbers equal slow oracles."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from judged import measured, one, outcome
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss

from auditor.artifacts.predictions import Predictions
from auditor.blocks import Bars, Lines
from auditor.checks.task.calibration import Calibration
from auditor.evidence import Evidence, Moments, Quantiles
from auditor.judge.intervals import interval
from auditor.methods.calibration import calibration_slope, ece_excess, equal_mass, said

Array = NDArray[Any]


def softmax(z: Array) -> Array:
    p = np.exp(z - z.max(1, keepdims=True))
    return p / p.sum(1, keepdims=True)


def drawn(n: int = 600, classes: int = 4, skill: float = 3.0, seed: int = 0) -> tuple[Array, Array]:
    """Logits, and labels drawn from the probabilities that they say: calibrated by construction."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, classes)) * skill
    labels = (softmax(z).cumsum(1) > rng.random((n, 1))).argmax(1)
    return z.astype(np.float32), labels.astype(np.int64)


def predictions(logits: Array, labels: Array, **more: Any) -> Predictions:
    names = tuple(f"c{k}" for k in range(logits.shape[1]))
    return Predictions(logits, labels, tuple(f"x{row}" for row in range(len(labels))), classes=names, **more)


def measure(factor: float, classes: int = 4, **more: Any) -> Evidence:
    z, labels = drawn(classes=classes)
    return Calibration().measure(predictions=predictions(z * np.float32(factor), labels, **more), seed=1)


@pytest.mark.parametrize("classes", [2, 4])
def test_a_calibrated_model_is_found_calibrated(classes: int) -> None:
    found = measure(1.0, classes)
    assert outcome(one(found, "ece_excess"), at_most=0.04) == "pass"
    low, high = interval(one(found, "ece_excess"), 0.95)
    assert low < 0 < high
    low, high = interval(one(found, "calibration_slope"), 0.95)
    assert low < 1 < high
    assert one(found, "ece").value > 0.01  # by chance alone: why the excess is judged


@pytest.mark.parametrize("classes", [2, 4])
def test_over_confidence_is_caught(classes: int) -> None:
    found = measure(4.0, classes)
    assert outcome(one(found, "ece_excess"), at_most=0.02) == "fail"
    assert outcome(one(found, "calibration_slope"), at_least=0.8) == "fail"
    assert one(found, "calibration_slope").value == pytest.approx(
        one(measure(1.0, classes), "calibration_slope").value / 4
    )
    assert one(found, "brier").value > one(measure(1.0, classes), "brier").value


def test_too_little_confidence_is_caught_too() -> None:
    found = measure(0.4)
    assert outcome(one(found, "ece_excess"), at_most=0.02) == "fail"
    assert outcome(one(found, "calibration_slope"), at_most=1.2) == "fail"


def test_the_error_equals_a_plain_loop_over_bins() -> None:
    z, labels = drawn(n=257)
    p, total = softmax(z.astype(float)), 0.0
    confidence, hit = p.max(1), p.argmax(1) == labels
    order = np.argsort(confidence)
    edges = [int(np.ceil(257 * b / 15)) for b in range(16)]
    for start, stop in pairwise(edges):
        rows = order[start:stop]
        total += len(rows) / 257 * abs(hit[rows].mean() - confidence[rows].mean())
    found = ece_excess(said(z, labels), (), 15, 0)
    assert found.ece == pytest.approx(total, abs=1e-6)


def test_chance_equals_the_mean_error_of_labels_drawn_again() -> None:
    z, labels = drawn(n=256, skill=2.0)
    rng, p = np.random.default_rng(5), softmax(z.astype(float))
    again = [
        ece_loop(said(z, (p.cumsum(1) > rng.random((256, 1))).argmax(1).clip(0, 3)).hit, p.max(1)) for _ in range(400)
    ]
    found = ece_excess(said(z, labels), (), 15, 0)
    assert found.chance == pytest.approx(np.mean(again), abs=4 * np.std(again) / 20)
    assert 0.02 < found.chance < 0.11


def ece_loop(hit: Array, confidence: Array) -> float:
    bin_of = equal_mass(confidence, 15)
    return float(sum(abs((hit - confidence)[bin_of == b].sum()) for b in range(15)) / len(hit))


def test_the_brier_score_equals_scikit_learns() -> None:
    z, labels = drawn()
    p = softmax(z.astype(float))
    expected = brier_score_loss(labels, p, scale_by_half=False, labels=[0, 1, 2, 3])
    assert one(measure(1.0), "brier").value == pytest.approx(expected, abs=1e-6)


def test_the_slope_of_two_classes_equals_scikit_learns_logistic_regression() -> None:
    z, labels = drawn(classes=2)
    z[:, 1] += 0.7  # a shift that the intercept takes up
    score = (z[:, 1] - z[:, 0])[:, None].astype(float)
    fitted = LogisticRegression(C=np.inf, tol=1e-10, max_iter=500).fit(score, labels)
    slope, influence = calibration_slope(z, labels)
    assert slope == pytest.approx(fitted.coef_[0, 0], abs=1e-5)
    p = fitted.predict_proba(score)[:, 1]
    design = np.c_[np.ones(len(p)), score]
    bread = np.linalg.inv((design * (p * (1 - p))[:, None]).T @ design)
    sandwich = bread @ ((design * ((labels - p) ** 2)[:, None]).T @ design) @ bread
    assert influence.std() / np.sqrt(len(p)) == pytest.approx(np.sqrt(sandwich[1, 1]), rel=1e-3)


@pytest.mark.parametrize("factor", [0.3, 1.0, 40.0])
def test_the_slope_of_many_classes_is_the_best_inverse_temperature(factor: float) -> None:
    z, labels = drawn(classes=6)
    z = z * np.float32(factor)
    best = minimize_scalar(
        lambda b: log_loss(labels, softmax(b * z.astype(float)), labels=range(6)),
        bounds=(0, 4 / factor), method="bounded", options={"xatol": 1e-9},
    )  # fmt: skip
    slope, influence = calibration_slope(z, labels)
    assert slope == pytest.approx(best.x, rel=1e-4) and influence.mean() == pytest.approx(0, abs=1e-6)


def test_a_model_that_ranks_the_wrong_way_round_has_a_negative_slope() -> None:
    z, labels = drawn(classes=5)
    assert calibration_slope(-z, labels)[0] == pytest.approx(-calibration_slope(z, labels)[0], abs=1e-6)


def test_a_model_without_errors_has_no_slope_and_says_so() -> None:
    labels = np.arange(90) % 3
    found = Calibration().measure(predictions=predictions(np.eye(3, dtype=np.float32)[labels] * 4, labels), seed=1)
    assert not measured(found, "calibration_slope")
    assert any("calibration_slope was not measured: every example" in note for note in found.notes)
    two = predictions(np.eye(2, dtype=np.float32)[labels % 2], labels % 2)
    assert not measured(Calibration().measure(predictions=two, seed=1), "calibration_slope")
    alone = predictions(drawn(classes=2)[0][:90], np.zeros(90, dtype=np.int64))
    assert any("only one class" in note for note in Calibration().measure(predictions=alone, seed=1).notes)


def test_groups_are_the_unit_where_there_are_some() -> None:
    found = measure(1.0, groups=tuple(f"g{row // 5}" for row in range(600)))
    assert {m.n for m in found.measurements} == {120} and {m.unit_of_resampling for m in found.measurements} == {
        "group"
    }
    assert one(found, "ece_excess").value == pytest.approx(one(measure(1.0), "ece_excess").value)


def test_equal_groups_widen_the_interval() -> None:
    z, labels = drawn(n=150)
    four = predictions(z.repeat(4, 0), labels.repeat(4), groups=tuple(f"g{row // 4}" for row in range(600)))
    by_group = Calibration().measure(predictions=four, seed=1)
    single = Calibration().measure(predictions=predictions(four.logits, four.labels), seed=1)

    def width(found: Evidence, name: str) -> float:
        low, high = interval(one(found, name), 0.95)
        return high - low

    assert width(by_group, "ece_excess") > 1.5 * width(single, "ece_excess")
    assert width(by_group, "calibration_slope") > 1.5 * width(single, "calibration_slope")


def test_it_shows_the_reliability_diagram_and_is_repeatable() -> None:
    found = measure(1.0)
    diagram, bars = found.blocks
    assert isinstance(diagram, Lines) and isinstance(bars, Bars)
    model, diagonal = diagram.lines
    assert len(model.x) == 15 and list(model.x) == sorted(model.x) and diagonal.x == diagonal.y
    assert all(a <= b <= c for a, b, c in zip(model.low, model.y, model.high, strict=True))
    assert sum(bar.value for bar in bars.bars) == pytest.approx(1)
    assert measure(1.0) == found
    kinds = {m.name: type(m.distribution) for m in found.measurements}
    assert kinds == {"ece": Quantiles, "ece_excess": Quantiles, "brier": Moments, "calibration_slope": Moments}


@pytest.mark.slow
@pytest.mark.parametrize(("n", "skill"), [(256, 2.0), (256, 8.0), (1000, 4.0)])
def test_at_calibration_the_interval_holds_zero_as_often_as_it_says(n: int, skill: float) -> None:
    held, slopes = 0, 0
    for seed in range(60):
        z, labels = drawn(n=n, skill=skill, seed=seed)
        found = Calibration().measure(predictions=predictions(z, labels), seed=seed)
        low, high = interval(one(found, "ece_excess"), 0.95)
        held += low <= 0 <= high
        low, high = interval(one(found, "calibration_slope"), 0.95)
        slopes += low <= 1 <= high
    assert held >= 0.9 * 60 and slopes >= 0.87 * 60
