"""Transferability scores against slow, direct formulas, and on features that say everything, or nothing."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from sklearn.covariance import ledoit_wolf

from auditor.methods.data.labels import standardized
from auditor.methods.transferability import h_score, logme, neighbours_right, probe_right


def task(n: int = 120, d: int = 8, apart: float = 2.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    return rng.normal(size=(n, d)) + apart * np.eye(3, d)[labels], labels


def slow_logme(features: np.ndarray, labels: np.ndarray) -> float:
    """The evidence as the density of N(0, I/b + F F'/a), maximized by search."""
    found = []
    for name in np.unique(labels):
        y = (labels == name).astype(float)

        def loss(p: np.ndarray, y: np.ndarray = y) -> float:
            covariance = np.eye(len(y)) / np.exp(p[1]) + features @ features.T / np.exp(p[0])
            return -multivariate_normal.logpdf(y, np.zeros(len(y)), covariance)

        best = minimize(loss, [0.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-9, "maxiter": 4000})
        found.append(-best.fun / len(y))
    return float(np.mean(found))


@pytest.mark.parametrize(("n", "d", "apart"), [(60, 4, 2.0), (60, 4, 0.0), (40, 60, 1.0)])
def test_logme_is_the_largest_evidence(n: int, d: int, apart: float) -> None:
    features, labels = task(n, d, apart)
    assert logme(features, labels) == pytest.approx(slow_logme(features, labels), abs=1e-6)


def test_h_score_is_the_trace_of_both_covariances() -> None:
    features, labels = task()
    centred = features - features.mean(0)
    covariance, share = ledoit_wolf(centred)
    between = sum(
        (labels == name).mean() * np.outer(mean := centred[labels == name].mean(0), mean) for name in range(3)
    )
    assert h_score(features, labels) == pytest.approx((1 - share) * np.trace(np.linalg.solve(covariance, between)))


def test_neighbours_against_a_loop() -> None:
    features, labels = task(60, apart=1.0)
    table = standardized(features)
    slow = []
    for row in range(60):
        nearness = [(-(a := table[row]) @ (b := table[other]) / np.linalg.norm(a) / np.linalg.norm(b), other)
                    for other in range(60) if other != row]  # fmt: skip
        near = [labels[other] for _, other in sorted(nearness)[:5]]
        most = max(near.count(name) for name in near)
        slow.append(next(name for name in near if near.count(name) == most) == labels[row])
    assert neighbours_right(features, labels).tolist() == slow


def test_rows_of_the_own_group_do_not_vote() -> None:
    rng = np.random.default_rng(0)
    twins = np.repeat(rng.normal(size=(60, 8)), 2, axis=0)  # every example twice: a copy would give the answer away
    labels, groups = np.repeat(rng.integers(0, 2, 60), 2), tuple(f"pair {row // 2}" for row in range(120))
    assert neighbours_right(twins, labels, k=1).all()
    assert neighbours_right(twins, labels, groups, k=1).mean() < 0.65


def test_features_that_say_nothing_give_chance() -> None:
    features, labels = task(300, apart=0.0)
    assert abs(neighbours_right(features, labels).mean() - 1 / 3) < 0.1
    assert abs(probe_right(features, labels, (), 0).mean() - 1 / 3) < 0.1
    assert h_score(features, labels) < 0.05


def test_features_that_say_everything_are_seen_by_every_score() -> None:
    (clear, labels), (vague, _) = task(apart=6.0), task(apart=1.0)
    assert neighbours_right(clear, labels).mean() > 0.98 and probe_right(clear, labels, (), 0).mean() > 0.98
    assert logme(clear, labels) > logme(vague, labels)
    assert h_score(clear, labels) > h_score(vague, labels)


def test_features_that_are_all_zero_have_the_evidence_of_noise_alone() -> None:
    """A network whose last rectifier is dead; y ~ N(0, 1/b) is all that is left, at its best b."""
    _, labels = task()
    shares = [(labels == name).mean() for name in range(3)]
    expected = np.mean([-0.5 * (np.log(2 * np.pi * share) + 1) for share in shares])
    assert logme(np.zeros((120, 3)), labels) == pytest.approx(expected)


def test_constant_features_are_no_error() -> None:
    _, labels = task()
    assert np.isfinite(logme(np.ones((120, 3)), labels)) and h_score(np.ones((120, 3)), labels) == 0
