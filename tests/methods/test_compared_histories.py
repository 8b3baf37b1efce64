"""Histories brought to common ground: the same intervals, the same spacing, or rates per step."""

from dataclasses import replace

import numpy as np
import pytest
from histories import changes

from auditor.methods.training.compared import aligned, common_matrices, median_rates
from auditor.statistics import unpaired


def history(rate: float, steps: list[int] | None = None, records: int = 6):  # type: ignore[no-untyped-def]
    count = len(steps) - 1 if steps else records
    return changes([[rate, 2 * rate]] * count, [[1.0, 1.0]] * count, steps=steps)


def test_only_common_intervals_are_kept() -> None:
    long, late = history(0.1, [0, 10, 20, 30, 40]), history(0.1, [20, 30, 40, 50])
    found = aligned([long], [late])
    assert found is not None and found.basis == "same intervals"
    assert [part.steps.tolist() for part in (*found.first, *found.second)] == [[20, 30, 40]] * 2


def test_without_common_intervals_the_spacing_decides() -> None:
    shifted = aligned([history(0.1, [0, 10, 20, 30])], [history(0.1, [5, 15, 25, 35])])
    assert shifted is not None and shifted.basis == "same spacing"
    coarse = aligned([history(0.1, [0, 10, 20, 30])], [history(0.3, [1, 31, 61])])
    assert coarse is not None and coarse.basis == "per step"
    names = common_matrices(coarse)
    assert median_rates(coarse.first, names, "per step") == pytest.approx(
        median_rates(coarse.second, names, "per step")
    )


def test_learning_rates_are_used_on_both_sides_or_on_none() -> None:
    unknown = replace(history(0.1), lr=np.full(6, np.nan))
    found = aligned([history(0.1)], [unknown])
    assert found is not None and not found.lr_known and np.isnan(found.first[0].lr).all()
    known = aligned([history(0.1)], [history(0.1)])
    assert known is not None and known.lr_known


def test_a_history_too_short_or_broken_is_left_out() -> None:
    short, broken = history(0.1, records=1), history(0.1)
    broken = replace(broken, change=np.vstack([broken.change[:1], np.full((5, 2), np.inf)]))
    assert aligned([short], [history(0.1)]) is None
    assert aligned([broken], [history(0.1)]) is None
    found = aligned([short, history(0.1)], [history(0.1)])
    assert found is not None and len(found.first) == 1


def test_tensors_of_another_size_frozen_ones_and_vectors_are_not_common() -> None:
    one = changes([[0.1] * 4] * 3, [[1.0] * 4] * 3, dims=[2, 2, 2, 1])
    other = replace(one, sizes=np.array([100, 50, 100, 100]), trained=np.array([True, True, False, True]))
    found = aligned([one], [other])
    assert found is not None and common_matrices(found) == ("t0",)


def test_welch_is_scipys() -> None:
    from scipy import stats

    a, b = [1.0, 2.0, 4.0, 3.0], [1.5, 9.0, 3.0]
    mean, sd, n = unpaired(a, b)
    oracle = stats.ttest_ind(a, b, equal_var=False)
    assert mean / (sd / n**0.5) == pytest.approx(oracle.statistic)
    assert n == 1 + int(oracle.df)
    assert unpaired([2.0], [0.5]) == (1.5, 0.0, 1)
