"""Saliency: how strongly the target's logit reacts to each part of the input."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from auditor.methods.attribution.asked import Asked, gradient
from auditor.methods.attribution.method import Context, Maps, without_padding

Channels = Literal["max", "sum"]


def saliency(gradient: Tensor, channels: Channels = "max") -> Tensor:
    """The absolute gradient of the target's logit, one value a place of the input.

    gradient: d f(x)[target] / d x. Pictures [n, channels, h, w]: the largest (or the sum) of the absolute values over
    the channels, [n, h, w]. Token embeddings [n, tokens, width]: the Euclidean norm over the width, [n, tokens].
    Feature rows [n, features]: the absolute values. Raises ValueError for a gradient that is not finite.
    Simonyan, Vedaldi and Zisserman, "Deep inside convolutional networks" (2014).

    >>> saliency(torch.tensor([[1.0, -2.0]])).tolist()
    [[1.0, 2.0]]
    """
    if not torch.isfinite(gradient).all():
        raise ValueError("the gradient at the input is not finite")
    if gradient.ndim == 4:
        size = gradient.abs()
        return size.amax(dim=1) if channels == "max" else size.sum(dim=1)
    return gradient.norm(dim=-1) if gradient.ndim == 3 else gradient.abs()


@dataclass(frozen=True)
class Saliency:
    """The method; `channels` says how the channels of a picture become one value."""

    name: ClassVar[str] = "saliency"
    signed: ClassVar[bool] = False
    channels: Channels = "max"

    def maps(self, model: Asked, inputs: Any, targets: Tensor, context: Context) -> Maps:
        """One forward and one backward."""
        slope = gradient(model, inputs, targets)[2]
        return Maps(without_padding(saliency(slope, self.channels), inputs))
