"""Forwards: many perturbed inputs of many examples, in batches that halve when memory runs out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from auditor.methods.attribution.asked import Asked, chosen
from auditor.methods.attribution.removal import Removal


@dataclass
class Forwards:
    """Runs perturbed inputs through a model without gradients; batches hold perturbations of all examples together.

    ValueError for a score that is not finite: it would pass for a place without importance.

    halved: how often the batch size had to be halved so far. count: inputs that were run. exact: stay in float32 also
    for a model that asks for `reduced` precision, as sums that must come out (completeness, additivity) need it.
    """

    model: Asked
    batch_size: int
    halved: int = 0
    count: int = 0
    exact: bool = False

    def scores(self, removal: Removal, targets: Tensor, rows: Tensor, removed: Tensor) -> Tensor:
        """f(example rows[i] without removed[i])[its target], float32 [m]; rows [m], removed bool [m, parts]."""
        return self.over(len(rows), lambda part: removal.without(rows[part], removed[part]), targets[rows])

    def over(self, total: int, inputs: Callable[[slice], Any], targets: Tensor) -> Tensor:
        """Scores [total] of the inputs that `inputs(slice)` makes when they are needed; targets [total]."""
        found: list[Tensor] = []
        start = 0
        while start < total:
            part = slice(start, min(total, start + self.batch_size))
            done = self._attempt(inputs, part, targets)
            if done is not None:
                found.append(done)
                start = part.stop
        return torch.cat(found) if found else torch.empty(0, device=targets.device)

    def _attempt(self, inputs: Callable[[slice], Any], part: slice, targets: Tensor) -> Tensor | None:
        """The scores of one batch; None if memory ran out, and batches are half as long from here on."""
        try:
            with torch.inference_mode(), self._precision(targets.device.type):
                found = chosen(self.model.logits(inputs(part)), targets[part]).float()
        except Exception as error:
            if not out_of_memory(error) or self.batch_size == 1:
                raise
            self.batch_size, self.halved = (self.batch_size + 1) // 2, self.halved + 1
            return None
        if not torch.isfinite(found).all():
            raise ValueError("the model's score is not finite once parts of an input are removed")
        self.count += len(found)
        return found.clone()

    def _precision(self, device: str) -> torch.autocast:
        """bfloat16 where the model asks for it (one made by hand asks for nothing) and no sum must come out."""
        reduced = bool(getattr(self.model, "reduced", False)) and not self.exact
        return torch.autocast(device, dtype=torch.bfloat16, enabled=reduced)


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, on the device or on the processor."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "not enough memory" in str(error)
