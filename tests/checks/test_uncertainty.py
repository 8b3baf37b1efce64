"""task.uncertainty: sets keep their promise, refusing pays for a model that knows what it knows, strangers are seen."""

from typing import Any

import numpy as np
import pytest
from judged import measured, one, outcome
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from auditor.artifacts.predictions import Others, OthersOf, Predictions, others_of
from auditor.blocks import Bars, Lines
from auditor.checks.task.uncertainty import Uncertainty
from auditor.errors import NotApplicable
from auditor.evidence import Counts, Evidence
from auditor.methods.conformal import (
    accepting,
    certainty,
    conformal_quantile,
    nonconformity,
    risk_coverage,
    set_sizes,
    told_apart,
)
from auditor.statistics import halves
from auditor.subject import DataRef, ModelRef, Subject

Array = NDArray[Any]
NONE = Others({})


def softmax(z: Array) -> Array:
    p = np.exp(z - z.max(1, keepdims=True))
    return p / p.sum(1, keepdims=True)


def predictions(n: int = 800, classes: int = 5, skill: float = 3.0, seed: int = 0, **more: Any) -> Predictions:
    """Logits whose largest probability is right as often as it says."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, classes)) * skill
    labels = (softmax(z).cumsum(1) > rng.random((n, 1))).argmax(1).astype(np.int64)
    names = tuple(f"c{k}" for k in range(classes))
    return Predictions(z.astype(np.float32), labels, tuple(f"x{row}" for row in range(n)), classes=names, **more)


def measure(given: Predictions, others: Others = NONE, **parameters: Any) -> Evidence:
    return Uncertainty(**parameters).measure(predictions=given, others=others, seed=1)


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_sets_set_up_on_one_half_hold_the_label_on_the_other_as_often_as_promised(level: float) -> None:
    shares = [one(measure(predictions(400, seed=seed), level=level), "coverage").value for seed in range(40)]
    assert np.mean(shares) == pytest.approx(level, abs=0.015)
    found = measure(predictions(), level=level)
    assert outcome(one(found, "coverage"), at_least=level - 0.05) == "pass"


def test_sets_that_were_set_up_on_easier_groups_break_their_promise() -> None:
    given = predictions(800, groups=tuple(f"g{row // 100}" for row in range(800)))
    first, second = halves(given.groups, 1)
    given.labels[first] = given.logits[first].argmax(1)
    given.labels[second] = given.logits[second].argsort(1)[:, -3]
    assert one(measure(given), "coverage").value < 0.5


def test_the_coverage_equals_a_plain_count_over_sets() -> None:
    given = predictions()
    first, second = halves(np.arange(800), 1)
    p = softmax(given.logits.astype(float))
    scores = np.sort(1 - p[first, given.labels[first]])
    quantile = scores[int(np.ceil(401 * 0.9)) - 1]
    sets = [{k for k in range(5) if 1 - p[row, k] <= quantile} for row in second]
    hits = sum(int(given.labels[row]) in held for row, held in zip(second, sets, strict=True))
    found = measure(given)
    assert one(found, "coverage").distribution == Counts(k=hits, n=400)
    assert one(found, "set_size").value == pytest.approx(np.mean([len(held) for held in sets]))
    assert found.examples == tuple(f"x{row}" for row in second)


def test_refusing_pays_for_a_model_that_knows_what_it_knows() -> None:
    given = predictions()
    found = one(measure(given, answered=0.5), "selective_risk")
    assert outcome(found, at_most=0.15) == "pass" and found.n == pytest.approx(200, abs=45)
    assert found.value < 0.5 * (given.logits.argmax(1) != given.labels).mean()


def test_refusing_does_not_pay_when_confidence_knows_nothing() -> None:
    given = predictions()
    rng = np.random.default_rng(3)
    wrong = rng.random(800) < 0.3
    given.labels[:] = np.where(wrong, given.logits.argsort(1)[:, -2], given.logits.argmax(1))
    assert outcome(one(measure(given, answered=0.5), "selective_risk"), at_most=0.15) == "fail"


def test_the_threshold_is_the_other_halfs() -> None:
    given = predictions()
    first, second = halves(np.arange(800), 1)
    p = softmax(given.logits.astype(float)).max(1)
    kept = second[p[second] >= np.sort(p[first])[-320]]
    errors = int((given.logits[kept].argmax(1) != given.labels[kept]).sum())
    assert one(measure(given), "selective_risk").distribution == Counts(k=errors, n=len(kept))


def strangers(shift: float, n: int = 300) -> Others:
    return Others({"ood": predictions(n, skill=shift, seed=9, remarks=("1 of 301 pictures was left out.",))})


def test_strange_inputs_are_told_apart_where_the_model_is_less_sure_of_them() -> None:
    found = measure(predictions(skill=8.0), strangers(0.5))
    assert outcome(one(found, "ood_auroc"), at_least=0.85) == "pass" and one(found, "ood_auroc").n == 300
    assert "1 of 301 pictures was left out." in found.notes
    blind = measure(predictions(skill=3.0), strangers(3.0))
    assert outcome(one(blind, "ood_auroc"), at_least=0.7) == "fail"
    assert not measured(measure(predictions()), "ood_auroc")


def test_the_auroc_equals_scikit_learns_also_where_probabilities_are_rounded_to_one() -> None:
    sure, less = predictions(200, skill=300.0).logits, predictions(150, skill=100.0).logits
    value, drawn, n = told_apart(certainty(sure), certainty(less), (), (), 0)
    exact = [np.sort(z.astype(np.longdouble), 1) for z in (sure, less)]
    margins = np.concatenate([z[:, -1] - np.log(np.exp(z[:, :-1] - z[:, -2:-1]).sum(1)) - z[:, -2] for z in exact])
    assert value == pytest.approx(roc_auc_score(np.repeat([1, 0], [200, 150]), margins.astype(float)), abs=1e-9)
    assert drawn[0] < value < drawn[-1] and n == 150


def test_groups_are_drawn_whole() -> None:
    groups = tuple(f"g{row // 4}" for row in range(800))
    found = measure(predictions(skill=8.0, groups=groups), strangers(0.5))
    assert {m.unit_of_resampling for m in found.measurements} == {"group"}
    assert one(found, "coverage").n == 100 and one(found, "ood_auroc").n == 200


def test_too_few_examples_for_a_level_take_every_class() -> None:
    """Such sets hold the label whatever the model: a coverage of 1 would pass any bound, so there is none."""
    found = measure(predictions(12), level=0.95)
    assert not measured(found, "coverage") and one(found, "set_size").value == 5
    assert "coverage was not measured: half A is too small for level 0.95" in found.notes[1]


def test_one_example_or_one_group_is_not_split() -> None:
    for given in (predictions(1), predictions(60, groups=("g",) * 60)):
        with pytest.raises(NotApplicable, match="alone cannot be split"):
            measure(given)


def test_nobody_answered_leaves_the_risk_out() -> None:
    given = predictions(8)
    first, second = halves(np.arange(8), 1)
    given.logits[second] *= np.float32(1e-3)
    found = measure(given, answered=0.01)
    assert not measured(found, "selective_risk") and "0 are answered" in found.notes[0]
    assert accepting(certainty(given.logits[first]), 0.01) == certainty(given.logits[first]).max()


def test_the_risk_curve_is_monotone_in_coverage_and_ends_at_the_whole() -> None:
    given = predictions()
    hit = given.logits.argmax(1) == given.labels
    accepted, errors = risk_coverage(certainty(given.logits), hit)
    assert (np.diff(accepted) > 0).all() and (accepted[-1], errors[-1]) == (800, (~hit).sum())
    p = softmax(given.logits.astype(float)).max(1)
    assert errors[100] == (~hit)[np.argsort(-p)[:101]].sum()
    tied, _ = risk_coverage(np.array([1.0, 1.0, 0.0]), np.array([True, False, True]))
    assert tied.tolist() == [2, 3]


def test_it_shows_the_curve_and_the_sizes_and_is_repeatable() -> None:
    found = measure(predictions(), strangers(1.0))
    curve, bars = found.blocks
    assert isinstance(curve, Lines) and isinstance(bars, Bars)
    assert len(curve.lines[0].x) == 100 and curve.lines[0].x[-1] == 1
    assert sum(bar.value for bar in bars.bars) == pytest.approx(1)
    assert measure(predictions(), strangers(1.0)) == found


def test_many_rows_of_many_classes_are_taken_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    given = predictions(60, classes=9)
    whole = (nonconformity(given.logits, given.labels), certainty(given.logits), set_sizes(given.logits, 0.8))
    monkeypatch.setattr("auditor.methods.calibration.BLOCK", 40)
    again = (nonconformity(given.logits, given.labels), certainty(given.logits), set_sizes(given.logits, 0.8))
    assert all(np.array_equal(a, b) for a, b in zip(whole, again, strict=True))


def test_a_quantile_that_is_not_there_is_infinite() -> None:
    assert conformal_quantile(np.array([0.5] * 18), 0.95) == np.inf
    assert conformal_quantile(np.array([0.5] * 19), 0.95) == 0.5


def test_the_ood_data_reach_the_check_by_its_parameter() -> None:
    model = ModelRef(digest="m", name="m", source="factory", entry={}, architecture="a", modality="image")
    data, ood = (DataRef(digest=d, name=d, source="csv", entry={}, modality="image", rows=9, used=9) for d in "de")
    subject = Subject(model=model, data=data, others={"ood": ood})
    check = Uncertainty(ood="e")
    assert check.applies(subject) is None
    needed = check.needs(subject)["others"]
    assert isinstance(needed, OthersOf) and [name for name, _ in needed.probes] == ["ood"]
    assert needed.key != others_of(subject.model_copy(update={"others": {}}), ("ood",)).key
    assert needed.build(ood=predictions(5)).found["ood"].logits.shape == (5, 5)
