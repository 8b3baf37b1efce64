"""Removal: an example's parts (cells, tokens, columns), and the input with some of them taken away."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from auditor.errors import NotApplicable
from auditor.methods.attribution.asked import take
from auditor.methods.attribution.method import Context, own_words
from auditor.methods.attribution.random_map import seed_of

Fill = Literal["mean", "blur", "mask", "hide", "draw"]
FILLS: dict[str, tuple[Fill, Fill]] = {"image": ("mean", "blur"), "text": ("mask", "hide"), "tabular": ("mean", "draw")}
"""Two ways to remove a part, for each modality: what holds under one only may be an artefact of it."""
GRID = 16


@dataclass(frozen=True)
class Removal:
    """The parts of n examples.

    own: bool [n, parts], the parts that an example really has (no padding, no special tokens). shape: of a map over
    parts: grid rows x columns, (tokens,) or (columns,). places: int64 [h, w], the part that each pixel belongs to;
    empty for texts and rows. inputs: the examples; gone: what takes the place of what is removed, of the same form.
    """

    own: Tensor
    shape: tuple[int, ...]
    inputs: Any
    gone: Any
    places: Tensor

    @property
    def parts(self) -> int:
        """Most parts of any example."""
        return self.own.shape[1]

    @property
    def sizes(self) -> Tensor:
        """How many pixels each part holds, float64 [parts], on the processor; 1 for tokens and columns."""
        if not self.places.numel():
            return torch.ones(self.parts, dtype=torch.float64)
        return torch.bincount(self.places.flatten().cpu(), minlength=self.parts).double()

    def without(self, rows: Tensor, removed: Tensor) -> Any:
        """Inputs of m perturbed examples: rows[i] without the parts removed[i]; rows [m], removed bool [m, parts]."""
        removed = removed & self.own[rows]
        if isinstance(self.inputs, Mapping):
            return {name: torch.where(removed, self.gone[name][rows], value[rows]) if name in self.gone else value[rows]
                    for name, value in self.inputs.items()}  # fmt: skip
        mask = removed[:, self.places].unsqueeze(1) if self.places.numel() else removed
        return torch.where(mask, take(self.gone, rows), take(self.inputs, rows))

    def on_parts(self, maps: Tensor) -> Tensor:
        """Maps at any resolution as one value a part, [n, parts], zero where an example has no such part.

        Maps of pictures [n, h, w]: the mean over a cell's pixels; a coarser map is enlarged bilinearly before. Maps of
        texts and rows have their parts already.
        """
        if not self.places.numel():
            return maps * self.own.to(maps.dtype)
        height, width = self.places.shape
        full = maps[:, None].float()
        if full.shape[2:] != (height, width):
            full = functional.interpolate(full, size=(height, width), mode="bilinear", align_corners=False)
        flat = torch.zeros(len(maps), self.parts, dtype=full.dtype, device=full.device)
        cells = self.places.flatten().to(full.device)
        return flat.index_add(1, cells, full.flatten(1)) / torch.bincount(cells, minlength=self.parts)


def removal_of(inputs: Any, fill: Fill, context: Context, grid: int = GRID) -> Removal:
    """The parts of a batch: cells of a grid x grid for pictures (fewer where they have fewer pixels), tokens, columns.

    fill says what a removed part becomes. Pictures: the mean colour of the picture, or the picture blurred with a
    Gaussian of a tenth of its side. Texts: the mask token (NotApplicable where the tokenizer has none), or a place
    hidden from attention. Rows: the column's mean over the background, or its value in a row drawn from it.
    """
    if isinstance(inputs, Mapping):
        return _of_texts(inputs, fill, context)
    return _of_pictures(inputs, fill, grid) if inputs.ndim == 4 else _of_rows(inputs, fill, context)


def usual_fill(inputs: Any) -> Fill:
    """The first of FILLS for inputs like these."""
    if isinstance(inputs, Mapping):
        return FILLS["text"][0]
    return FILLS["image" if inputs.ndim == 4 else "tabular"][0]


def _of_pictures(inputs: Tensor, fill: Fill, grid: int) -> Removal:
    height, width = inputs.shape[2:]
    rows, columns = min(grid, height), min(grid, width)
    down = torch.arange(height) * rows // height
    across = torch.arange(width) * columns // width
    gone = blurred(inputs) if fill == "blur" else inputs.mean(dim=(2, 3), keepdim=True).expand_as(inputs)
    own = torch.ones(len(inputs), rows * columns, dtype=torch.bool, device=inputs.device)
    places = (down[:, None] * columns + across).to(inputs.device)
    return Removal(own, (rows, columns), inputs, gone, places)


def blurred(pictures: Tensor) -> Tensor:
    """Pictures [n, c, h, w] under a Gaussian of standard deviation a tenth of the shorter side, edges repeated."""
    sigma = min(pictures.shape[2:]) / 10
    radius = max(1, round(3 * sigma))
    offsets = torch.arange(-radius, radius + 1, dtype=pictures.dtype, device=pictures.device)
    kernel = torch.exp(-((offsets / sigma) ** 2) / 2)
    kernel = (kernel / kernel.sum()).expand(pictures.shape[1], 1, -1)
    wide = functional.pad(pictures, (radius,) * 4, mode="replicate")
    down = functional.conv2d(wide, kernel[:, :, :, None], groups=pictures.shape[1])
    return functional.conv2d(down, kernel[:, :, None, :], groups=pictures.shape[1])


def _of_texts(inputs: Mapping[str, Tensor], fill: Fill, context: Context) -> Removal:
    ids, own = inputs["input_ids"], own_words(inputs, context.special_ids)
    assert own is not None
    gone: dict[str, Tensor] = {}
    if "inputs_embeds" in inputs and fill != "hide":
        raise NotApplicable("tokens whose embeddings are given cannot be replaced by the mask token")
    if fill == "hide":
        if "attention_mask" not in inputs:
            raise NotApplicable("the model takes no attention mask, so no token can be hidden from it")
        gone["attention_mask"] = torch.zeros_like(inputs["attention_mask"])
    elif context.mask_id < 0:
        raise NotApplicable("this tokenizer has no token that could stand for a removed one")
    else:
        gone["input_ids"] = torch.full_like(ids, context.mask_id)
    return Removal(own, (ids.shape[1],), dict(inputs), gone, torch.empty(0, dtype=torch.int64))


def _of_rows(inputs: Tensor, fill: Fill, context: Context) -> Removal:
    if context.background is None:
        raise NotApplicable("removing a column needs rows of the data to take its place")
    background = context.background.to(inputs)
    if fill == "draw":
        drawn = [seed_of(row, context.seed) % len(background) for row in inputs]  # not the same in every batch
        gone = background[torch.tensor(drawn, dtype=torch.int64, device=background.device)]
    else:
        gone = background.mean(dim=0, keepdim=True).expand_as(inputs)
    own = torch.ones(inputs.shape, dtype=torch.bool, device=inputs.device)
    return Removal(own, (inputs.shape[1],), inputs, gone, torch.empty(0, dtype=torch.int64))
