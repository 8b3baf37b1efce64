"""Influence by gradients, against autograd of the whole network, pair by pair and stage by stage."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from auditor.errors import NotApplicable, UsageError
from auditor.methods.influence import layer as layers
from auditor.methods.influence import tracin
from auditor.methods.influence.layer import Layer, find
from auditor.methods.influence.ranking import gini, same_class, strongest
from auditor.methods.influence.tracin import products


def net(bias: bool = True) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3, bias=bias)).double().eval()


def rows(n: int, seed: int) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(n, 4, generator=draw).double(), torch.randint(3, (n,), generator=draw)


TRAIN, TEST = rows(7, 1), rows(5, 2)


def batched(data: tuple[Any, Tensor], size: int = 3) -> Any:
    def pairs() -> Iterator[tuple[Any, Tensor]]:
        for start in range(0, len(data[1]), size):
            yield data[0][start : start + size], data[1][start : start + size]

    return pairs


def slow(module: nn.Module, names: list[str], train: Any, test: Any, task: str = "classification") -> np.ndarray:
    """Every example alone through the whole network, with all its gradients; those of the layer multiplied."""

    def gradient(x: Tensor, y: Tensor) -> Tensor:
        out = module(x[None])
        loss = nn.functional.cross_entropy(out, y[None]) if task == "classification" else (out[0, 0] - y) ** 2
        every = torch.autograd.grad(loss, list(module.parameters()))
        named = {name: g for (name, _), g in zip(module.named_parameters(), every, strict=True)}
        return torch.cat([named[name].flatten() for name in names])

    table = [[float(gradient(*z) @ gradient(*t)) for t in zip(*test, strict=True)] for z in zip(*train, strict=True)]
    return np.array(table)


@pytest.mark.parametrize("bias", [True, False])
def test_three_stages_are_those_of_a_double_loop(bias: bool) -> None:
    module, total, wanted, own = net(bias), 0.0, 0.0, 0.0
    names = ["2.weight", "2.bias"][: 1 + bias]
    for rate in (0.1, 0.05, 0.01):
        layer = find(module, module, TRAIN[0])
        assert layer == Layer("2", True, 18 + 3 * bias)
        found = products(module, module, layer, batched(TRAIN), batched(TEST), "classification")
        total, own = total + rate * found.pairs, own + rate * found.own
        wanted = wanted + rate * slow(module, names, TRAIN, TEST)
        itself = slow(module, names, TRAIN, TRAIN)
        np.testing.assert_allclose(found.own, np.diag(itself), rtol=1e-9)
        with torch.no_grad():
            for each in module.parameters():
                each.add_(0.3 * torch.randn_like(each))
    np.testing.assert_allclose(total, wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("held", [21, 84, 2**26])
def test_made_gradients_agree_with_factors_whatever_is_held_at_once(held: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "HELD", held)
    module = net()
    for task, train, test in (
        ("classification", TRAIN, TEST),
        ("regression", (TRAIN[0], TRAIN[1].double()), (TEST[0], TEST[1].double())),
    ):
        one, other = (
            products(module, module, Layer("2", outer, 21), batched(train), batched(test), task)
            for outer in (True, False)
        )
        np.testing.assert_allclose(one.pairs, other.pairs, rtol=1e-9, atol=1e-14)
        np.testing.assert_allclose(one.own, other.own, rtol=1e-9)
        np.testing.assert_allclose(one.pairs, slow(module, ["2.weight", "2.bias"], train, test, task), rtol=1e-9)


def test_places_frozen_tied_and_inner_layers_go_the_general_way() -> None:
    class Places(nn.Module):
        """A head that reads every token, of which the first counts."""

        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(x.reshape(len(x), 2, 4)).mean(dim=1)

    torch.manual_seed(0)
    module = Places().double().eval()
    module.head.bias.requires_grad_(False)
    data = torch.randn(6, 8).double(), torch.arange(6) % 3
    layer = find(module, module, data[0])
    assert not layer.outer
    found = products(module, module, layer, batched(data), batched(data), "classification")
    assert not module.head.bias.requires_grad and module.head.weight.requires_grad
    module.head.bias.requires_grad_(True)
    np.testing.assert_allclose(
        found.pairs, slow(module, ["head.weight", "head.bias"], data, data), rtol=1e-9, atol=1e-14
    )

    tied = net()
    tied.insert(2, nn.Linear(6, 6).double())
    tied.insert(3, nn.Linear(6, 6).double())
    tied[3].weight = tied[2].weight
    assert not find(tied, tied, TRAIN[0], "2").outer
    plain = net()
    inner = find(plain, plain, TRAIN[0], "0")
    assert inner.outer
    found = products(plain, plain, inner, batched(TRAIN), batched(TEST), "classification")
    np.testing.assert_allclose(found.pairs, slow(plain, ["0.weight", "0.bias"], TRAIN, TEST), rtol=1e-9, atol=1e-14)


def test_a_layer_that_cannot_be_asked_is_named() -> None:
    module = net()
    with pytest.raises(UsageError, match="no layer of that name"):
        find(module, module, TRAIN[0], "head")
    with pytest.raises(NotApplicable, match="no parameters"):
        find(module, module, TRAIN[0], "1")
    headless = nn.Sequential(nn.Conv1d(4, 3, 1), nn.Flatten())
    with pytest.raises(NotApplicable, match="name a layer"):
        find(headless, headless, torch.randn(2, 4, 1))
    assert tracin.Products(np.array([[np.nan]]), np.ones(1)).finite is False


def test_gini_is_the_mean_difference_of_all_pairs() -> None:
    values = np.random.default_rng(0).exponential(size=50)
    wanted = np.abs(values[:, None] - values).mean() / 2 / values.mean()
    assert gini(values) == pytest.approx(wanted)
    assert np.isnan(gini(np.zeros(3)))


def test_proponents_are_above_zero_and_most_must_be_more_than_half() -> None:
    pairs = np.array([[3.0, -1, 0, 1], [2, -2, 0, 1], [1, -3, 0, -1]])
    assert strongest(pairs, 0, 2).tolist() == [0, 1]
    assert strongest(pairs, 1, 2, -1).tolist() == [2, 1]
    places, hits = same_class(pairs, np.array([0, 1, 0]), np.array([0, 0, 0, 0]), 3)
    assert places.tolist() == [0, 3]
    assert hits.tolist() == [True, False]


class Reused(nn.Module):
    """A head whose weight is read once more, by a function that no hook sees, behind a gate."""

    def __init__(self, gate: float) -> None:
        super().__init__()
        self.first, self.head, self.gate = nn.Linear(4, 4), nn.Linear(4, 3), gate

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.first(x).tanh()) + self.gate * nn.functional.linear(x, self.head.weight)


def test_a_weight_that_a_function_reads_too_has_its_gradients_made(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    module = Reused(0.0).double().eval()
    layer = find(module, module, TRAIN[0])
    for gate in (0.0, 1.0):  # the gate may open at a later stage
        module.gate = gate
        found = products(module, module, layer, batched(TRAIN), batched(TEST), "classification")
        assert (layer.outer, found.made) == (True, gate == 1)
        wanted = slow(module, ["head.weight", "head.bias"], TRAIN, TEST)
        np.testing.assert_allclose(found.pairs, wanted, rtol=1e-9, atol=1e-14)
    monkeypatch.setattr(layers, "HELD", 80)
    with pytest.raises(NotApplicable, match="used elsewhere"):
        products(module, module, layer, batched(TRAIN), batched(TEST), "classification")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rounding_is_no_reason_to_make_gradients(dtype: torch.dtype) -> None:
    module, data = net().to(dtype), (TRAIN[0].to(dtype), TRAIN[1])
    found = products(module, module, Layer("2", True, 21), batched(data), batched(data), "classification")
    assert not found.made
