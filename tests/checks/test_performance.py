"""task.performance: numbers against scikit-learn, planted defects, groups, and what it shows."""

from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

from auditor.artifacts.predictions import Predictions
from auditor.blocks import Bars, Heatmap, Table
from auditor.checks.task.performance import Performance
from auditor.evidence import Counts, Evidence, Measurement, Moments, Quantiles
from auditor.judge.bounds import claim
from auditor.judge.intervals import interval
from auditor.spec.model import Rule


def predictions(n: int = 200, classes: int = 4, skill: float = 3.0, **more: Any) -> Predictions:
    rng = np.random.default_rng(0)
    labels = np.arange(n) % classes
    logits = rng.normal(size=(n, classes)).astype(np.float32)
    logits[np.arange(n), labels] += skill
    names = tuple(f"c{k}" for k in range(classes))
    return Predictions(logits, labels, tuple(f"x{row}" for row in range(n)), classes=names, **more)


def measured(found: Evidence, name: str) -> list[Measurement]:
    return [measurement for measurement in found.measurements if measurement.name == name]


def value(found: Evidence, name: str) -> float:
    (one,) = measured(found, name)
    return one.value


@pytest.fixture(scope="module")
def good() -> Evidence:
    return Performance().measure(predictions=predictions(), seed=1)


def test_values_equal_scikit_learns(good: Evidence) -> None:
    given = predictions()
    said = given.logits.argmax(1)
    assert value(good, "accuracy") == sk.accuracy_score(given.labels, said)
    assert value(good, "balanced_accuracy") == pytest.approx(sk.balanced_accuracy_score(given.labels, said))
    assert value(good, "macro_f1") == pytest.approx(sk.f1_score(given.labels, said, average="macro"))
    assert value(good, "mcc") == pytest.approx(sk.matthews_corrcoef(given.labels, said))
    shares = np.exp(given.logits.astype(float))
    shares /= shares.sum(1, keepdims=True)
    assert value(good, "log_loss") == pytest.approx(sk.log_loss(given.labels, shares), abs=1e-6)
    assert value(good, "auroc") == pytest.approx(sk.roc_auc_score(given.labels, shares, multi_class="ovr"), abs=1e-6)


def test_each_class_has_its_recall(good: Evidence) -> None:
    given = predictions()
    recall = sk.recall_score(given.labels, given.logits.argmax(1), average=None)
    found = measured(good, "worst_class_recall")
    assert [m.of for m in found] == ["c0", "c1", "c2", "c3"]
    assert [m.value for m in found] == pytest.approx(recall)
    assert all(m.distribution == Counts(k=round(m.value * 50), n=50) for m in found)


def test_each_number_carries_its_distribution(good: Evidence) -> None:
    kinds = {m.name: type(m.distribution) for m in good.measurements}
    assert kinds["accuracy"] is Counts and kinds["log_loss"] is Moments
    for name in ("balanced_accuracy", "macro_f1", "auroc", "mcc"):
        (one,) = measured(good, name)
        assert isinstance(one.distribution, Quantiles) and one.n == 200
        assert one.distribution.values[0] <= one.value <= one.distribution.values[-1]


def test_all_that_is_measured_was_declared(good: Evidence) -> None:
    assert {m.name for m in good.measurements} <= {metric.name for metric in Performance.metrics}
    assert "top5_accuracy" not in {m.name for m in good.measurements}


def test_top_five_needs_more_than_five_classes() -> None:
    given = predictions(classes=8, skill=0.5)
    found = Performance().measure(predictions=given, seed=1)
    assert value(found, "top5_accuracy") == sk.top_k_accuracy_score(given.labels, given.logits, k=5)


def test_a_constant_predictor_is_seen_in_every_number() -> None:
    given = predictions(skill=0.0)
    given.logits[:] = np.array([1, 0, 0, 0])
    found = Performance().measure(predictions=given, seed=1)
    assert value(found, "never_predicted") == 3
    assert min(m.value for m in measured(found, "worst_class_recall")) == 0
    assert value(found, "accuracy") == value(found, "balanced_accuracy") == 0.25
    assert value(found, "mcc") == 0 and value(found, "auroc") == 0.5


def test_a_class_swap_is_seen_in_the_weakest_class() -> None:
    given = predictions()
    given.logits[:, [0, 1]] = given.logits[:, [1, 0]]
    found = Performance().measure(predictions=given, seed=1)
    assert [m.value < 0.1 for m in measured(found, "worst_class_recall")] == [True, True, False, False]
    assert value(found, "never_predicted") == 0


def test_confident_errors_raise_the_log_loss(good: Evidence) -> None:
    given = predictions()
    given.logits[:] *= 20
    found = Performance().measure(predictions=given, seed=1)
    assert value(found, "log_loss") > 1.5 * value(good, "log_loss")
    assert value(found, "accuracy") == value(good, "accuracy")


def test_groups_are_the_unit_where_there_are_some() -> None:
    groups = tuple(f"g{row // 4}" for row in range(200))
    found = Performance().measure(predictions=predictions(groups=groups), seed=1)
    (accuracy,), (mcc,) = measured(found, "accuracy"), measured(found, "mcc")
    assert (accuracy.method, accuracy.n, accuracy.unit_of_resampling) == ("t", 50, "group")
    assert (mcc.method, mcc.n, mcc.unit_of_resampling) == ("bootstrap", 50, "group")
    assert accuracy.value == value(Performance().measure(predictions=predictions(), seed=1), "accuracy")


def test_one_class_alone_leaves_the_auroc_out_and_says_so() -> None:
    given = predictions(n=40)
    given.labels[:] = 2
    found = Performance().measure(predictions=given, seed=1)
    assert not measured(found, "auroc") and any("auroc" in note for note in found.notes)


def test_the_seed_decides_the_bootstrap(good: Evidence) -> None:
    assert Performance().measure(predictions=predictions(), seed=1) == good
    assert Performance().measure(predictions=predictions(), seed=2) != good


def test_it_shows_the_confusion_matrix_and_the_weakest_classes(good: Evidence) -> None:
    matrix, bars = good.blocks
    given = predictions()
    assert isinstance(matrix, Heatmap) and isinstance(bars, Bars)
    assert np.array_equal(matrix.values, sk.confusion_matrix(given.labels, given.logits.argmax(1)))
    assert [bar.value for bar in bars.bars] == sorted(bar.value for bar in bars.bars)


def test_many_classes_show_the_most_frequent_confusions() -> None:
    table, _ = Performance().measure(predictions=predictions(n=400, classes=40, skill=1.0), seed=1).blocks
    assert isinstance(table, Table) and len(table.rows) == 30 and table.more > 0


def test_halved_batches_are_noted() -> None:
    (note,) = Performance().measure(predictions=predictions(halved=2), seed=1).notes
    assert "halved 2 times" in note


def test_samples_stand_beside_their_examples(good: Evidence) -> None:
    assert good.examples[:2] == ("x0", "x1") and set(good.samples) == {"accuracy", "log_loss"}


def test_many_rows_and_classes_are_resampled_to_first_order() -> None:
    found = Performance().measure(predictions=predictions(n=1200, classes=200), seed=1)
    (one,) = measured(found, "auroc")
    assert isinstance(one.distribution, Quantiles)
    assert one.distribution.values[0] < one.value < one.distribution.values[-1]
    assert any("first order" in note for note in found.notes)


def test_classes_without_an_example_are_named_and_not_counted_as_silent() -> None:
    given = predictions(classes=4)
    rows = given.labels != 3
    few = Predictions(given.logits[rows], given.labels[rows], given.examples[: int(rows.sum())], classes=given.classes)
    found = Performance().measure(predictions=few, seed=1)
    assert value(found, "never_predicted") == 0
    assert [m.of for m in measured(found, "worst_class_recall")] == ["c0", "c1", "c2"]
    assert "1 of 4 classes have no example here; nothing is said of c3." in found.notes


def test_a_class_of_few_examples_may_stay_silent() -> None:
    given = predictions(n=200, classes=4)
    given.logits[:, 2] = -99
    few = int((given.labels == 2).sum())
    counted = [Performance(least=n).measure(predictions=given, seed=1) for n in (1, few, few + 1)]
    assert [value(found, "never_predicted") for found in counted] == [1, 1, 0]


def test_rows_that_were_left_out_reach_the_page() -> None:
    said = "1 of 1,000 pictures of eval could not be read and was left out: cat/7.png."
    assert Performance().measure(predictions=predictions(remarks=(said,)), seed=1).notes == (said,)


BOUNDS = {"accuracy": 0.7, "balanced_accuracy": 0.7, "macro_f1": 0.7, "auroc": 0.9, "mcc": 0.6,
          "top5_accuracy": 0.8, "worst_class_recall": 0.6}  # fmt: skip


@pytest.mark.parametrize(("skill", "outcome"), [(5.0, "pass"), (0.0, "fail")])
@pytest.mark.parametrize("name", [*BOUNDS, "log_loss", "never_predicted"])
def test_a_good_model_passes_and_one_that_guesses_or_is_silent_fails(name: str, skill: float, outcome: str) -> None:
    given = predictions(n=800, classes=8, skill=skill)
    if not skill and name == "never_predicted":
        given.logits[:, 0] = -99
    found = Performance().measure(predictions=given, seed=1)
    bound = {"at_least": BOUNDS[name]} if name in BOUNDS else {"at_most": 1.0 if name == "log_loss" else 0}
    asked = claim(Rule(check="c", metric=name, set_by="spec.yaml:1", **bound))
    outcomes = {asked.outcome(interval(one, 0.95)) for one in measured(found, name)}
    assert outcome in outcomes and (outcome == "fail" or outcomes == {"pass"})
