"""Passes and maps against captum and by hand: layers, auto, in-place ReLU, token grids."""

from typing import Any

import pytest
import torch
import torchvision
from captum.attr import LayerGradCam, LayerGradientXActivation
from captum.attr import Saliency as CaptumSaliency
from torch import Tensor, nn

from auditor.errors import UsageError
from auditor.methods.attribution.grad_cam import grad_cam
from auditor.methods.attribution.saliency import saliency
from auditor.methods.passes import AUTO, Pass, Wants, check_layer, run_pass, target_indices

LAYERS = ("layer1", "layer2.0.conv1", "layer3.1.bn2", "layer4", "layer4.1.relu")


def passed(net: nn.Module, inputs: Tensor, *layers: str, input_gradient: bool = True) -> Pass:
    leaf = inputs.clone().requires_grad_()
    wants = Wants(frozenset(layers), frozenset(layers), input_gradient)

    def choose(logits: Tensor) -> Tensor:
        return target_indices(logits, torch.zeros(len(logits), dtype=torch.long), "predicted")

    return run_pass(net, net, leaf, choose, wants, leaf)


def cosine(a: Tensor, b: Tensor) -> float:
    first, second = a.detach().double().flatten(1), b.detach().double().flatten(1)
    return float(torch.nn.functional.cosine_similarity(first, second).min())


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    torch.manual_seed(0)
    return torchvision.models.resnet18(weights=None).eval()


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    return torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def found(resnet: nn.Module, pictures: Tensor) -> Pass:
    return passed(resnet, pictures, *LAYERS)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("relu", [True, False])
def test_grad_cam_equals_captums(resnet: nn.Module, pictures: Tensor, found: Pass, layer: str, relu: bool) -> None:
    part: Any = resnet.get_submodule(layer)
    mean = LayerGradCam(resnet, part).attribute(pictures, found.targets, relu_attributions=relu)
    ours = grad_cam(found.activations[layer], found.gradients[layer], "mean", relu)
    product = LayerGradientXActivation(resnet, part).attribute(pictures, found.targets).sum(1)
    elementwise = grad_cam(found.activations[layer], found.gradients[layer], "elementwise", relu)
    assert cosine(ours, mean.squeeze(1)) >= 0.9999
    assert cosine(elementwise, product.relu() if relu else product) >= 0.9999


def test_saliency_equals_captums(resnet: nn.Module, pictures: Tensor, found: Pass) -> None:
    theirs = CaptumSaliency(resnet).attribute(pictures.clone().requires_grad_(), found.targets)
    assert found.input_gradient is not None
    assert cosine(saliency(found.input_gradient), theirs.amax(1)) >= 0.9999
    assert cosine(saliency(found.input_gradient, "sum"), theirs.sum(1)) >= 0.9999


def test_a_forward_alone_equals_the_plain_one(resnet: nn.Module, pictures: Tensor) -> None:
    alone = run_pass(resnet, resnet, pictures, lambda logits: logits.argmax(1), Wants())
    with torch.no_grad():
        assert torch.equal(alone.logits, resnet(pictures))
    assert alone.input_gradient is None and not alone.gradients and not alone.logits.requires_grad


def test_auto_takes_the_last_layer_with_spatial_extent(resnet: nn.Module, pictures: Tensor, found: Pass) -> None:
    auto = passed(resnet, pictures, AUTO, input_gradient=False)
    assert auto.layers == {AUTO: "layer4"}
    assert torch.equal(auto.activations[AUTO], found.activations["layer4"])
    assert torch.allclose(auto.gradients[AUTO], found.gradients["layer4"], atol=1e-7)


class Vision(nn.Module):
    """A transformer in small: patches of a 4 x 4 grid, a class token in front, a block with norm1."""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.token = nn.Conv2d(3, 8, 2, 2), nn.Parameter(torch.randn(1, 1, 8))
        self.norm1, self.mix, self.head = (
            nn.LayerNorm(8),
            nn.MultiheadAttention(8, 2, batch_first=True),
            nn.Linear(8, 3),
        )

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patch(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(x), -1, -1), tokens], 1)
        normed = self.norm1(tokens)
        mixed = tokens + self.mix(normed, normed, normed, need_weights=False)[0]
        logits: Tensor = self.head(mixed[:, 0])
        return logits


def test_tokens_become_maps_without_the_prefix() -> None:
    torch.manual_seed(0)
    net, x = Vision().eval(), torch.randn(2, 3, 8, 8)
    one = passed(net, x, AUTO)
    assert one.layers[AUTO] == "norm1" and one.activations[AUTO].shape == (2, 8, 4, 4)
    tokens = torch.cat([net.token.expand(2, -1, -1), net.patch(x).flatten(2).transpose(1, 2)], 1)
    assert torch.allclose(one.activations[AUTO][1, :, 2, 3], net.norm1(tokens)[1, 1 + 2 * 4 + 3])
    assert one.gradients[AUTO].abs().sum() > 0


def test_a_linear_models_saliency_is_its_weight() -> None:
    net = nn.Linear(6, 2)
    one = passed(net, torch.randn(4, 6))
    assert one.input_gradient is not None
    assert torch.allclose(saliency(one.input_gradient), net.weight.detach().abs()[one.targets])


def test_frozen_parameters_leave_the_layers_gradient(resnet: nn.Module, pictures: Tensor, found: Pass) -> None:
    frozen = torchvision.models.resnet18(weights=None).eval().requires_grad_(False)
    frozen.load_state_dict(resnet.state_dict())
    one = passed(frozen, pictures, "layer3.1.bn2", input_gradient=False)
    assert torch.allclose(one.gradients["layer3.1.bn2"], found.gradients["layer3.1.bn2"], atol=1e-7)


def test_no_spatial_extent_is_said_and_a_layer_that_did_not_run_too() -> None:
    net = nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 2))
    net.add_module("idle", nn.ModuleList([nn.Linear(2, 2)]))
    net.forward = lambda x: net[1](net[0](x))  # type: ignore[method-assign]
    one = passed(net, torch.randn(2, 6), AUTO, "idle.0", "0")
    assert set(one.missing) == {AUTO, "idle.0"} and "spatial" in one.missing[AUTO]
    assert one.gradients["0"].shape == (2, 4)


def test_token_gradients_become_one_value_a_token() -> None:
    gradient = torch.tensor([[[3.0, 4.0], [0.0, 0.0]]])
    assert saliency(gradient).tolist() == [[5.0, 0.0]]


def test_unknown_names_are_answered_with_near_ones(resnet: nn.Module) -> None:
    check_layer(resnet, "layer4.1")
    with pytest.raises(UsageError, match=r"layer4\.1\.relu") as caught:
        check_layer(resnet, "layer4.1.relo")
    assert "'layer4.1.relo'" in caught.value.message
    with pytest.raises(UsageError, match="predicted, label or class:K"):
        target_indices(torch.zeros(1, 2), torch.zeros(1), "best")


def test_numbers_that_are_not_finite_are_refused() -> None:
    nan = torch.full((1, 1, 2, 2), float("nan"))
    with pytest.raises(ValueError, match="not finite"):
        saliency(nan)
    with pytest.raises(ValueError, match="not finite"):
        grad_cam(nan, nan)
    with pytest.raises(ValueError, match="channels x height x width"):
        grad_cam(torch.zeros(1, 4), torch.zeros(1, 4))


class Overwriting(nn.Module):
    """Its last layer with spatial extent is changed in place, as a DenseNet's is; it counts its forwards."""

    def __init__(self, inplace: bool) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.features, self.head, self.inplace, self.forwards = nn.Conv2d(3, 4, 3), nn.Linear(4, 3), inplace, 0

    def forward(self, pictures: Tensor) -> Tensor:
        self.forwards += 1
        found = nn.functional.relu(self.features(pictures), inplace=self.inplace)
        return self.head(found.mean(dim=(2, 3)))


def test_auto_keeps_what_the_layer_gave_where_the_next_one_overwrites_it(pictures: Tensor) -> None:
    plain, overwriting = Overwriting(inplace=False), Overwriting(inplace=True)
    want, found = passed(plain, pictures, "features"), passed(overwriting, pictures, AUTO)
    assert found.layers[AUTO] == "features"
    assert bool((found.activations[AUTO] < 0).any())
    assert torch.equal(found.activations[AUTO], want.activations["features"])
    assert torch.equal(found.gradients[AUTO], want.gradients["features"])
    assert torch.equal(found.logits, want.logits)
    assert (plain.forwards, overwriting.forwards) == (1, 2)


def test_auto_clones_nothing_where_nothing_is_overwritten(resnet: nn.Module, pictures: Tensor) -> None:
    forwards = []
    handle = resnet.register_forward_hook(lambda *_: forwards.append(1))
    want, found = passed(resnet, pictures, "layer4"), passed(resnet, pictures, AUTO)
    handle.remove()
    assert len(forwards) == 2
    assert found.layers[AUTO] == "layer4"
    assert torch.equal(found.gradients[AUTO], want.gradients["layer4"])
    assert found.input_gradient is not None and want.input_gradient is not None
    assert torch.equal(found.input_gradient, want.input_gradient)
