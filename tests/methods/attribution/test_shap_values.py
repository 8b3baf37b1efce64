"""SHAP values against Shapley's own formula, linear models, players that are alike or idle, and sums that fail."""

import doctest
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
import pytest
import torch
from asked import CONTEXT, Net, convolutional, hooks, linear, pictures, reader, rows, texts
from torch import Tensor, nn

from auditor.errors import SourceError
from auditor.methods.attribution import shap_values
from auditor.methods.attribution.explain import explain
from auditor.methods.attribution.method import Context
from auditor.methods.attribution.shap_values import (
    Shap,
    exact_values,
    hierarchy,
    partition_values,
    permutation_values,
)

COLUMNS = 8
TABLE = rows(3, COLUMNS)
CENTRE = Context(seed=5, batch_size=300, background=rows(40, COLUMNS).flip(0))
FIRST = torch.zeros(3, dtype=torch.long)


def by_formula(game: Any, players: int) -> np.ndarray:
    """phi_i = sum over S without i of (f(S + i) - f(S)) / (players binom(players - 1, |S|))."""
    scores = game(np.arange(2**players)[:, None] >> np.arange(players) & 1 == 1)
    found = np.zeros(players)
    for i in range(players):
        others = [j for j in range(players) if j != i]
        for size in range(players):
            for chosen in combinations(others, size):
                without = sum(2**j for j in chosen)
                found[i] += (scores[without + 2**i] - scores[without]) / (players * comb(players - 1, size))
    return found


def curved(columns: int = COLUMNS) -> Net:
    torch.manual_seed(2)
    net = nn.Sequential(nn.Linear(columns, 12), nn.Tanh(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 2))
    return Net(net.eval())


def test_doctests() -> None:
    found = doctest.testmod(shap_values)
    assert found.attempted and not found.failed


def test_few_columns_have_the_values_of_shapleys_formula_and_sampling_comes_near() -> None:
    """Sampled within 0.02 abs(f(x) - f(x0)), or of the sum of sizes where the values cancel and that is near zero."""
    net, x0, table, targets = curved(), CENTRE.background.mean(dim=0), rows(8, COLUMNS), torch.zeros(8).long()
    found = Shap().maps(net, table, targets, CENTRE)
    near = Shap(max_evals=2000, exact_up_to=0).maps(net, table, targets, CENTRE)
    assert found.facts["enumerated"].all() and not near.facts["enumerated"].any()
    cancelled = 0
    for row, x in enumerate(table):

        @torch.no_grad()
        def game(kept: np.ndarray, x: Tensor = x) -> np.ndarray:
            return net.module(torch.where(torch.from_numpy(kept), x, x0))[:, 0].double().numpy()

        want = by_formula(game, COLUMNS)
        none, whole = game(np.array([[False] * COLUMNS, [True] * COLUMNS]))
        np.testing.assert_allclose(found.values[row], want, atol=1e-6)
        assert found.values[row].sum().item() == pytest.approx(whole - none, abs=1e-6)
        cancels = abs(whole - none) < 0.2 * np.abs(want).sum()
        cancelled += cancels
        size = np.abs(want).sum() if cancels else abs(whole - none)
        assert 0 < np.abs(near.values[row].numpy() - want).max() <= 0.02 * size
    assert cancelled <= 3


@pytest.mark.parametrize("exact_up_to", [0, 10])
def test_on_a_linear_model_the_values_are_its_terms(exact_up_to: int) -> None:
    net, weight = linear(COLUMNS)
    found = Shap(exact_up_to=exact_up_to).maps(net, TABLE, FIRST, CENTRE)
    want = weight * (TABLE - CENTRE.background.mean(dim=0))
    assert torch.allclose(found.values, want, atol=1e-5)
    assert found.facts["additivity_error"].max() < 1e-5


def test_players_that_are_alike_share_evenly_and_idle_ones_get_nothing() -> None:
    def game(kept: np.ndarray) -> np.ndarray:
        return 3.0 * (kept[:, 0] & kept[:, 1]) - 2.0 * (kept[:, 2] | kept[:, 3])

    rng, tree = (
        np.random.default_rng(0),
        hierarchy(np.array([[0, place] for place in range(5)]), np.random.default_rng(1)),
    )
    ways = (exact_values(game, 5), permutation_values(game, 5, 400, rng), partition_values(game, tree, 400, rng))
    for values, base in ways:
        assert base == 0 and values[4] == 0 and values.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(ways[0][0], [1.5, 1.5, -1, -1, 0], atol=1e-12)
    np.testing.assert_allclose(ways[1][0], [1.5, 1.5, -1, -1, 0], atol=1e-12)  # pairs only: exact there and back


def test_owen_values_with_evaluations_enough_are_those_of_every_order_that_keeps_groups_together() -> None:
    """Groups {0, 1} and {2, 3}: the mean over the eight orders in which no group is torn apart."""
    draws = np.random.default_rng(3).normal(size=16)

    def game(kept: np.ndarray) -> np.ndarray:
        return draws[kept @ np.array([1, 2, 4, 8])]

    orders = [(*a, *b) for a, b in (([0, 1], [2, 3]), ([2, 3], [0, 1])) for a in (a, a[::-1]) for b in (b, b[::-1])]
    want = np.zeros(4)
    for order in orders:
        kept = np.zeros(4, dtype=bool)
        for player in order:
            before = game(kept[None])[0]
            kept[player] = True
            want[player] += (game(kept[None])[0] - before) / len(orders)
    tree = np.array([[0, 1, 2, 2], [2, 3, 2, 2], [4, 5, 4, 4]], dtype=float)
    values, base = partition_values(game, tree, 100, np.random.default_rng(0))
    np.testing.assert_allclose(values, want, atol=1e-12)
    assert base == draws[0]


def test_a_hierarchy_joins_neighbours_and_holds_every_place_once() -> None:
    places = np.stack(np.divmod(np.arange(35), 7), axis=1)
    trees = [hierarchy(places, np.random.default_rng(seed)) for seed in range(5)]
    assert not all(np.array_equal(trees[0], tree) for tree in trees[1:])
    for tree in trees:
        members = [{index} for index in range(35)]
        for left, right, _, size in tree.astype(int):
            both = members[left] | members[right]
            assert len(both) == size == len(members[left]) + len(members[right])
            box = np.ptp(places[sorted(both)], axis=0) + 1
            assert box.prod() == size, "a group of neighbours fills its rectangle"
            assert max(len(members[left]), len(members[right])) * 3 <= 2 * size + max(box) * 2
            members.append(both)
        assert members[-1] == set(range(35))


@pytest.mark.parametrize("modality", ["image", "text", "tabular"])
def test_values_add_up_repeat_and_leave_no_trace(modality: str) -> None:
    net, inputs, targets = {
        "image": (Net(convolutional()), pictures(3), torch.tensor([0, 3, 1])),
        "text": (reader(), texts(), torch.tensor([0, 1, 2])),
        "tabular": (curved(), TABLE, FIRST),
    }[modality]
    context = CENTRE if modality == "tabular" else CONTEXT
    np.random.seed(7)
    state, hooked = np.random.get_state(), hooks(net.module)
    method = Shap(max_evals=60, exact_up_to=0)
    first, again = (method.maps(net, inputs, targets, context) for _ in range(2))
    after = np.random.get_state()
    assert torch.equal(first.values, again.values) and first.facts["additivity_error"].max() < 1e-5
    assert np.array_equal(state[1], after[1]) and state[2:] == after[2:]
    assert hooks(net.module) == hooked == 0
    tight = Net(net.module, most=3)
    halved = method.maps(tight, inputs, targets, context)
    assert halved.halved and torch.allclose(halved.values, first.values, atol=1e-5)
    other = method.maps(net, inputs, targets, Context(**{**vars(context), "seed": 6}))
    assert not torch.equal(first.values, other.values)


def test_special_tokens_and_padding_are_no_players() -> None:
    found = explain("shap", reader(), texts(), torch.tensor([0, 1, 2]), CONTEXT)
    own = torch.tensor([[0, 1, 1, 1, 0], [0, 1, 0, 0, 0], [0, 1, 1, 0, 0]]).bool()
    assert not found.values[~own].any() and found.values[own].all()


def test_fewer_evaluations_than_an_order_needs_still_run_one() -> None:
    found = Shap(max_evals=4, exact_up_to=0).maps(curved(), TABLE, FIRST, CENTRE)
    assert found.values.any() and found.facts["additivity_error"].max() < 1e-5


class Drifting(nn.Module):
    """A model that answers the same row otherwise each time."""

    calls = 0

    def forward(self, inputs: Tensor) -> Tensor:
        self.calls += 1
        return inputs.sum(dim=1, keepdim=True) + 0.05 * self.calls


def test_values_that_do_not_add_up_are_an_error() -> None:
    for exact_up_to in (0, 10):
        with pytest.raises(SourceError, match=r"do not add up.*3 of 3 examples") as error:
            Shap(exact_up_to=exact_up_to).maps(Net(Drifting()), TABLE, FIRST, CENTRE)
        assert "dropout" in error.value.hint
    known = Context(**{**vars(CENTRE), "spread": 1e6})
    assert Shap().maps(Net(Drifting()), TABLE, FIRST, known).facts["additivity_error"].min() > 0
