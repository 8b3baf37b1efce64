"""Scores against scikit-learn, on all rows and on resampled ones."""

import numpy as np
import pytest
from sklearn import metrics

from auditor.methods.classification import Scores, log_softmax, log_softmax_at, ranks_of_label


@pytest.fixture(params=[2, 5])
def scores(request: pytest.FixtureRequest) -> Scores:
    rng = np.random.default_rng(request.param)
    labels = rng.integers(0, request.param, 120)
    logits = rng.normal(size=(120, request.param)).round(1)  # rounded: there are ties
    logits[np.arange(120), labels] += 0.8
    return Scores(logits.astype(np.float32), labels)


@pytest.fixture(params=[False, True])
def rows(request: pytest.FixtureRequest, scores: Scores) -> np.ndarray:
    if not request.param:
        return scores.rows
    return np.random.default_rng(7).integers(0, 120, 120)


def test_scores_equal_scikit_learns(scores: Scores, rows: np.ndarray) -> None:
    said, labels = scores.predicted[rows], scores.labels[rows]
    assert scores.balanced_accuracy(rows) == pytest.approx(metrics.balanced_accuracy_score(labels, said))
    assert scores.macro_f1(rows) == pytest.approx(metrics.f1_score(labels, said, average="macro"))
    assert scores.mcc(rows) == pytest.approx(metrics.matthews_corrcoef(labels, said))


def test_auroc_equals_scikit_learns(scores: Scores, rows: np.ndarray) -> None:
    probability, labels = np.exp(log_softmax(scores.logits))[rows], scores.labels[rows]
    one = [metrics.roc_auc_score(labels == k, probability[:, k].round(12)) for k in np.unique(labels)]
    assert scores.auroc(rows) == pytest.approx(np.mean(one), abs=1e-9)


def test_log_softmax_and_ranks_equal_scikit_learns(scores: Scores) -> None:
    classes = np.arange(scores.logits.shape[1])
    own = -log_softmax(scores.logits)[scores.rows, scores.labels]
    assert own.mean() == pytest.approx(metrics.log_loss(scores.labels, np.exp(log_softmax(scores.logits))))
    smooth = scores.logits + np.random.default_rng(0).normal(size=scores.logits.shape) * 1e-3
    for k in range(1, len(classes)) if len(classes) > 2 else ():
        top = metrics.top_k_accuracy_score(scores.labels, smooth, k=k)
        assert (ranks_of_label(smooth, scores.labels) < k).mean() == pytest.approx(top)


def test_a_constant_predictor_has_no_correlation_and_chance_auroc() -> None:
    constant = Scores(np.zeros((10, 3), np.float32), np.arange(10) % 3)
    assert constant.mcc(constant.rows) == 0 and constant.auroc(constant.rows) == 0.5


def test_auroc_of_one_class_is_undefined() -> None:
    one = Scores(np.ones((4, 2), np.float32), np.zeros(4, np.int64))
    assert np.isnan(one.auroc(one.rows))


def test_large_logits_stay_finite() -> None:
    assert np.isfinite(log_softmax(np.array([[1e4, -1e4]], np.float32))).all()


def test_the_first_order_auroc_follows_the_exact_one(scores: Scores) -> None:
    assert scores.auroc_to_first_order(scores.rows) == pytest.approx(scores.auroc(scores.rows))
    rng = np.random.default_rng(3)
    drawn = [rng.integers(0, 120, 120) for _ in range(300)]
    exact = np.array([scores.auroc(rows) for rows in drawn])
    near = np.array([scores.auroc_to_first_order(rows) for rows in drawn])
    assert np.corrcoef(exact, near)[0, 1] > 0.98 and near.std() == pytest.approx(exact.std(), rel=0.1)


def test_many_rows_of_many_classes_need_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """All classes at once would hold six arrays of the size of the logits in float64."""
    import tracemalloc

    from auditor.methods import classification

    monkeypatch.setattr(classification, "BLOCK", 2**12)
    rng = np.random.default_rng(0)
    logits, labels = (3 * rng.normal(size=(3000, 200))).astype(np.float32), rng.integers(0, 200, 3000)
    tracemalloc.start()
    value = Scores(logits, labels).auroc_to_first_order(np.arange(3000))
    loss = -log_softmax_at(logits, labels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.5 * logits.nbytes
    assert value == pytest.approx(Scores(logits, labels).auroc(np.arange(3000)), abs=1e-12)
    assert (loss == -log_softmax(logits)[np.arange(3000), labels]).all()
