"""Filter-normalized directions: exact on a quadratic, blind to scales that change nothing, not blind to sharpness."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss
from transformers.pytorch_utils import Conv1D

from auditor.errors import NotApplicable
from auditor.methods.curvature.products import Part
from auditor.methods.curvature.weights import weights_of
from auditor.methods.landscape.directions import Asked, Mover, around, direction, filter_axes
from auditor.methods.landscape.found import Around
from auditor.methods.landscape.scene import Scene

PLAIN = Asked(count=10, radius=0.1, grid=0, reach=0.5)


def seen(module: nn.Module, loss: Any, inputs: Any = None, asked: Asked = PLAIN, layers: Any = (), seed: int = 3,
         feed: Any = None) -> Around:  # fmt: skip
    outputs = (lambda: module(inputs)) if inputs is not None else module
    scene = Scene(module, [Part(outputs, loss, 1)], (lambda: module(inputs)) if feed else None)
    return around(scene, layers, asked, seed, lambda: None)


def drawn(module: nn.Module, seed: int = 0) -> dict[str, Tensor]:
    weights = weights_of(module)
    axes = [filter_axes(module)[tied[0]] for tied in weights.tensors]
    return dict(zip(weights.names, direction(weights, axes, torch.Generator().manual_seed(seed)), strict=True))


def test_rises_of_a_quadratic_are_half_the_curvature_times_the_squared_radius() -> None:
    torch.manual_seed(0)
    module = nn.Linear(4, 3, dtype=torch.float64)
    root = torch.randn(15, 15, dtype=torch.float64)
    bend, slope = root @ root.T, torch.randn(15, dtype=torch.float64)

    def loss(_: Any) -> Tensor:  # not at its minimum
        w = torch.cat([module.weight.flatten(), module.bias])
        return w @ bend @ w / 2 + slope @ w

    found = seen(module, loss, torch.zeros(1, 4, dtype=torch.float64))
    mover = Mover(module, (), 3)
    for number, rise in enumerate(found.rises):
        d = torch.cat([part.flatten() for part in mover.direction(number)])
        assert (d[12:] == 0).all()
        assert rise == pytest.approx(0.1**2 / 2 * float(d @ bend @ d), rel=1e-9)
    assert found.own == found.centre == pytest.approx(float(loss(None).detach()))


def test_each_filter_has_its_own_norm_whatever_the_layer() -> None:
    torch.manual_seed(0)
    module = nn.ModuleDict({
        "conv": nn.Conv2d(3, 4, 3), "up": nn.ConvTranspose2d(3, 5, 2), "turned": Conv1D(6, 2),
        "words": nn.Embedding(7, 4), "norm": nn.LayerNorm(4), "attend": nn.MultiheadAttention(4, 2),
    })  # fmt: skip
    module["tokens"] = nn.Module()
    module["tokens"].place = nn.Parameter(torch.randn(1, 5, 4))
    with torch.no_grad():
        module["words"].weight[2] = 0
        module["conv"].weight[1] *= 100
    found = drawn(module)
    for name, others in {"conv.weight": (1, 2, 3), "up.weight": (0, 2, 3), "turned.weight": (0,), "words.weight": (1,),
                         "attend.in_proj_weight": (1,), "tokens.place": (1, 2)}.items():  # fmt: skip
        weight = module.get_parameter(name).detach()
        torch.testing.assert_close(found[name].norm(dim=others) if len(others) < 3
                                   else found[name].square().sum(others).sqrt(),
                                   weight.square().sum(others).sqrt())  # fmt: skip
    assert (found["words.weight"][2] == 0).all()
    for name in ("conv.bias", "norm.weight", "norm.bias", "attend.in_proj_bias"):
        assert (found[name] == 0).all()


def perceptron() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 12), nn.ReLU(), nn.Linear(12, 3))


def rows() -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(1)
    return torch.randn(60, 5, generator=draw), torch.randint(0, 3, (60,), generator=draw)


def test_scaling_that_leaves_a_rectified_network_alone_leaves_its_flatness_alone() -> None:
    inputs, labels = rows()

    def loss(z: Tensor) -> Tensor:
        return cross_entropy(z, labels)

    module = perceptron()
    before = seen(module, loss, inputs).rises
    with torch.no_grad():
        module[0].weight *= 8
        module[0].bias *= 8
        module[2].weight /= 8
    after = seen(module, loss, inputs).rises
    assert (before > 1e-4).all() and after == pytest.approx(before, rel=1e-3)


@pytest.mark.parametrize("anew", [False, True])
def test_scaling_each_filter_before_batchnorm_leaves_flatness_alone(anew: bool) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6, eps=1e-12), nn.ReLU(), nn.Flatten(), nn.Linear(96, 3))
    inputs, labels = torch.randn(40, 2, 6, 6), torch.arange(40) % 3
    for _ in range(200):
        module(inputs)
    module.eval()

    def loss(z: Tensor) -> Tensor:
        return cross_entropy(z, labels)

    before = seen(module, loss, inputs, feed=anew).rises
    scales = torch.tensor([0.1, 10.0, 3.0, 1.0, 0.5, 40.0])
    with torch.no_grad():
        module[0].weight *= scales[:, None, None, None]
        module[0].bias *= scales
        module[1].running_mean *= scales
        module[1].running_var *= scales**2
    after = seen(module, loss, inputs, feed=anew).rises
    assert np.abs(before).max() > 1e-4 and after == pytest.approx(before, rel=2e-3, abs=1e-6)


def test_a_sharp_minimum_is_less_flat_than_a_flat_one_of_equal_loss() -> None:
    """Two equal columns: 1/2 + 1/2 and 20 - 19 are the same function, of which the second lives by cancelling."""
    x = torch.linspace(-1, 1, 50)[:, None].repeat(1, 2)
    rises = []
    for pair in ((0.5, 0.5), (20.0, -19.0)):
        module = nn.Linear(2, 1, bias=False)
        with torch.no_grad():
            module.weight.copy_(torch.tensor([pair]))
        found = seen(module, lambda z: mse_loss(z, x[:, :1]), x)
        assert found.centre == pytest.approx(0, abs=1e-9)
        rises.append(found.rises.mean())
    assert rises[1] > 100 * rises[0] > 0


def test_tied_weights_move_once_and_frozen_ones_too() -> None:
    first, second = nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)
    module, inputs = nn.Sequential(first, nn.Tanh(), second), torch.randn(20, 3)
    second.weight = first.weight
    plain = seen(module, lambda z: (z**2).mean(), inputs).rises
    second.weight = nn.Parameter(first.weight.data)  # another parameter on the same storage
    assert len(weights_of(module).tensors) == 1
    first.weight.requires_grad_(False)
    assert (seen(module, lambda z: (z**2).mean(), inputs).rises == plain).all()
    assert not first.weight.requires_grad and second.weight.requires_grad


def test_layers_alone_and_weights_without_a_direction() -> None:
    module, (inputs, labels) = perceptron(), rows()

    def loss(z: Tensor) -> Tensor:
        return cross_entropy(z, labels)

    whole, head = seen(module, loss, inputs).rises, seen(module, loss, inputs, layers=("2",)).rises
    assert (head > 0).all() and head.mean() < whole.mean()
    grid = Asked(10, 0.1, 5, 0.5)
    biases = seen(module, loss, inputs, grid, layers=("*.bias",))
    assert biases.rises.shape == (0,) and biases.surface.size == 0 and biases.centre > 0
    with pytest.raises(NotApplicable, match="no parameter matches nowhere"):
        seen(module, loss, inputs, layers=("nowhere",))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    assert seen(module, loss, inputs).rises.shape == (0,)


def test_the_surface_is_that_of_the_first_two_directions() -> None:
    module, (inputs, labels) = perceptron(), rows()
    found = seen(module, lambda z: cross_entropy(z, labels), inputs, Asked(10, 0.1, 5, 0.4))
    assert found.at == pytest.approx([-0.4, -0.2, 0, 0.2, 0.4]) and found.surface.shape == (5, 5)
    assert found.surface[2, 2] == pytest.approx(found.centre)
    mover = Mover(module, (), 3)
    one, two = mover.direction(0), mover.direction(1)
    with torch.no_grad():
        mover.to([(0.2, one), (-0.4, two)])
        assert found.surface[0, 3] == pytest.approx(float(cross_entropy(module(inputs), labels)))
        mover.to([])


def test_a_surface_of_one_point_is_the_model() -> None:
    module, (inputs, labels) = perceptron(), rows()
    found = seen(module, lambda z: cross_entropy(z, labels), inputs, Asked(2, 0.1, 1, 0.5))
    assert found.at.tolist() == [0.0] and found.surface == pytest.approx(found.centre)


def test_what_is_not_finite_stays_so_or_is_refused() -> None:
    module = nn.Linear(2, 1, bias=False)

    def loss(z: Tensor) -> Tensor:  # finite at the weights alone
        return torch.where((module.weight == kept).all(), 1.0, torch.inf)

    kept = module.weight.detach().clone()
    found = seen(module, loss, torch.ones(1, 2))
    assert not np.isfinite(found.rises).any() and len(found.rises) == 10
    lost = seen(module, lambda z: z.sum() * torch.nan, torch.ones(1, 2), Asked(10, 0.1, 5, 0.5))
    assert np.isnan(lost.centre) and np.isnan(lost.rises).all() and lost.surface.size == 0
    assert torch.equal(module.weight, kept)


def test_seeds_decide_and_nothing_else_does() -> None:
    module, (inputs, labels) = perceptron().train(), rows()

    def ask(seed: int) -> Any:
        return seen(module, lambda z: cross_entropy(z, labels), inputs, seed=seed).rises

    before = {name: value.clone() for name, value in module.state_dict().items()}
    state = torch.get_rng_state()
    first = ask(3)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert (ask(3) == first).all() and (ask(4) != first).all()
    assert module.training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
