"""Layout: along which axis a layer's output has its units, which torch leaves to each network."""

from torch import Tensor, nn

LAST = (nn.Linear, nn.LayerNorm, nn.Embedding)
CONVOLUTIONS = (nn.modules.conv._ConvNd, nn.modules.batchnorm._NormBase, nn.GroupNorm)

Like = tuple[int, int]
"""Axis and number of the units of the last layer that says where they are."""


def told(part: nn.Module, output: Tensor) -> Like | None:
    """Where a layer that knows it has its units, and how many: a Linear last, a convolution or BatchNorm second."""
    if isinstance(part, LAST):
        return -1, output.shape[-1]
    return (1, output.shape[1]) if isinstance(part, CONVOLUTIONS) and output.ndim > 1 else None


def axis_of(output: Tensor, like: Like) -> int:
    """The axis of an output's units: that of the layers before it, where the number fits; else last of tokens.

    Swin keeps pictures as n x height x width x channels between its linear layers, others n x channels first.
    """
    axis, width = like
    for candidate in (axis, 1, output.ndim - 1):
        if output.shape[candidate % output.ndim] == width:
            return candidate % output.ndim
    return output.ndim - 1 if output.ndim == 3 else 1
