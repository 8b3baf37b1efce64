"""Input x gradient: the first-order share of each part in the target's logit."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from auditor.methods.attribution.asked import Asked, gradient
from auditor.methods.attribution.method import Context, Maps, without_padding


def input_x_gradient(leaf: Tensor, slope: Tensor) -> Tensor:
    """x_i times d f(x)[target] / d x_i, summed over what belongs to one place; signed.

    leaf and slope: pictures [n, channels, h, w] -> [n, h, w]; embeddings [n, tokens, width] -> [n, tokens]; rows
    [n, columns] unchanged. Raises ValueError for a gradient that is not finite. Shrikumar et al., "Not just a black
    box" (2016).

    >>> input_x_gradient(torch.tensor([[2.0, -1.0]]), torch.tensor([[0.5, 3.0]])).tolist()
    [[1.0, -3.0]]
    """
    if not torch.isfinite(slope).all():
        raise ValueError("the gradient at the input is not finite")
    return in_places(leaf * slope)


def in_places(values: Tensor) -> Tensor:
    """Values at a leaf, summed over channels or embedding width to one a place."""
    if values.ndim == 4:
        return values.sum(dim=1)
    return values.sum(dim=-1) if values.ndim == 3 else values


@dataclass(frozen=True)
class InputXGradient:
    """The method; it has no parameters."""

    name: ClassVar[str] = "input_x_gradient"
    signed: ClassVar[bool] = True

    def maps(self, model: Asked, inputs: Any, targets: Tensor, context: Context) -> Maps:
        """One forward and one backward."""
        _, leaf, slope = gradient(model, inputs, targets)
        return Maps(without_padding(input_x_gradient(leaf, slope), inputs))
