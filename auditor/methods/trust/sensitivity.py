"""Sensitivity: how far a map moves when the input moves a little."""

from typing import Any

import torch
from torch import Tensor

from auditor.methods.attribution.asked import Asked, moved
from auditor.methods.attribution.method import Context, Method

FLOOR = 0.01
"""Share of the batch's median map norm below which a norm is not divided by."""


def nudged(model: Asked, inputs: Any, radius: float, generator: torch.Generator) -> Any:
    """The inputs with uniform noise in [-radius, radius] times the standard deviation of each example's own values.

    Text is moved at its token embeddings. The noise is drawn on the processor, so that devices agree.
    """

    def move(leaf: Tensor) -> Tensor:
        spread = leaf.flatten(1).std(dim=1).reshape(-1, *[1] * (leaf.ndim - 1))
        drawn = torch.rand(leaf.shape, generator=generator) * 2 - 1
        return leaf + radius * spread * drawn.to(leaf)

    return moved(model, inputs, move)


def max_sensitivity(
    method: Method, model: Asked, inputs: Any, targets: Tensor, context: Context, draws: int, radius: float
) -> Tensor:
    """max over `draws` nudges d of norm(A(x + d) - A(x)) / max(norm(A(x)), floor), one value an example, [n].

    A is the method's map at its native resolution for the same target; floor is a hundredth of the median norm in the
    batch, so that an almost empty map cannot divide by nothing. NaN where the map of x itself is zero everywhere: it
    has no direction to keep. More draws find larger values: `draws` is part of the definition.
    Yeh et al., "On the (in)fidelity and sensitivity of explanations" (2019).
    """
    generator = context.generator()
    own = method.maps(model, inputs, targets, context).values.flatten(1)
    size = own.norm(dim=1)
    floor = torch.clamp(FLOOR * size.median(), min=torch.finfo(size.dtype).tiny)
    largest = torch.zeros_like(size)
    for _ in range(draws):
        other = method.maps(model, nudged(model, inputs, radius, generator), targets, context).values.flatten(1)
        largest = torch.maximum(largest, (other - own).norm(dim=1))
    return torch.where(size > 0, largest / torch.maximum(size, floor), torch.nan)
