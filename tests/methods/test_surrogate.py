"""Surrogates: components, rules and kappa against scikit-learn's; what enters the head."""

import doctest
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.metrics import cohen_kappa_score
from torch import nn

from auditor.methods import surrogate
from auditor.methods.surrogate import grown, kappa, leaves, principal
from auditor.methods.units import HEAD, watched


def test_doctests() -> None:
    assert doctest.testmod(surrogate).failed == 0


def test_components_equal_scikit_learns_up_to_sign() -> None:
    table = np.random.default_rng(0).normal(size=(60, 8)) @ np.random.default_rng(1).normal(size=(8, 8))
    ours, theirs = principal(table, 3), PCA(3, svd_solver="full").fit(table)
    np.testing.assert_allclose(np.abs(ours.of(table)), np.abs(theirs.transform(table)), atol=1e-9)
    np.testing.assert_allclose(ours.shares, theirs.explained_variance_ratio_)


def test_a_table_without_spread_has_no_components() -> None:
    assert principal(np.ones((9, 4)), 3).directions.shape == (4, 0)


def test_the_rules_of_a_tree_cover_each_row_once_and_say_what_it_says() -> None:
    rng = np.random.default_rng(0)
    table, said = rng.normal(size=(120, 3)), rng.integers(0, 3, size=120)
    tree = grown(table, said, 3, 0)
    found = leaves(tree, ("a", "b", "c"))
    assert len(found) == tree.get_n_leaves()
    for row in range(120):
        values = dict(zip("abc", table[row].tolist(), strict=True))
        holding = [leaf for leaf in found if all(_holds(part, values) for part in leaf.way.split(" and "))]
        assert [leaf.says for leaf in holding] == [tree.predict(table[row : row + 1])[0]]


def _holds(part: str, values: dict[str, float]) -> bool:
    name, sign, cut = part.split()
    return values[name] <= float(cut) if sign == "<=" else values[name] > float(cut)


def test_a_tree_without_conditions_says_one_class_always() -> None:
    (leaf,) = leaves(grown(np.zeros((9, 2)), np.full(9, 4), 3, 0), ("a", "b"))
    assert (leaf.way, leaf.says) == ("always", 4)


def test_kappa_equals_scikit_learns_and_is_nan_for_constants() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 4, 200), rng.integers(0, 4, 200)
    other[:120] = one[:120]
    assert kappa(one, other) == pytest.approx(cohen_kappa_score(one, other))
    assert np.isnan(kappa(np.zeros(9, dtype=np.int64), np.zeros(9, dtype=np.int64)))


def entered(module: nn.Module, inputs: torch.Tensor) -> tuple[str, Any]:
    with watched(module.eval(), frozenset({HEAD}), None) as found:
        module(inputs)
    ((name, seen),) = found[HEAD].items()
    return name, seen


def test_what_enters_the_head_is_the_input_of_the_last_linear_layer_that_ran() -> None:
    module = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    inputs = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    name, seen = entered(module, inputs)
    assert name == "2"
    np.testing.assert_allclose(seen.mean, module[:2](inputs).detach(), rtol=1e-6)


def test_a_convolution_may_be_the_head() -> None:
    module = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.Conv2d(5, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    inputs = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    name, seen = entered(module, inputs)
    assert name == "2"
    np.testing.assert_allclose(seen.mean, module[:2](inputs).mean(dim=(2, 3)).detach(), rtol=1e-5)


def test_a_model_without_one_has_no_entry() -> None:
    module = nn.Sequential(nn.Conv2d(3, 5, 3), nn.Flatten())
    with watched(module, frozenset({HEAD}), None) as found:
        module(torch.zeros(1, 3, 6, 6))
    assert found == {HEAD: {}}
