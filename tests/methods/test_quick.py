"""The quick copy: the same logits from folded layers, and never a fold that would change them."""

from typing import Any

import pytest
import torch
from torch import nn

from auditor.methods.quick import TOLERANCE, conv_norm_pairs, quick_copy


class Block(nn.Module):
    """A residual block; `shared` reads a convolution's output beside its norm, which forbids folding."""

    def __init__(self, shared: bool = False, twice: bool = False) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
        self.second, self.last = nn.Conv2d(3, 3, 1, bias=False), nn.BatchNorm2d(3)
        self.head, self.shared, self.twice = nn.Linear(3, 5), shared, twice

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        middle = self.first(x)
        out = torch.relu_(self.norm(middle))
        if self.twice:
            out = torch.relu_(self.norm(self.first(out)))
        out = self.last(self.second(out)) + x + (middle if self.shared else 0)
        return self.head(out.mean(dim=(2, 3)))


def trained(**kind: Any) -> nn.Module:
    torch.manual_seed(0)
    net = Block(**kind)
    net.norm.running_mean, net.norm.running_var = torch.randn(3), torch.rand(3) + 0.5
    net.norm.weight.data, net.last.weight.data = torch.rand(3) + 0.5, torch.rand(3) + 0.5
    return net.eval()


INPUTS = torch.randn(6, 3, 12, 12, generator=torch.Generator().manual_seed(1))


def test_a_folded_copy_has_the_same_logits_and_input_gradients() -> None:
    net = trained()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    made, difference = quick_copy(net, lambda module: module(INPUTS))
    assert sum(isinstance(part, nn.Identity) for part in made.modules()) == 2
    assert torch.allclose(made(INPUTS), net(INPUTS), atol=1e-5) and difference < 1e-5
    slopes = []
    for module in (net, made):
        leaf = INPUTS.clone().requires_grad_()
        slopes += torch.autograd.grad(module(leaf)[:, 1].sum(), leaf)
    assert torch.allclose(*slopes, atol=1e-5)
    assert not any(parameter.requires_grad for parameter in made.parameters())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not any(part._forward_hooks for part in (*net.modules(), *made.modules()))


def test_a_layer_that_runs_twice_is_not_folded() -> None:
    net = trained(twice=True)
    assert conv_norm_pairs(net, lambda module: module(INPUTS)) == [("second", "last")]
    made, difference = quick_copy(net, lambda module: module(INPUTS))
    assert isinstance(made.norm, nn.BatchNorm2d) and difference < 1e-5


def test_a_fold_that_would_change_the_logits_is_taken_back() -> None:
    net = trained(shared=True)
    made, difference = quick_copy(net, lambda module: module(INPUTS))
    assert not any(isinstance(part, nn.Identity) for part in made.modules())
    assert difference <= TOLERANCE and torch.allclose(made(INPUTS), net(INPUTS), atol=1e-5)


def test_a_model_that_knows_one_memory_layout_alone_is_folded_in_that_one() -> None:
    class Viewing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.norm, self.head = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Linear(576, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(torch.relu(self.norm(self.first(x))).view(len(x), -1))

    torch.manual_seed(0)
    net = Viewing().eval()
    net.norm.running_mean = torch.randn(4)
    made, difference = quick_copy(net, lambda module: module(INPUTS))
    assert isinstance(made.norm, nn.Identity) and difference < 1e-5
    assert torch.allclose(made(INPUTS), net(INPUTS), atol=1e-5)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "densenet121"])
def test_torchvision_networks_keep_their_logits(name: str) -> None:
    import torchvision

    torch.manual_seed(0)
    net = getattr(torchvision.models, name)(weights=None).eval()
    inputs = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    made, difference = quick_copy(net, lambda module: module(inputs))
    assert difference <= TOLERANCE and torch.allclose(made(inputs), net(inputs), atol=1e-4)


def test_a_module_that_no_copy_follows_stands_for_itself() -> None:
    class Counting(nn.Module):
        """Its answer depends on what a copy takes along only once."""

        def __init__(self) -> None:
            super().__init__()
            self.layer, self.calls = nn.Conv2d(3, 2, 1), 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            return self.layer(x).mean(dim=(2, 3)) * self.calls

    net = Counting().eval()
    assert quick_copy(net, lambda module: module(INPUTS)) == (net, 0.0)


def test_one_logit_of_one_input_has_a_difference_too() -> None:
    net = nn.Sequential(nn.Conv2d(3, 1, 12), nn.Flatten()).eval()
    made, difference = quick_copy(net, lambda module: module(INPUTS[:1]))
    assert made is not net and difference <= TOLERANCE
