"""Grad-CAM finds its layer by itself: every classification family of torchvision, and transformers' vision models."""

from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn

from auditor.methods.attribution.asked import Asked
from auditor.methods.attribution.explain import explain
from auditor.methods.attribution.method import Context
from auditor.methods.passes import AUTO, Wants, run_pass

FAMILIES = {
    "alexnet": 96, "convnext_tiny": 64, "densenet121": 64, "efficientnet_b0": 64, "efficientnet_v2_s": 64,
    "googlenet": 64, "inception_v3": 128, "maxvit_t": 224, "mnasnet0_5": 64, "mobilenet_v2": 64,
    "mobilenet_v3_small": 64, "regnet_y_400mf": 64, "resnet18": 64, "resnext50_32x4d": 64, "shufflenet_v2_x0_5": 64,
    "squeezenet1_1": 64, "swin_t": 64, "swin_v2_t": 64, "vgg11": 64, "vit_b_32": 224, "wide_resnet50_2": 64,
}  # fmt: skip


class Net:
    """A model as attribution asks for it."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def logits(self, inputs: Tensor) -> Tensor:
        found = self.module(inputs)
        return found if isinstance(found, Tensor) else found.logits  # type: ignore[no-any-return]  # transformers'

    def gradient_inputs(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        leaf = inputs.detach().clone().requires_grad_()
        return leaf, leaf


def checked(net: Asked, side: int) -> tuple[str, tuple[int, ...]]:
    """The layer that was found and the grid of its maps, which are finite, not all zero, and a picture's."""
    generator = torch.Generator().manual_seed(1)
    pictures = torch.randn(2, 3, side, side, generator=generator)
    before = sum(len(part._forward_hooks) for part in net.module.modules())
    maps = explain("grad_cam", net, pictures, torch.zeros(2, dtype=torch.long), Context(), relu=False)
    height, width = maps.values.shape[1:]
    assert maps.values.isfinite().all() and maps.values.abs().sum() > 0
    assert height == width and 4 <= height * width <= (side // 4) ** 2, (maps.layer, height, width)
    assert sum(len(part._forward_hooks) for part in net.module.modules()) == before
    return maps.layer, (height, width)


def awake(module: nn.Module) -> Net:
    """In eval mode; a head that starts at zero, as torchvision's ViT does, lets no gradient through."""
    for name, parameter in module.named_parameters():
        if not parameter.any() and ("head" in name or "classifier" in name):
            nn.init.normal_(parameter, std=0.1)
    return Net(module.eval())


@pytest.mark.slow
@pytest.mark.parametrize(("arch", "side"), FAMILIES.items())
def test_every_family_of_torchvision(arch: str, side: int) -> None:
    torch.manual_seed(0)
    extra = {"init_weights": False} if arch in {"googlenet", "inception_v3"} else {}
    checked(awake(torchvision.models.get_model(arch, weights=None, **extra)), side)


@pytest.mark.slow
def test_the_families_are_all_that_torchvision_has() -> None:
    """Each registered classifier is of a family above: of the same function file."""
    import inspect

    from auditor.sources.models.torchvision import names

    def home(arch: str) -> str:
        return inspect.getmodule(torchvision.models.get_model_builder(arch)).__name__  # type: ignore[union-attr]

    assert {home(arch) for arch in names()} == {home(arch) for arch in FAMILIES}


def _tiny() -> dict[str, Any]:
    import transformers as hf

    plain = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16,
             "image_size": 32, "patch_size": 8}  # fmt: skip
    swin = {"image_size": 64, "patch_size": 4, "embed_dim": 8, "depths": [1, 2, 1], "num_heads": [2, 2, 2],
            "window_size": 4}  # fmt: skip
    conv = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]}
    return {
        "ViT": (hf.ViTForImageClassification, hf.ViTConfig(**plain), (4, 4)),
        "DeiT": (hf.DeiTForImageClassification, hf.DeiTConfig(**plain), (4, 4)),
        "Beit": (hf.BeitForImageClassification, hf.BeitConfig(**plain), (4, 4)),
        "Dinov2": (hf.Dinov2ForImageClassification, hf.Dinov2Config(**plain), (4, 4)),
        "Swin": (hf.SwinForImageClassification, hf.SwinConfig(**swin), (4, 4)),
        "Swinv2": (hf.Swinv2ForImageClassification, hf.Swinv2Config(**swin), (4, 4)),
        "ResNet": (hf.ResNetForImageClassification, hf.ResNetConfig(**conv), (8, 8)),
        "RegNet": (hf.RegNetForImageClassification, hf.RegNetConfig(**conv, groups_width=8), (8, 8)),
        "ConvNext": (hf.ConvNextForImageClassification,
                     hf.ConvNextConfig(hidden_sizes=[8, 12, 16], depths=[1, 1, 1], num_stages=3), (4, 4)),
        "MobileNetV2": (hf.MobileNetV2ForImageClassification, hf.MobileNetV2Config(depth_multiplier=0.35), (2, 2)),
        "EfficientNet": (hf.EfficientNetForImageClassification,
                         hf.EfficientNetConfig(width_coefficient=0.25, depth_coefficient=0.25, hidden_dim=320,
                                                initializer_range=0.3), (2, 2)),
        "Segformer": (hf.SegformerForImageClassification,
                      hf.SegformerConfig(hidden_sizes=[8, 8, 16, 16], depths=[1] * 4, num_attention_heads=[1, 1, 2, 2],
                                         decoder_hidden_size=8), (2, 2)),
        "PoolFormer": (hf.PoolFormerForImageClassification,
                       hf.PoolFormerConfig(hidden_sizes=[8, 8, 16, 16], depths=[1] * 4), (2, 2)),
    }  # fmt: skip


VISION = ("ViT", "DeiT", "Beit", "Dinov2", "Swin", "Swinv2", "ResNet", "RegNet", "ConvNext", "MobileNetV2",
          "EfficientNet", "Segformer", "PoolFormer")  # fmt: skip


@pytest.mark.parametrize("name", VISION)
def test_vision_models_of_transformers(name: str) -> None:
    cls, config, grid = _tiny()[name]
    torch.manual_seed(0)
    config._attn_implementation = "eager"
    side = 32 if getattr(config, "image_size", 64) == 32 else 64
    _, found = checked(awake(cls(config)), side)
    assert found == grid


class Last(nn.Module):
    """A network that keeps pictures with their channels last between linear layers, as Swin does."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.mix, self.head = nn.Conv2d(3, 6, 4, 4), nn.Linear(6, 5), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(self.mix(self.stem(x).permute(0, 2, 3, 1)).relu().mean((1, 2)))
        return found


def test_channels_last_become_channels_first() -> None:
    """The oracle: the layer's own output and its gradient, moved by hand."""
    torch.manual_seed(0)
    net, x = Last().eval(), torch.randn(2, 3, 16, 12)
    wants = Wants(frozenset({AUTO, "mix"}), frozenset({AUTO, "mix"}))
    found = run_pass(net, net, x, lambda logits: logits.argmax(1), wants)
    assert found.layers[AUTO] == "mix" and found.activations["mix"].shape == (2, 5, 4, 3)
    inside = net.mix(net.stem(x).permute(0, 2, 3, 1)).detach().requires_grad_()
    score = net.head(inside.relu().mean((1, 2))).gather(1, found.targets[:, None]).sum()
    (slope,) = torch.autograd.grad(score, inside)
    torch.testing.assert_close(found.activations["mix"], inside.detach().permute(0, 3, 1, 2))
    torch.testing.assert_close(found.gradients["mix"], slope.permute(0, 3, 1, 2))
