"""Grad-CAM: a layer's activation maps, weighted by how the target's logit reacts to them."""

from typing import Literal

import torch
from torch import Tensor

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
