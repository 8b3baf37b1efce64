"""RISE: how much higher the score is when a part is seen, over many random masks of the whole input."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional

from auditor.methods.attribution.asked import Asked, count
from auditor.methods.attribution.method import Context, Maps
from auditor.methods.attribution.perturb import Forwards
from auditor.methods.attribution.removal import Fill, Removal, removal_of, usual_fill


def smooth_masks(number: int, shape: tuple[int, int], cells: int, keep: float, generator: torch.Generator) -> Tensor:
    """Random masks of pictures in [0, 1], float32 [number, h, w]: 1 keeps a pixel, and each has the mean `keep`.

    Each cell of a grid is kept with probability `keep`; the grid is enlarged bilinearly to one cell more than the
    picture, and cut out at a random place, so that cells have no fixed edges.
    """
    sides = [-(-side // cells) for side in shape]
    coarse = (torch.rand(number, 1, cells + 1, cells + 1, generator=generator) < keep).float()
    large = [(cells + 1) * side for side in sides]
    full = functional.interpolate(coarse, size=large, mode="bilinear", align_corners=False)[:, 0]
    top, left = (torch.randint(side, (number,), generator=generator).tolist() for side in sides)
    height, width = shape
    return torch.stack([full[k, top[k] : top[k] + height, left[k] : left[k] + width] for k in range(number)])


def part_masks(number: int, parts: int, keep: float, generator: torch.Generator) -> Tensor:
    """Bernoulli masks over tokens or columns, float32 [number, parts]: 1 keeps a part.

    Drawn part by part, so that the masks of the first parts do not depend on how many there are.
    """
    return (torch.rand(parts, number, generator=generator) < keep).float().T


def slopes_on_masks(scores: Tensor, masks: Tensor) -> Tensor:
    """The slope of the score on each place's mask value, [n, places]: cov(f, m_p) / var(m_p) over the masks.

    scores [n, masks] of masked inputs; masks [masks, places]. The published sum of f times m, with the mean score
    taken off first: that changes a map by a constant, and takes off most of its noise. Zero where a place's masks are
    all equal.

    >>> slopes_on_masks(torch.tensor([[0.0, 3.0]]), torch.tensor([[0.0, 1.0], [1.0, 1.0]])).tolist()
    [[3.0, 0.0]]
    """
    spread = masks.var(dim=0, correction=0) * len(masks)
    together = (scores - scores.mean(dim=1, keepdim=True)) @ masks
    return torch.where(spread > 0, together / spread.clamp_min(torch.finfo(spread.dtype).tiny), 0)


@dataclass(frozen=True)
class Rise:
    """The slope of the score on seeing a place, over random masks that all examples share; signed.

    masks: how many. keep: the share of an input that a mask leaves. cells: of a picture's grid, each way. fill: what
    is masked becomes (removal_of); auto: the first of FILLS for these inputs. Pictures have smooth masks and a value a
    pixel, texts and rows a coin for each token or column. On a linear model, with masks enough, a map of rows is
    w (x - x0). Petsiuk, Das and Saenko, "RISE: randomized input sampling for explanation" (2018).
    """

    name: ClassVar[str] = "rise"
    signed: ClassVar[bool] = True
    masks: int = 512
    keep: float = 0.5
    cells: int = 8
    fill: Fill | Literal["auto"] = "auto"

    def maps(self, model: Asked, inputs: Any, targets: Tensor, context: Context) -> Maps:
        """One forward of each example and mask, those of all examples batched together."""
        fill = usual_fill(inputs) if self.fill == "auto" else self.fill
        removal, forwards = removal_of(inputs, fill, context), Forwards(model, context.batch_size)
        masks = self._drawn(removal, context).to(removal.own.device)
        found = slopes_on_masks(self._scores(forwards, removal, masks, targets), masks.flatten(1))
        if removal.places.numel():
            return Maps(found.reshape(-1, *masks.shape[1:]), halved=forwards.halved)
        return Maps(found * removal.own.to(found.dtype), halved=forwards.halved)

    def _drawn(self, removal: Removal, context: Context) -> Tensor:
        generator = context.generator()
        if removal.places.numel():
            height, width = removal.places.shape
            return smooth_masks(self.masks, (height, width), min(self.cells, height, width), self.keep, generator)
        return part_masks(self.masks, removal.parts, self.keep, generator)

    @staticmethod
    def _scores(forwards: Forwards, removal: Removal, masks: Tensor, targets: Tensor) -> Tensor:
        """f of every example under every mask, [n, masks]."""
        n = count(removal.inputs)
        rows = torch.arange(n, device=masks.device).repeat(len(masks))
        mask = torch.arange(len(masks), device=masks.device).repeat_interleave(n)

        def inputs(part: slice) -> Any:
            kept = masks[mask[part]]
            if not removal.places.numel():
                return removal.without(rows[part], kept == 0)
            seen, gone = removal.inputs[rows[part]], removal.gone[rows[part]]
            return gone + kept.unsqueeze(1) * (seen - gone)

        return forwards.over(len(rows), inputs, targets[rows]).reshape(len(masks), n).T
