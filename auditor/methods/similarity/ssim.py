"""SSIM: how alike two maps are in the structure of their neighbourhoods."""

import torch
from torch import Tensor
from torch.nn import functional


def ssim(a: Tensor, b: Tensor, window: int = 7) -> Tensor:
    """Mean structural similarity of maps [n, h, w], one value an example: 1 the same, about 0 unrelated.

    Each map is scaled by its largest absolute value, so that only structure counts. Means, variances and covariance
    over windows (at most the map's size) inside the map, constants (.01 L)^2 and (.03 L)^2 with L = 1. Wang et al.,
    "Image quality assessment" (2004).

    >>> a = torch.rand(2, 9, 9)
    >>> ssim(a, 3 * a).round(decimals=9).tolist()
    [1.0, 1.0]
    """
    x, y = _scaled(a), _scaled(b)
    side = min(window, *a.shape[1:])

    def mean(values: Tensor) -> Tensor:
        return functional.avg_pool2d(values[:, None], side, stride=1)[:, 0]

    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    low, high = 0.01**2, 0.03**2
    found = (2 * mx * my + low) * (2 * cov + high) / ((mx * mx + my * my + low) * (vx + vy + high))
    return found.mean(dim=(1, 2))


def _scaled(maps: Tensor) -> Tensor:
    top = maps.abs().amax(dim=(1, 2), keepdim=True).double()
    return maps.double() / torch.where(top > 0, top, torch.ones_like(top))
