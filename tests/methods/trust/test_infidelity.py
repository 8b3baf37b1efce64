"""Infidelity: zero for a linear model's own weights, the formula in a slow loop, draws that leave something."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from auditor.methods.attribution.method import Context
from auditor.methods.attribution.perturb import Forwards
from auditor.methods.attribution.removal import Removal, removal_of
from auditor.methods.trust.asking import Asks
from auditor.methods.trust.infidelity import draws, infidelity
from auditor.methods.trust.orders import misplaced

N, COLUMNS = 5, 12


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Linear:
    """f(x) = w . x, with weights of both signs."""

    def __init__(self) -> None:
        self.module = nn.Linear(COLUMNS, 1)
        self.module.weight.data = torch.randn(1, COLUMNS, generator=drawn(9))

    def logits(self, inputs: Any) -> torch.Tensor:
        return self.module(inputs)

    def gradient_inputs(self, inputs: Any) -> tuple[torch.Tensor, Any]:
        raise NotImplementedError


def test_the_weights_of_a_linear_model_say_every_fall() -> None:
    model, inputs = Linear(), torch.ones(N, COLUMNS)  # at x - x_ref = 1 a weight is what its column contributes
    removal = removal_of(inputs, "mean", Context(background=torch.zeros(1, COLUMNS)))
    taken = draws(removal, 40, drawn())
    bare = model.logits(inputs)[:, 0].detach()
    asks = Asks(removal, torch.zeros(N, dtype=torch.long), bare)
    asks.add(taken)
    fall = bare[:, None] - asks.answers(Forwards(model, 64))
    weights = model.module.weight.detach().expand(N, -1)
    mass = torch.einsum("ndp,np->nd", taken.float(), weights)
    assert infidelity(mass, fall).max() < 1e-6
    assert infidelity(3 * mass, fall).max() < 1e-6  # any positive scale will do
    assert torch.equal(infidelity(-mass, fall), torch.ones(N, dtype=torch.float64))
    moved = misplaced(weights, removal, 8, drawn(1))
    wrong = infidelity(torch.einsum("ndp,ncp->cnd", taken.float(), moved), fall)
    assert wrong.mean() > 0.3


def test_the_formula_is_that_of_a_search_over_scales() -> None:
    mass, fall = torch.randn(20, 30, generator=drawn(2)), torch.randn(20, 30, generator=drawn(3))
    found = infidelity(mass, fall).numpy()
    for row, (a, b) in enumerate(zip(mass.double().numpy(), fall.double().numpy(), strict=True)):
        scales = np.linspace(0, 3, 30001)
        best = np.min([np.mean((scale * a - b) ** 2) for scale in scales]) / np.mean(b**2)
        assert found[row] == pytest.approx(best, abs=1e-6)


def test_a_map_or_a_score_without_any_change_is_worth_nothing() -> None:
    zero, one = torch.zeros(1, 4), torch.ones(1, 4)
    assert infidelity(zero, one).item() == infidelity(one, zero).item() == 1.0


def test_draws_leave_something_and_take_something() -> None:
    grid = removal_of(torch.zeros(N, 1, 16, 16), "mean", Context(), 8)
    rows = removal_of(torch.zeros(N, 2), "mean", Context(background=torch.zeros(1, 2)))
    mask = torch.tensor([[1, 1, 1, 1, 1, 0], [1, 1, 1, 0, 0, 0]])
    own = mask.bool() & (torch.arange(6) > 0)
    text = Removal(own, (6,), {"input_ids": mask}, {}, torch.empty(0, dtype=torch.int64))
    for removal in (grid, rows, text):
        taken = draws(removal, 200, drawn(4))
        inside = removal.own[:, None]
        assert (taken & inside).any(dim=2).all() and not (taken & ~inside).any()
        assert ((taken & inside).sum(dim=2) < removal.own.sum(dim=1)[:, None]).all()
    sizes = draws(grid, 400, drawn(5)).sum(dim=2)
    assert sizes.min() == 1 and sizes.max() == 16  # rectangles of one cell to a quarter of the grid


def test_runs_of_a_text_are_neighbours() -> None:
    own = torch.ones(1, 9, dtype=torch.bool)
    text = Removal(own, (9,), {"input_ids": own.long()}, {}, torch.empty(0, dtype=torch.int64))
    for line in draws(text, 100, drawn(6))[0]:
        places = line.nonzero()[:, 0]
        assert len(places) <= 5 and places[-1] - places[0] + 1 == len(places)


def test_columns_are_permuted_and_keep_their_values() -> None:
    values = torch.arange(12.0).expand(N, 12)
    removal = removal_of(torch.zeros(N, 12), "mean", Context(background=torch.zeros(1, 12)))
    moved = misplaced(values, removal, 6, drawn(7))
    assert torch.equal(moved.sort(dim=2).values, values[:, None].expand(N, 6, 12))
    assert len({tuple(line.tolist()) for line in moved.flatten(0, 1)}) == N * 6
