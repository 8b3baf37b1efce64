"""Grad-CAM: a layer's activation maps, weighted by how the target's logit reacts to them."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from auditor.errors import NotApplicable
from auditor.methods.attribution.asked import Asked
from auditor.methods.attribution.method import Context, Maps
from auditor.methods.passes import AUTO, Wants, run_pass

Weights = Literal["mean", "elementwise"]


def grad_cam(activation: Tensor, gradient: Tensor, weights: Weights = "mean", relu: bool = True) -> Tensor:
    """Class activation maps at the layer's own resolution, [n, h, w].

    activation A and gradient G = d f(x)[target] / d A, both [n, channels, h, w].
    mean: sum_k (mean_ij G_k) A_k, the paper's; elementwise: sum_k G_k A_k (HiResCAM), which many tutorials compute.
    relu: keep only what raises the target. Raises ValueError for other shapes or numbers that are not finite.
    Selvaraju et al., "Grad-CAM" (2017); Draelos and Carin, "HiResCAM" (2020).

    >>> a, g = torch.ones(1, 2, 1, 2), torch.tensor([[[[1.0, 3.0]], [[-1.0, 0.0]]]])
    >>> grad_cam(a, g).tolist(), grad_cam(a, g, "elementwise", relu=False).tolist()
    ([[[1.5, 1.5]]], [[[0.0, 3.0]]])
    """
    if activation.ndim != 4 or activation.shape != gradient.shape:
        raise ValueError(f"expected n x channels x height x width, found {tuple(activation.shape)}")
    if not (torch.isfinite(activation).all() and torch.isfinite(gradient).all()):
        raise ValueError("the layer's activation or its gradient is not finite")
    weight = gradient.mean(dim=(2, 3), keepdim=True) if weights == "mean" else gradient
    found = (weight * activation).sum(dim=1)
    return torch.relu(found) if relu else found


@dataclass(frozen=True)
class GradCam:
    """The method at one layer ("auto": the last one with spatial extent)."""

    name: ClassVar[str] = "grad_cam"
    signed: ClassVar[bool] = False
    layer: str = AUTO
    weights: Weights = "mean"
    relu: bool = True

    def maps(self, model: Asked, inputs: Any, targets: Tensor, context: Context) -> Maps:
        """One forward, one backward from the logit to the layer. NotApplicable for a layer without spatial extent."""
        wants = Wants(activations=frozenset({self.layer}), gradients=frozenset({self.layer}))
        found = run_pass(model.module, model.logits, inputs, lambda logits: targets, wants)
        if self.layer in found.missing:
            raise NotApplicable(found.missing[self.layer])
        activation, layer = found.activations[self.layer], found.layers[self.layer]
        require_extent(activation, layer)
        return Maps(grad_cam(activation, found.gradients[self.layer], self.weights, self.relu), layer=layer)


def require_extent(activation: Tensor, layer: str) -> None:
    """NotApplicable unless a layer's output is [n, channels, h, w]."""
    if activation.ndim != 4:
        shape = " x ".join(map(str, activation.shape))
        raise NotApplicable(f"layer {layer!r} has no spatial extent: its output is {shape}")
