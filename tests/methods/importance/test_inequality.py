"""Gini and the effective share against their definitions, and the coverage of their intervals."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.methods.importance.inequality import effective_share, gini, lorenz, told
from auditor.statistics import moments, t_interval

Columns = st.lists(st.floats(0, 1e6, allow_subnormal=False), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(Columns)
def test_both_are_their_definitions(values: list[float]) -> None:
    x = np.array(values)
    if x.sum() == 0:
        assert gini(x) is None and effective_share(x) is None
        return
    slow = sum(abs(a - b) for a in values for b in values) / (2 * len(values) * x.sum())
    assert gini(x) == pytest.approx(slow, abs=1e-9)
    largest = x / x.max()
    assert effective_share(x) == pytest.approx(largest.sum() ** 2 / (len(x) * (largest**2).sum()), rel=1e-9)
    assert gini(x * 7) == pytest.approx(slow, abs=1e-9)


def test_tiny_and_huge_importances_neither_vanish_nor_overflow() -> None:
    for scale in (1e-30, 1e30):
        assert effective_share(np.array([1, 1, 0, 0], dtype=np.float32) * np.float32(scale)) == pytest.approx(0.5)


def _examples(rng: np.random.Generator, n: int, strength: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    """Squared normal gradients whose mean is `strength`, scaled together by how hard the example is."""
    hard = rng.gamma(1.0, 1.0, (n, 1))
    return np.asarray(hard * strength * rng.normal(size=(n, len(strength))) ** 2, dtype=np.float32)


def test_the_noise_of_few_examples_is_taken_away_and_the_intervals_cover() -> None:
    """The plug-in numbers are far off; the nominal 95% must not fall below 88% in 200 runs (binomial: 3 in 10,000)."""
    strength = np.random.default_rng(0).gamma(0.5, 1.0, 400)
    truth = gini(strength), effective_share(strength)
    inside, plain = np.zeros(2), np.zeros(2)
    for run in range(200):
        examples = _examples(np.random.default_rng(1000 + run), 96, strength)
        blocks = examples.reshape(32, 3, -1).mean(axis=1)
        found = told(blocks, np.full(32, 3))
        assert found is not None
        for at, column in enumerate((found.gini, found.effective_share)):
            low, high = t_interval(*moments(column), 0.95)
            inside[at] += low <= (truth[at] or 0) <= high
        plain += [gini(blocks.mean(axis=0)) or 0, effective_share(blocks.mean(axis=0)) or 0]
    assert (inside / 200 >= 0.88).all(), inside / 200
    assert plain[0] / 200 > (truth[0] or 0) and plain[1] / 200 < (truth[1] or 0)


def test_blocks_of_unequal_size_count_by_their_examples() -> None:
    examples = _examples(np.random.default_rng(3), 64, np.linspace(0.1, 2, 50))
    cuts = [0, 1, 5, 20, 40, 64]
    blocks = np.stack([examples[a:b].mean(axis=0) for a, b in pairwise(cuts)])
    found = told(blocks, np.diff(cuts))
    assert found is not None
    counts = np.diff(cuts)
    without = [np.delete(np.arange(5), out) for out in range(5)]
    slow = [gini((blocks[rest] * counts[rest, None]).sum(0)) for rest in without]
    whole = gini(examples.mean(axis=0))
    np.testing.assert_allclose(found.gini, [5 * whole - 4 * each for each in slow], rtol=1e-3)  # type: ignore[operator]


def test_too_few_blocks_or_none_that_agree_say_nothing() -> None:
    assert told(np.ones((2, 4), np.float32), np.ones(2, np.int64)) is None
    assert told(np.zeros((5, 4), np.float32), np.ones(5, np.int64)) is None
    assert told(np.eye(5, dtype=np.float32), np.ones(5, np.int64)) is None  # no parameter matters twice


def test_the_lorenz_curve_runs_from_corner_to_corner_below_the_diagonal() -> None:
    x, y = lorenz(np.array([0.0, 0.0, 1.0, 3.0]))
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    assert (y <= x + 1e-12).all() and (np.diff(y) >= 0).all()
    assert np.interp(0.75, x, y) == pytest.approx(0.25)
