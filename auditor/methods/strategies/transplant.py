"""Transplants: predictions on inputs of which a part comes from another example."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from auditor.errors import AuditorError

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Surgery:
    """A model and its inputs (pictures [n, c, h, w] or rows [n, columns]); predicted: int64 [n], what it says of them.

    follows(...) asks whether a prediction goes with the transplanted part.
    """

    logits: Callable[[Any], Tensor]
    inputs: Tensor
    predicted: Ints
    batch_size: int

    def follows(self, rows: Ints, donors: Ints, masks: Mask) -> Mask:
        """Whether the prediction becomes the donor's, bool [m].

        rows, donors: [m] examples. masks: the parts that come from the donor, bool [m, side, side] (cells of
        pictures), [m, columns], or without the first axis for all examples the same.
        """
        each = masks if masks.ndim == self._part_axes + 1 else np.broadcast_to(masks, (len(rows), *masks.shape))
        found = []
        with torch.inference_mode():
            for start in range(0, len(rows), self.batch_size):
                part = slice(start, start + self.batch_size)
                mixed = torch.where(
                    self._on_inputs(np.ascontiguousarray(each[part])),
                    self.inputs[donors[part]],
                    self.inputs[rows[part]],
                )
                found.append(winners(self.logits(mixed)))
        return np.asarray(np.concatenate(found) == self.predicted[donors])

    @property
    def _part_axes(self) -> int:
        return 2 if self.inputs.ndim == 4 else 1

    def _on_inputs(self, masks: Mask) -> Tensor:
        if self.inputs.ndim == 2:
            return torch.from_numpy(masks).to(self.inputs.device)
        return torch.from_numpy(on_pixels(masks, *self.inputs.shape[2:]))[:, None].to(self.inputs.device)


def winners(logits: Tensor) -> Ints:
    """The class of the largest logit of each row, [n]. AuditorError where one is not finite: NaN would win."""
    if not torch.isfinite(logits).all():
        raise AuditorError(
            "the model's logits on changed inputs are not finite (NaN or infinite)", "Check weights and preprocessing."
        )
    found: Ints = logits.argmax(dim=1).cpu().numpy()
    return found


def on_pixels(masks: Mask, height: int, width: int) -> Mask:
    """Masks of cells [m, side, side] as masks of pixels [m, height, width]."""
    down = np.arange(height) * masks.shape[1] // height
    across = np.arange(width) * masks.shape[2] // width
    return masks[:, down][:, :, across]


def donors_of(rows: Ints, predicted: Ints, rng: np.random.Generator) -> Ints:
    """For each row another one of `rows` that the model takes for another class. ValueError where there is none."""
    found = np.empty_like(rows)
    for place, row in enumerate(rows.tolist()):
        others = rows[predicted[rows] != predicted[row]]
        if not len(others):
            raise ValueError("all examples are taken for one class")
        found[place] = rng.choice(others)
    return found
