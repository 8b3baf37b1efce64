"""Layout: along which axis a layer's output has its units, which torch leaves to each network."""

from dataclasses import dataclass

from torch import Tensor, nn

LAST = (nn.Linear, nn.Embedding)
CONVOLUTIONS = (nn.modules.conv._ConvNd, nn.modules.batchnorm._NormBase, nn.GroupNorm)

Like = tuple[int, int]
"""Axis and number of the units of the last layer that says where they are."""


def told(part: nn.Module, output: Tensor) -> Like | None:
    """Where a layer that knows it has its units, and how many: a Linear last, a convolution or BatchNorm second.

    ConvNeXt derives from LayerNorm one that has them second. GPT-2's Conv1D is a Linear with its weights turned; it
    is known by its number of outputs, `nf`.
    """
    if isinstance(part, nn.LayerNorm):
        width = part.normalized_shape[-1]
        places = (1, -1) if type(part) is not nn.LayerNorm and output.ndim == 4 else (-1,)
        return next(((axis, width) for axis in places if output.shape[axis] == width), None)
    if isinstance(part, LAST) or (output.ndim > 1 and getattr(part, "nf", None) == output.shape[-1]):
        return -1, output.shape[-1]
    return (1, output.shape[1]) if isinstance(part, CONVOLUTIONS) and output.ndim > 1 else None


def axis_of(output: Tensor, like: Like) -> int:
    """The axis of an output's units: that of the layers before it, where the number fits; else last of tokens.

    Swin keeps pictures as n x height x width x channels between its linear layers, others n x channels first. Tokens
    behind a linear layer keep their units last, also where there happen to be as many tokens as units.
    """
    axis, width = like
    for candidate in (axis,) if output.ndim == 3 and axis == -1 else (axis, 1, output.ndim - 1):
        if output.shape[candidate % output.ndim] == width:
            return candidate % output.ndim
    return output.ndim - 1 if output.ndim == 3 else 1


@dataclass(frozen=True)
class Extent:
    """Where a layer's output lies in space: the axis of its units, and the grid (rows, columns) of its places."""

    axis: int
    grid: tuple[int, int]

    @property
    def cells(self) -> int:
        """Places of the grid."""
        return self.grid[0] * self.grid[1]

    def as_maps(self, output: Tensor) -> Tensor:
        """[n, units, rows, columns]; tokens that stand before the grid's own (class, registers) are dropped."""
        if output.ndim == 4:
            return output.movedim(self.axis, 1)
        tokens = output[:, -self.cells :].transpose(1, 2)
        return tokens.reshape(len(output), output.shape[2], *self.grid)


def extent_of(output: Tensor, like: Like, grid: tuple[int, int] | None) -> Extent | None:
    """The extent of a 4-D output, or of tokens [n, tokens, units] behind a grid of patches; None for others.

    Tokens are at least as many as the grid's places, or their number is that of the grid halved once or more: Swin
    merges patches between its stages.
    """
    if output.ndim == 4:
        axis = axis_of(output, like)
        rows, columns = (side for place, side in enumerate(output.shape) if place not in (0, axis))
        return Extent(axis, (rows, columns))
    if output.ndim != 3 or grid is None:
        return None
    while grid[0] * grid[1] > output.shape[1] and grid != (1, 1):
        grid = (grid[0] + 1) // 2, (grid[1] + 1) // 2
        if grid[0] * grid[1] < output.shape[1]:
            return None
    return Extent(2, grid)
