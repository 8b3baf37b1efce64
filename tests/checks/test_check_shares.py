"""Shares over groups: where all groups agree, the groups themselves are counted."""

import pytest

from auditor.checks.task.performance import Performance
from auditor.evidence import Counts, Moments

GROUPS = [f"g{i // 2}" for i in range(80)]


@pytest.mark.parametrize(("hit", "k"), [(True, 40), (False, 0)])
def test_groups_that_all_agree_are_counted(hit: bool, k: int) -> None:
    found = Performance.share("accuracy", [hit] * 80, GROUPS)
    assert found.distribution == Counts(k=k, n=40)
    assert (found.method, found.unit_of_resampling, found.value, found.n) == ("wilson", "group", float(hit), 40)


def test_groups_that_differ_have_moments_and_single_examples_counts() -> None:
    mixed = [i % 5 > 0 for i in range(80)]
    by_group = Performance.share("accuracy", mixed, GROUPS)
    assert isinstance(by_group.distribution, Moments)
    assert (by_group.method, by_group.n, by_group.value) == ("t", 40, 0.8)
    assert Performance.share("accuracy", mixed).distribution == Counts(k=64, n=80)
