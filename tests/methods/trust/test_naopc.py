"""NAOPC: extremes over all orders against every permutation, groups that partition an example's parts."""

from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from auditor.methods.attribution.method import Context
from auditor.methods.attribution.perturb import Forwards
from auditor.methods.attribution.removal import Removal, removal_of
from auditor.methods.trust.asking import Asks
from auditor.methods.trust.faithfulness import Chains
from auditor.methods.trust.naopc import (
    beam_extreme,
    chain_extremes,
    group_means,
    groups_of,
    members,
    subsets,
    sum_along,
)

GROUPS = 5


@pytest.fixture
def table() -> torch.Tensor:
    """Scores without each subset of five groups: any game, not an additive one."""
    return torch.randn(4, 2**GROUPS, generator=torch.Generator().manual_seed(0))


def all_sums(table: torch.Tensor, row: int, size: int) -> list[float]:
    """The sums along every order of the first `size` groups."""
    found = []
    for order in permutations(range(size)):
        number, total = 0, 0.0
        for group in order:
            number += 2**group
            total += float(table[row, number])
        found.append(total)
    return found


@pytest.mark.parametrize("size", [2, 4, GROUPS])
def test_the_extremes_are_those_of_every_order(table: torch.Tensor, size: int) -> None:
    low, high = chain_extremes(table)
    for row in range(len(table)):
        sums = all_sums(table, row, size)
        assert low[row, 2**size - 1] == pytest.approx(min(sums), abs=1e-5)
        assert high[row, 2**size - 1] == pytest.approx(max(sums), abs=1e-5)


def test_the_sum_along_an_order_stops_at_the_examples_own_groups(table: torch.Tensor) -> None:
    order = torch.tensor([[2, 0, 1, 3, 4]]).expand(4, -1)  # group 1 first, then 2, then 0
    found = sum_along(table, order, torch.tensor([3, 3, GROUPS, GROUPS]))
    chain = table[:, 2] + table[:, 6] + table[:, 7]
    assert torch.allclose(found, chain + torch.tensor([0, 0, 1, 1]) * (table[:, 15] + table[:, 31]), atol=1e-5)


def test_a_beam_as_wide_as_all_sets_finds_the_extremes(table: torch.Tensor) -> None:
    sizes = torch.tensor([GROUPS, 4, GROUPS, 2])

    def scored(sets: torch.Tensor) -> torch.Tensor:
        return table.gather(1, (sets * 2 ** torch.arange(GROUPS)).sum(dim=2))

    low, high = (each.gather(1, (2**sizes - 1)[:, None])[:, 0] for each in chain_extremes(table))
    assert torch.allclose(beam_extreme(scored, sizes, GROUPS, 40, 1), low, atol=1e-5)
    assert torch.allclose(beam_extreme(scored, sizes, GROUPS, 40, -1), high, atol=1e-5)
    assert (beam_extreme(scored, sizes, GROUPS, 1, 1) >= low - 1e-5).all()


def test_groups_are_blocks_of_a_grid_and_runs_of_tokens() -> None:
    grid = removal_of(torch.zeros(1, 1, 8, 12), "mean", Context(), 12)
    found = groups_of(grid, 6)[0].reshape(8, 12)
    assert found[0].tolist() == [0] * 4 + [1] * 4 + [2] * 4 and found[7, 0] == 3
    own = torch.tensor([[False, True, True, True, True, True, False], [False, True, True, False, False, False, False]])
    text = Removal(own, (7,), {}, {}, torch.empty(0, dtype=torch.int64))
    assert groups_of(text, 3).tolist() == [[-1, 0, 0, 1, 1, 2, -1], [-1, 0, 1, -1, -1, -1, -1]]
    inside = members(groups_of(text, 3), 3)
    assert torch.equal(inside.any(dim=1), own)
    assert group_means(torch.arange(7.0).expand(2, 7), inside).tolist() == [[1.5, 3.5, 5.0], [1.0, 2.0, 0.0]]


def test_subsets_are_numbered_by_their_bits() -> None:
    assert all(sum(2**k for k in range(3) if line[k]) == number for number, line in enumerate(subsets(3).tolist()))


class Product:
    """A model whose columns work together: f = sum of neighbours' products."""

    module = nn.Identity()

    def logits(self, inputs: Any) -> torch.Tensor:
        return (inputs[:, 1:] * inputs[:, :-1]).sum(dim=1, keepdim=True) + inputs[:, :1]

    def gradient_inputs(self, inputs: Any) -> tuple[torch.Tensor, Any]:
        raise NotImplementedError


def test_exact_and_beam_agree_on_a_small_model_and_lie_between_zero_and_one() -> None:
    model, inputs = Product(), torch.randn(3, 6, generator=torch.Generator().manual_seed(3))
    removal = removal_of(inputs, "mean", Context(background=torch.zeros(1, 6)))
    maps = torch.randn(20, 3, 6, generator=torch.Generator().manual_seed(4))
    chains = Chains(removal, maps, 6, torch.Generator().manual_seed(5))
    asks = Asks(removal, torch.zeros(3, dtype=torch.long), model.logits(inputs)[:, 0])
    asks.add(chains.asked(subsets(6)))
    forwards = Forwards(model, 64)
    exact, spread = chains.exact(asks.answers(forwards))
    beam, near = chains.by_beam(forwards, asks, 64)
    assert torch.allclose(exact, beam, atol=1e-4) and torch.allclose(spread, near, atol=1e-4)
    assert exact.min() >= 0 and exact.max() <= 1 and abs(float(exact.mean()) - 0.5) < 0.15


def test_the_best_and_the_worst_order_are_one_and_zero() -> None:
    inputs = torch.rand(5, 6, generator=torch.Generator().manual_seed(6)) + 0.1

    class Sum(Product):
        def logits(self, inputs: Any) -> torch.Tensor:
            return inputs.sum(dim=1, keepdim=True)

    removal = removal_of(inputs, "mean", Context(background=torch.zeros(1, 6)))
    chains = Chains(removal, torch.stack([inputs, -inputs]), 6, torch.Generator())
    asks = Asks(removal, torch.zeros(5, dtype=torch.long), inputs.sum(dim=1))
    asks.add(chains.asked(subsets(6)))
    found, spread = chains.exact(asks.answers(Forwards(Sum(), 64)))
    np.testing.assert_allclose(found.numpy(), [[1.0] * 5, [0.0] * 5], atol=1e-5)
    assert (spread > 0).all()
