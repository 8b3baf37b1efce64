"""One stage of a history asked on data: mean loss, right answers, and the gradient of the mean loss."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from auditor.methods.training.look import Forward
from auditor.recorder.watch import unique_parameters

LossSum = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Seen:
    """Over n rows in eval mode: the mean loss, the share of right answers (None for a regression), and the norm of the
    mean loss's gradient for each parameter, tied ones once; 0 for what the loss does not reach."""

    loss: float
    accuracy: float | None
    gradient: dict[str, float]


def seen(module: nn.Module, forward: Forward, batches: Iterable[tuple[Any, Tensor]], task: str) -> Seen:
    """Ask a module in eval mode; its own gradients and requires_grad stay as they are. ValueError without rows."""
    parameters = {name: each for name, each in unique_parameters(module).items() if each.is_floating_point()}
    asked = {name: each.requires_grad for name, each in parameters.items()}
    total, right, rows = 0.0, 0, 0
    sums = [torch.zeros_like(each) for each in parameters.values()]
    try:
        for each in parameters.values():
            each.requires_grad_(True)
        for inputs, labels in batches:
            logits = forward(inputs)
            loss = summed_loss(logits, labels, task)
            found = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
            for sum_, gradient in zip(sums, found, strict=True):
                if gradient is not None:
                    sum_.add_(gradient)
            total, rows = total + float(loss.detach()), rows + len(labels)
            right += int((logits.argmax(1) == labels).sum()) if task == "classification" else 0
    finally:
        for name, each in parameters.items():
            each.requires_grad_(asked[name])
    if not rows:
        raise ValueError("there are no rows to ask")
    norms = {name: float(sum_.norm()) / rows for name, sum_ in zip(parameters, sums, strict=True)}
    return Seen(total / rows, right / rows if task == "classification" else None, norms)


def summed_loss(logits: Tensor, labels: Tensor, task: str) -> Tensor:
    """The sum over the batch: cross-entropy in nats, or squared error."""
    if task == "classification":
        return nn.functional.cross_entropy(logits, labels, reduction="sum")
    return nn.functional.mse_loss(logits.reshape(len(labels), -1)[:, 0], labels, reduction="sum")
