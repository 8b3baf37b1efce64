"""A stream: the batches of one task in their order, and the gradient of each batch's mean loss."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from auditor.methods.training.epochs import Order
from auditor.methods.training.look import Examples, Forward
from auditor.methods.training.objective import Objective
from auditor.methods.training.recipe import Settings
from auditor.methods.training.room import Room, cut


@dataclass
class Stream:
    """masks: the generator of what the objective draws. room: how many examples are computed at once. reduced: forwards
    in bfloat16."""

    forward: Forward
    data: Examples
    objective: Objective
    order: Order
    masks: torch.Generator
    room: Room
    reduced: bool

    def backward(self, tensors: Sequence[torch.Tensor]) -> float:
        """Draw a batch and leave the gradient of its mean loss, and of nothing else, in the tensors; that loss."""
        inputs, labels = self.objective.prepare(*self.data.batch(self.order.draw()), self.masks)
        return self.room.within(partial(self._gathered, tensors, inputs, labels))

    def state(self) -> dict[str, Any]:
        """Where the draws stand."""
        return {"masks": self.masks.get_state(), "order": self.order.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.masks.set_state(state["masks"])
        self.order.restore(state["order"])

    def _gathered(self, tensors: Sequence[torch.Tensor], inputs: Any, labels: torch.Tensor) -> float:
        """The gradient of the batch, gathered over its parts."""
        for tensor in tensors:
            tensor.grad = None
        whole, total = max(1, self.objective.weight(labels)), 0.0
        for part in self.room.parts(len(labels), self.objective.most(inputs)):
            with torch.autocast(labels.device.type, dtype=torch.bfloat16, enabled=self.reduced):
                outputs = self.forward(cut(inputs, part))
            share = self.objective.weight(labels[part]) / whole
            loss = self.objective.loss(outputs.float(), labels[part]) * share
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            total += float(loss.detach())
        return total


def stream_of(
    forward: Forward, data: Examples, objective: Objective, settings: Settings, seed: int, room: Room
) -> Stream:
    """The stream of a run from `seed`. The order has a generator of its own, so that dropout does not move it."""
    order = Order(data.rows, settings.batch_size, torch.Generator().manual_seed(seed ^ 0x5DEECE66D))
    masks = torch.Generator().manual_seed(seed ^ 0x9E3779B9)
    return Stream(forward, data, objective, order, masks, room, settings.reduced)
