"""Occlusion: by how much the score falls when one part of the input is taken away."""

from dataclasses import dataclass
from math import ceil
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from auditor.errors import NotApplicable
from auditor.methods.attribution.asked import Asked, count
from auditor.methods.attribution.method import Context, Maps
from auditor.methods.attribution.perturb import Forwards
from auditor.methods.attribution.removal import Fill, Removal, removal_of, usual_fill

CELLS = 8


def windows(height: int, width: int, side: int, stride: int) -> Tensor:
    """The pixels of each square window, bool [windows, height x width]; the last of a line may hang over the edge.

    >>> windows(1, 3, 2, 1).int().tolist()
    [[1, 1, 0], [0, 1, 1]]
    """
    tops = range(0, 1 + stride * max(0, ceil((height - side) / stride)), stride)
    lefts = range(0, 1 + stride * max(0, ceil((width - side) / stride)), stride)
    found = torch.zeros(len(tops), len(lefts), height, width, dtype=torch.bool)
    for row, top in enumerate(tops):
        for column, left in enumerate(lefts):
            found[row, column, top : top + side, left : left + side] = True
    return found.flatten(0, 1).flatten(1)


@dataclass(frozen=True)
class Occlusion:
    """f(x) minus f(x without a part), for each part of the grid, token or column; signed.

    fill: what a removed part becomes (removal_of); auto: the first of FILLS for these inputs. cells: of the grid over
    a picture, each way. window, in pixels: slide a square over the picture in steps of `stride` instead (0: as large
    as the window); the map then has a value a pixel, the mean over the windows that cover it. On a linear model the
    map is w (x - x0). Zeiler and Fergus, "Visualizing and understanding convolutional networks" (2014).
    """

    name: ClassVar[str] = "occlusion"
    signed: ClassVar[bool] = True
    fill: Fill | Literal["auto"] = "auto"
    cells: int = CELLS
    window: int = 0
    stride: int = 0

    def maps(self, model: Asked, inputs: Any, targets: Tensor, context: Context) -> Maps:
        """One forward of each example and one for each of its parts, those of all examples batched together."""
        fill = usual_fill(inputs) if self.fill == "auto" else self.fill
        if self.window and (not isinstance(inputs, Tensor) or inputs.ndim != 4):
            raise NotApplicable("only pictures have places for a sliding window")
        cells = max(inputs.shape[2:]) if self.window else self.cells
        removal, forwards = removal_of(inputs, fill, context, cells), Forwards(model, context.batch_size)
        masks = self._masks(removal)
        fall = falls(forwards, removal, masks, targets)
        return Maps(self._on_places(fall, removal, masks), halved=forwards.halved)

    def _masks(self, removal: Removal) -> Tensor:
        if not self.window:
            return torch.eye(removal.parts, dtype=torch.bool, device=removal.own.device)
        height, width = removal.shape
        return windows(height, width, self.window, self.stride or self.window).to(removal.own.device)

    def _on_places(self, fall: Tensor, removal: Removal, masks: Tensor) -> Tensor:
        if not self.window:
            return fall.reshape(-1, *removal.shape)
        cover = masks.to(fall.dtype)
        return (fall @ cover / cover.sum(dim=0).clamp_min(1)).reshape(-1, *removal.shape)


def falls(forwards: Forwards, removal: Removal, masks: Tensor, targets: Tensor) -> Tensor:
    """f(x) - f(x without masks[k]) of each example, [n, masks]; masks bool [masks, parts].

    Zero, without a forward, where a mask takes nothing that the example has.
    """
    n = count(removal.inputs)
    whole = forwards.over(n, lambda part: removal.without(*_nothing(removal, part)), targets)
    own = (removal.own[:, None] & masks).any(dim=2)
    mask, rows = own.T.nonzero(as_tuple=True)
    without = forwards.over(
        len(rows), lambda part: removal.without(rows[part], masks[mask[part]]), targets[rows]
    )  # fmt: skip
    found = torch.zeros(n, len(masks), dtype=whole.dtype, device=whole.device)
    found[rows, mask] = whole[rows] - without
    return found


def _nothing(removal: Removal, part: slice) -> tuple[Tensor, Tensor]:
    """The rows of a slice, and masks that remove nothing."""
    rows = torch.arange(part.start, part.stop, device=removal.own.device)
    return rows, torch.zeros(len(rows), removal.parts, dtype=torch.bool, device=removal.own.device)
