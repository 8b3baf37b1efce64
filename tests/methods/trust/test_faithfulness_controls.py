"""Controls of faithfulness on small trained models: random maps do not pass, true maps and a planted shortcut do."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

from auditor.methods.attribution.asked import scores
from auditor.methods.attribution.method import Context
from auditor.methods.attribution.perturb import Forwards
from auditor.methods.attribution.removal import Fill, Removal, removal_of
from auditor.methods.trust.curves import orders_of
from auditor.methods.trust.faithfulness import Answered, Chains, answered
from auditor.methods.trust.gains import areas, moves, on_scale
from auditor.statistics import moments, t_interval

N, POINTS, RANDOM = 40, 8, 200
PATCH = (slice(0, 2), slice(0, 2))


@dataclass
class Net:
    """A small convolutional network on digits of 8 x 8 pixels."""

    module: nn.Module

    def logits(self, inputs: Any) -> torch.Tensor:
        return self.module(inputs)

    def gradient_inputs(self, inputs: Any) -> tuple[torch.Tensor, Any]:
        raise NotImplementedError


def pictures() -> tuple[torch.Tensor, torch.Tensor]:
    found = load_digits()
    return torch.from_numpy(found.images / 16).float()[:, None], torch.from_numpy(found.target)


def trained(inputs: torch.Tensor, labels: torch.Tensor, epochs: int = 12) -> Net:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.Conv2d(12, 16, 3, stride=2), nn.ReLU(), nn.Flatten(),
        nn.Linear(144, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adam(module.parameters(), 5e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(inputs)).split(64):
            optimizer.zero_grad()
            functional.cross_entropy(module(inputs[rows]), labels[rows]).backward()
            optimizer.step()
    return Net(module.eval())


@pytest.fixture(scope="module")
def net() -> Net:
    inputs, labels = pictures()
    return trained(inputs[200:], labels[200:])


def result(net: Net, inputs: torch.Tensor, maps: torch.Tensor, fill: Fill, grid: int) -> tuple[Answered, np.ndarray]:
    """What the maps give, and each map's deletion and insertion gains [2, m, kept]."""
    removal = removal_of(inputs, fill, Context(), grid)
    with torch.no_grad():
        targets = net.logits(inputs).argmax(dim=1)
    bare = scores(net, inputs, targets)
    placed = torch.stack([removal.on_parts(each) for each in maps])
    generator = torch.Generator().manual_seed(7)
    orders = orders_of(removal, placed, POINTS, 8, generator)
    chains = Chains(removal, placed, 4, generator)
    found = answered(Forwards(net, 4096), removal, targets, bare, orders, chains)
    full, gone = bare.numpy(), found.gone.numpy()[None]
    kept = moves(full, gone)
    fractions = (orders.counts / removal.parts).double().numpy()

    def area(curves: torch.Tensor) -> np.ndarray:
        return areas(on_scale(curves.numpy()[:, None], full, gone), fractions)[:, 0, kept]

    gains = (area(found.deletion_null) - area(found.deletion), area(found.insertion) - area(found.insertion_null))
    return found, np.stack(gains)


def passes(gains: np.ndarray) -> bool:
    """Whether a metric passes "above 0": the lower end of its 95% interval is above zero."""
    return t_interval(*moments(gains), 0.95)[0] > 0


def occlusion(net: Net, removal: Removal, inputs: torch.Tensor) -> torch.Tensor:
    """How far the logit falls without each cell, one cell at a time, as [n, rows, columns]."""
    n, parts = removal.own.shape
    with torch.no_grad():
        logits = net.logits(inputs)
    targets = logits.argmax(dim=1)
    rows, removed = torch.arange(n).repeat_interleave(parts), torch.eye(parts, dtype=torch.bool).repeat(n, 1)
    without = Forwards(net, 4096).scores(removal, targets, rows, removed).reshape(n, parts)
    return (scores(net, inputs, targets)[:, None] - without).reshape(n, *removal.shape)


@pytest.mark.slow
@pytest.mark.parametrize("smooth", [0.0, 1.0])
def test_at_most_one_random_map_in_twenty_passes(net: Net, smooth: float) -> None:
    rng = np.random.default_rng(3)
    maps = gaussian_filter(rng.normal(size=(RANDOM, N, 8, 8)), (0, 0, smooth, smooth))
    _, gains = result(net, pictures()[0][:N], torch.from_numpy(maps).float(), "mean", 8)
    for metric in gains:
        assert sum(passes(one) for one in metric) <= 0.05 * RANDOM
        assert abs(metric.mean()) < 0.02


@pytest.mark.parametrize("fill", ["mean", "blur"])
def test_an_occlusion_map_passes(net: Net, fill: Fill) -> None:
    inputs = pictures()[0][:N]
    truth = occlusion(net, removal_of(inputs, fill, Context(), 8), inputs)
    _, gains = result(net, inputs, torch.stack([truth, -truth]), fill, 8)
    assert all(passes(metric[0]) for metric in gains) and gains[:, 0].mean() > 0.1
    assert not any(passes(metric[1]) for metric in gains)  # the reversed map points the wrong way


def test_naopc_of_the_occlusion_map_is_near_one_and_of_its_reverse_near_zero(net: Net) -> None:
    inputs = pictures()[0][:N]
    truth = occlusion(net, removal_of(inputs, "mean", Context(), 2), inputs)
    found, _ = result(net, inputs, torch.stack([truth, -truth, torch.zeros_like(truth)]), "mean", 2)
    best, worst, none = found.naopc.mean(dim=1).tolist()
    assert best > 0.8 and worst < 0.2 and 0.3 < none < 0.7


def test_the_true_map_of_a_planted_shortcut_passes_and_the_digit_itself_does_not() -> None:
    inputs, labels = pictures()
    inputs[..., PATCH[0], PATCH[1]] = (labels / 9)[:, None, None, None]  # the corner says which digit it is
    net = trained(inputs[200:], labels[200:])
    honest = pictures()[0][:200]
    with torch.no_grad():
        learned, without = ((net.logits(x).argmax(1) == labels[:200]).double().mean() for x in (inputs[:200], honest))
    assert learned - without >= 0.1  # the shortcut was learned
    corner = torch.zeros(N, 8, 8)
    corner[:, PATCH[0], PATCH[1]] = 1
    _, gains = result(net, inputs[:N], torch.stack([corner, torch.roll(corner, (4, 0), (1, 2))]), "mean", 8)
    assert all(passes(metric[0]) for metric in gains)
    assert not any(passes(metric[1]) for metric in gains)


def test_all_equal_maps_are_random_orders_and_gain_nothing(net: Net) -> None:
    found, gains = result(net, pictures()[0][:N], torch.zeros(1, N, 8, 8), "mean", 8)
    assert not any(passes(metric[0]) for metric in gains) and np.abs(gains.mean()) < 0.05
    again, _ = result(net, pictures()[0][:N], torch.zeros(1, N, 8, 8), "mean", 8)
    assert torch.equal(found.deletion, again.deletion) and torch.equal(found.insertion_null, again.insertion_null)
