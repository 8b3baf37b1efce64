"""Curves: the same numbers as a slow loop, no forward twice, and the analytic areas of an additive model."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from auditor.methods.attribution.method import Context
from auditor.methods.attribution.perturb import Forwards
from auditor.methods.attribution.removal import removal_of
from auditor.methods.trust.asking import Asks
from auditor.methods.trust.curves import CurveAsks, counts_of, orders_of
from auditor.methods.trust.faithfulness import InProbability, eraser
from auditor.methods.trust.gains import areas, moves, on_scale, worse

N, COLUMNS = 6, 10
ZERO = Context(background=torch.zeros(1, COLUMNS))


class Additive:
    """f(x) = w . x: what is removed is missing, whatever else is there. It counts what it is asked."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.module: nn.Module = nn.Linear(COLUMNS, 2, bias=False)
        self.asked: list[tuple[float, ...]] = []

    def logits(self, inputs: Any) -> torch.Tensor:
        self.asked += [tuple(row) for row in inputs.tolist()]
        return self.module(inputs)

    def gradient_inputs(self, inputs: Any) -> tuple[torch.Tensor, Any]:
        raise NotImplementedError


@pytest.fixture
def model() -> Additive:
    return Additive()


@pytest.fixture
def inputs() -> torch.Tensor:
    return torch.randn(N, COLUMNS, generator=torch.Generator().manual_seed(1))


def shares(model: Additive, inputs: torch.Tensor) -> torch.Tensor:
    """What each column adds to the first logit."""
    return (inputs * model.module.weight[0]).detach()  # type: ignore[operator]  # a Linear's weight


def asked(model: Additive, inputs: torch.Tensor, points: int = 5) -> tuple[Any, Any, Forwards]:
    removal, targets = removal_of(inputs, "mean", ZERO), torch.zeros(N, dtype=torch.long)
    maps = torch.stack([shares(model, inputs), torch.zeros(N, COLUMNS)])
    orders = orders_of(removal, maps, points, 8, torch.Generator().manual_seed(2))
    bare = shares(model, inputs).sum(dim=1)
    asks, forwards = Asks(removal, targets, bare), Forwards(model, 32)
    curve_asks = CurveAsks(asks, orders)
    return curve_asks.curves(asks.answers(forwards)), orders, forwards


def test_curves_are_those_of_a_loop(model: Additive, inputs: torch.Tensor) -> None:
    curves, orders, _ = asked(model, inputs)
    worth = shares(model, inputs)
    for which, row, point in ((m, i, k) for m in range(2) for i in range(N) for k in range(6)):
        count = round(COLUMNS * point / 5)
        place = orders.maps[which, row]
        kept, back = worth[row][place >= count].sum(), worth[row][place < count].sum()
        assert curves.deletion[which, row, point] == pytest.approx(kept.item(), abs=1e-5)
        assert curves.insertion[which, row, point] == pytest.approx(back.item(), abs=1e-5)
        if 0 < point < 5:
            moved = orders.nulls[which, row, point - 1]
            null = [worth[row][each >= count].sum().item() for each in moved]
            assert len(null) == 2  # at least eight copies over four inner points
            assert curves.deletion_null[which, row, point] == pytest.approx(np.mean(null), abs=1e-5)


def test_nothing_is_asked_twice_and_the_whole_input_never(model: Additive, inputs: torch.Tensor) -> None:
    _, _, forwards = asked(model, inputs)
    assert sum(not any(row) for row in model.asked) == N  # x_ref of each example, here the same input for all
    assert len(set(model.asked)) + N - 1 == len(model.asked) == forwards.count
    assert not {tuple(row) for row in inputs.tolist()} & set(model.asked)


def test_the_true_order_of_an_additive_model_gains(model: Additive, inputs: torch.Tensor) -> None:
    curves, orders, _ = asked(model, inputs, points=COLUMNS)
    fractions = (orders.counts / COLUMNS).double().numpy()
    lost, null = areas(curves.deletion.numpy(), fractions)[0], areas(curves.deletion_null.numpy(), fractions)[0]
    assert (null - lost > 0).all()
    first = shares(model, inputs).sort(dim=1, descending=True).values.double().cumsum(dim=1).numpy()
    whole = np.concatenate([np.zeros((N, 1)), first], axis=1)
    analytic = areas(whole[:, -1:] - whole, fractions)
    np.testing.assert_allclose(lost, analytic, atol=1e-5)


def test_points_of_few_parts_repeat_and_add_no_area() -> None:
    counts = counts_of(torch.ones(1, 3, dtype=torch.bool), 8)
    assert counts.tolist() == [[0, 0, 1, 1, 2, 2, 2, 3, 3]]
    assert areas(np.array([[4.0, 4, 3, 3, 2, 2, 2, 1, 1]]), counts.numpy() / 3).tolist() == [2.5]


def test_examples_that_removal_does_not_move_are_left_out() -> None:
    full, gone = np.array([1.0, 5.0, 9.0, 5.0]), np.array([[0.0, 4.9, 1.0, 9.0], [0.0, 0.0, 1.0, 9.0]])
    assert moves(full, gone).tolist() == [True, False, True, True]
    assert moves(np.ones(3), np.array([[0.0, 1.0, 0.5]])).tolist() == [True, False, True]


def test_the_scale_runs_from_one_to_zero_and_keeps_its_sign() -> None:
    curves = np.array([[[[4.0, 3.0, 2.0], [2.0, 1.0, 4.0]]]])  # one map, one fill, two examples
    found = on_scale(curves, np.array([4.0, 2.0]), np.array([[2.0, 4.0]]))
    assert found.tolist() == [[[[1.0, 0.5, 0.0], [-1.0, -1.5, 0.0]]]]  # the second fell where others rise: good
    assert on_scale(curves, np.zeros(2), np.zeros((1, 2)), normalized=False).tolist() == curves.tolist()


def test_the_worse_fill_is_the_one_of_the_worse_mean() -> None:
    values = np.array([[0.2, 0.4], [0.1, 0.3]])
    assert (worse(values), worse(values, -1)) == (1, 0)


def test_eraser_is_that_of_a_loop(model: Additive, inputs: torch.Tensor) -> None:
    removal, targets = removal_of(inputs, "mean", ZERO), torch.zeros(N, dtype=torch.long)
    worth = shares(model, inputs)
    orders = orders_of(removal, worth[None], 8, 8, torch.Generator().manual_seed(0))
    probable = InProbability(model)
    bare = probable.logits(inputs).detach()[:, 0]
    found = eraser(Forwards(probable, 16), removal, targets, bare, orders)
    for row in range(N):
        lost, kept = [], []
        for share in (0.01, 0.05, 0.1, 0.2, 0.5):
            top = worth[row].argsort(descending=True)[: max(1, int(np.ceil(share * COLUMNS - 1e-6)))]
            without, alone = inputs[row].clone(), torch.zeros(COLUMNS)
            without[top], alone[top] = 0, inputs[row][top]
            lost.append(float(bare[row] - probable.logits(without[None])[0, 0].detach()))
            kept.append(float(bare[row] - probable.logits(alone[None])[0, 0].detach()))
        assert found.comprehensiveness[0, row] == pytest.approx(np.mean(lost), abs=1e-5)
        assert found.sufficiency[0, row] == pytest.approx(np.mean(kept), abs=1e-5)
    assert found.comprehensiveness.mean() > found.comprehensiveness_null.mean()
    assert found.sufficiency.mean() < found.sufficiency_null.mean()
