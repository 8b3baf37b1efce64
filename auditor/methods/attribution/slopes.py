"""Slopes: gradients at many points around many examples, summed per example, in batches that halve out of memory."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from auditor.methods.attribution.asked import Asked, gradient, moved, take
from auditor.methods.attribution.perturb import out_of_memory

Points = Callable[[slice], Tensor]
"""The leaf values of some of the points, made when they are needed."""


@dataclass
class Slopes:
    """Runs a model forwards and backwards; batches hold points of all examples together.

    halved: how often the batch size had to be halved so far. count: points that were run.
    """

    model: Asked
    batch_size: int
    halved: int = 0
    count: int = 0

    def summed(self, inputs: Any, targets: Tensor, rows: Tensor, points: Points, weights: Tensor) -> Tensor:
        """sum_i weights[i] d f / d leaf at points[i] for each example, [n, ...] as the leaf.

        rows [m]: the example that each point belongs to, whose other inputs and target it takes; weights [m].
        Rows are added one after the other: the order of a sum must not change from run to run.
        """
        total = torch.zeros_like(self.model.gradient_inputs(inputs)[0]).detach()
        start = 0
        while start < len(rows):
            part = slice(start, min(len(rows), start + self.batch_size))
            found = self._attempt(inputs, targets, rows[part], points, part)
            if found is None:
                continue
            for row, weight, slope in zip(rows[part].tolist(), weights[part].tolist(), found, strict=True):
                total[row] += weight * slope
            start = part.stop
        return total

    def _attempt(self, inputs: Any, targets: Tensor, rows: Tensor, points: Points, part: slice) -> Tensor | None:
        """The gradients of one batch; None if memory ran out, and batches are half as long from here on."""
        try:
            there = moved(self.model, take(inputs, rows), lambda leaf: points(part))
            found = gradient(self.model, there, targets[rows])[2]
        except Exception as error:
            if not out_of_memory(error) or self.batch_size == 1:
                raise
            self.batch_size, self.halved = (self.batch_size + 1) // 2, self.halved + 1
            return None
        self.count += len(found)
        return found
