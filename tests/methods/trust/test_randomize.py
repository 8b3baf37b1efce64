"""Randomizing: layers in the order of the pass, nothing learned left in place, statistics measured anew."""

import doctest

import pytest
import torch
from torch import nn

from auditor.methods.similarity import ssim as ssim_module
from auditor.methods.similarity.ssim import ssim
from auditor.methods.trust import randomize as module
from auditor.methods.trust.randomize import layers_in_order, randomize, reestimate


class Net(nn.Module):
    """Registered in another order than it runs, with a parameter of its own and a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(8, 3)
        self.norm = nn.BatchNorm1d(8)
        self.body = nn.Linear(5, 8)
        self.unused = nn.Linear(2, 2)
        self.scale = nn.Parameter(torch.ones(5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.norm(self.body(x * self.scale))))


INPUTS = torch.randn(64, 5, generator=torch.Generator().manual_seed(0)) + 3


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(7)


def test_doctests() -> None:
    for each in (module, ssim_module):
        found = doctest.testmod(each)
        assert found.attempted and not found.failed


def test_layers_come_in_the_order_of_the_pass_each_parameter_once() -> None:
    net = Net()
    layers = layers_in_order(net, lambda: net(INPUTS))
    # what is never entered (unused), and what the network holds itself, go with the first layer
    assert [layer.name for layer in layers] == ["", "body", "head"] or [layer.name for layer in layers] == [
        "body",
        "head",
    ]
    held = [id(parameter) for layer in layers for parameter in layer.parameters]
    assert sorted(held) == sorted(id(parameter) for parameter in net.parameters())
    by_name = {layer.name: {id(p) for p in layer.parameters} for layer in layers}
    assert id(net.norm.weight) in by_name["body"] and by_name["head"] == {id(net.head.weight), id(net.head.bias)}
    assert not any(part._forward_pre_hooks for part in net.modules())


def test_shared_weights_count_once() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.out = nn.Embedding(6, 4), nn.Linear(4, 6, bias=False)
            self.out.weight = self.embed.weight

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return self.out(self.embed(ids))

    net = Tied()
    assert [layer.name for layer in layers_in_order(net, lambda: net(torch.arange(3)))] == ["embed"]


def test_weights_keep_their_spread_and_lose_all_else() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(200, 300), nn.ReLU(), nn.Linear(300, 10))
    before = {name: value.clone() for name, value in net.named_parameters()}
    layers = layers_in_order(net, lambda: net(torch.zeros(1, 200)))
    randomize(layers[1:], generator())
    assert torch.equal(net[0].weight, before["0.weight"]), "a layer that was not named stays"
    assert net[2].weight.std().item() == pytest.approx(before["2.weight"].std().item(), rel=0.05)
    flat = torch.stack([net[2].weight.flatten(), before["2.weight"].flatten()])
    assert abs(torch.corrcoef(flat)[0, 1].item()) < 0.06
    assert sorted(net[2].bias.tolist()) == sorted(before["2.bias"].tolist())
    again = nn.Sequential(nn.Linear(200, 300), nn.ReLU(), nn.Linear(300, 10))
    again.load_state_dict(before)
    randomize(layers_in_order(again, lambda: again(torch.zeros(1, 200)))[1:], generator())
    assert torch.equal(again[2].weight, net[2].weight)


def test_batch_statistics_are_those_of_what_was_run() -> None:
    net = Net().eval()
    momentum = net.norm.momentum
    reestimate(net, lambda: [net(INPUTS[:32]), net(INPUTS[32:])])
    seen = net.body(INPUTS * net.scale)
    want = (seen[:32].mean(dim=0) + seen[32:].mean(dim=0)) / 2
    assert torch.allclose(net.norm.running_mean, want, atol=1e-5)
    assert not net.norm.training and net.norm.momentum == momentum


def test_ssim_is_the_direct_sum_over_windows() -> None:
    a, b = torch.rand(2, 2, 9, 8, generator=generator(), dtype=torch.float64)
    want = []
    x, y = a[0] / a[0].max(), b[0] / b[0].max()
    for row in range(9 - 7 + 1):
        for column in range(8 - 7 + 1):
            p, q = x[row : row + 7, column : column + 7], y[row : row + 7, column : column + 7]
            cov = ((p - p.mean()) * (q - q.mean())).mean()
            top = (2 * p.mean() * q.mean() + 1e-4) * (2 * cov + 9e-4)
            want.append(
                top / ((p.mean() ** 2 + q.mean() ** 2 + 1e-4) * (p.var(correction=0) + q.var(correction=0) + 9e-4))
            )
    assert ssim(a, b)[0].item() == pytest.approx(torch.stack(want).mean().item(), abs=1e-12)
    assert abs(ssim(a, b)[0].item()) < 0.3 < 1 == pytest.approx(ssim(a, a)[0].item())


def test_weights_without_spread_are_drawn_too() -> None:
    net = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 40))
    with torch.no_grad():
        net[0].weight.fill_(3.0)
        net[1].weight.fill_(0.5)
    randomize(layers_in_order(net, lambda: net(torch.ones(1, 1))), generator())
    assert torch.isfinite(net[0].weight).all() and net[0].weight.item() not in (0.0, 3.0)
    assert net[1].weight.std().item() == pytest.approx(0.5, rel=0.3)


def test_statistics_that_cannot_be_measured_stay() -> None:
    net = Net().eval()
    net.norm.running_mean.fill_(2.0)
    assert not reestimate(net, lambda: net(INPUTS[:1]))
    assert net.norm.running_mean.tolist() == [2.0] * 8 and not net.norm.training and net.norm.momentum is not None
