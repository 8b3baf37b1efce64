"""The controls: guided backpropagation as captum has it, random maps that know the example, Sobel's edges."""

import doctest
from dataclasses import replace

import captum.attr
import numpy as np
import pytest
import torch
from asked import CONTEXT, Net, convolutional, cosine, hooks, pictures, reader, texts
from scipy.ndimage import sobel as scipys
from torch import Tensor, nn
from torch.nn import functional

from auditor.errors import NotApplicable
from auditor.methods.attribution import edges as contours
from auditor.methods.attribution.edges import Edges, edges
from auditor.methods.attribution.explain import explain
from auditor.methods.attribution.guided_backprop import guided_gradient
from auditor.methods.attribution.random_map import Random

TARGETS = torch.tensor([0, 3, 1, 2, 0])


class Functional(nn.Module):
    """The same network as `convolutional`, its rectifiers called as functions."""

    def __init__(self, rectify) -> None:
        super().__init__()
        self.net, self.rectify = convolutional(), rectify

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.rectify(self.net[1](self.net[0](inputs)))
        return self.net[5:](self.rectify(self.net[3](hidden)))


def test_the_examples_in_the_documentation_hold() -> None:
    assert doctest.testmod(contours).failed == 0


@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU")
def test_guided_gradients_are_captums_for_modules_and_functions_in_place_or_not() -> None:
    inputs = pictures().requires_grad_()
    want = captum.attr.GuidedBackprop(convolutional(inplace=False)).attribute(inputs, target=TARGETS)
    plain = captum.attr.Saliency(convolutional(inplace=False)).attribute(inputs, target=TARGETS, abs=False)
    assert cosine(plain, want) < 0.95
    nets = [convolutional(), convolutional(inplace=False)]
    nets += [Functional(each) for each in (torch.relu, torch.relu_, functional.relu, Tensor.relu)]
    nets += [Functional(lambda x: x.clamp_min(0)), Functional(lambda x: functional.hardtanh(x, 0.0, 1e6))]
    for net in nets:
        assert cosine(guided_gradient(Net(net), inputs.detach(), TARGETS), want) >= 0.9999
        assert hooks(net) == 0


def test_bounded_rectifiers_are_guided_and_other_activations_are_not() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(432, 20), nn.ReLU6(), nn.Linear(20, 4))
    inputs = pictures() * 3
    hidden = net[1](inputs.flatten(1)).detach()
    slope = net[3].weight[TARGETS].clamp_min(0) * ((hidden > 0) & (hidden < 6))
    want = (slope @ net[1].weight).reshape(inputs.shape).detach()
    assert torch.allclose(guided_gradient(Net(net), inputs, TARGETS), want, atol=1e-5)
    with pytest.raises(NotApplicable, match="no ReLU"):
        guided_gradient(Net(nn.Sequential(nn.Flatten(), nn.GELU(), nn.Linear(432, 4))), inputs, TARGETS)
    with pytest.raises(NotApplicable, match="no ReLU"):
        explain("guided_backprop", reader(), texts(), torch.tensor([0, 1, 2]), CONTEXT)


def test_random_maps_differ_from_example_to_example_and_not_from_batch_to_batch() -> None:
    net, inputs = Net(convolutional()), pictures()
    found = Random().maps(net, inputs, TARGETS, CONTEXT).values
    assert torch.equal(Random().maps(net, inputs[2:3], TARGETS[2:3], CONTEXT).values[0], found[2])
    assert abs(torch.corrcoef(found.flatten(1)) - torch.eye(5)).max() < 0.3
    assert not torch.equal(found, Random().maps(net, inputs, TARGETS, replace(CONTEXT, seed=6)).values)


def test_edges_are_scipys() -> None:
    inputs = pictures()
    grey = inputs.mean(dim=1).double().numpy()
    for found, picture in zip(edges(inputs), grey, strict=True):
        want = np.hypot(scipys(picture, axis=0, mode="nearest"), scipys(picture, axis=1, mode="nearest"))
        np.testing.assert_allclose(found, want, atol=1e-5)
    with pytest.raises(NotApplicable, match="edges"):
        Edges().maps(reader(), texts(), torch.tensor([0, 1, 2]), CONTEXT)
