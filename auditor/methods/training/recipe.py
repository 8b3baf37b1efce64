"""The optimizer of a recipe and its learning rate at every step."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import cos, pi
from typing import Literal

import torch


@dataclass(frozen=True)
class Settings:
    """How to train: `steps` optimizer steps of `batch_size` examples; a record each `record_every` steps.

    warmup: steps of linear warm-up. clip: largest gradient norm, None for no clipping.
    keep: checkpoints kept, evenly spaced, the last among them. validation_rows: rows of each evaluation at most.
    micro_batch: examples whose gradient is taken at once, None for the whole batch; the gradients add up to that of
    the batch. patience, min_delta: stop after `patience` records whose validation losses are none more than min_delta
    below the lowest before them; None never stops. reduced: forwards of training steps in bfloat16 (weights, gradients
    and everything recorded by looking stay in float32).
    """

    optimizer: Literal["sgd", "adam", "adamw"] = "adamw"
    lr: float = 1e-3
    weight_decay: float = 0.0
    momentum: float = 0.0
    schedule: Literal["constant", "cosine", "linear"] = "constant"
    warmup: int = 0
    clip: float | None = None
    steps: int = 200
    batch_size: int = 32
    record_every: int = 5
    keep: int = 8
    validation_rows: int = 512
    micro_batch: int | None = None
    patience: int | None = None
    min_delta: float = 0.0
    reduced: bool = False

    def checkpoint_steps(self) -> frozenset[int]:
        """The steps whose weights are kept: `keep` evenly spaced ones, the last step always.

        >>> sorted(Settings(steps=100, keep=4).checkpoint_steps())
        [25, 50, 75, 100]
        """
        return frozenset(max(1, round(self.steps * part / self.keep)) for part in range(1, self.keep + 1))

    def records(self, step: int) -> bool:
        """Whether a record follows this step (the last step always has one)."""
        return step % self.record_every == 0 or step == self.steps

    def is_worn_out(self, losses: Sequence[float]) -> bool:
        """Whether the validation losses so far, the first before step 1, stop the run.

        >>> Settings(patience=2, min_delta=0.1).is_worn_out([2.0, 1.0, 0.95, 0.91])
        True
        >>> Settings(patience=2, min_delta=0.1).is_worn_out([2.0, 1.0, 0.95, 0.85])
        False
        """
        if self.patience is None or len(losses) <= self.patience:
            return False
        return min(losses[-self.patience :]) >= min(losses[: -self.patience]) - self.min_delta


def learning_rate(settings: Settings, step: int) -> float:
    """The learning rate of step 1, 2, ... `steps`.

    Warm-up: lr * step / (warmup + 1). After it constant, or half a cosine or a line that would reach 0 one step after
    the last: lr * (1 + cos(pi * t)) / 2, or lr * (1 - t), with t = (step - 1 - warmup) / (steps - warmup).

    >>> [round(learning_rate(Settings(lr=1.0, steps=4, schedule="cosine"), step), 3) for step in (1, 2, 3, 4)]
    [1.0, 0.854, 0.5, 0.146]
    >>> [round(learning_rate(Settings(lr=1.0, steps=4, schedule="linear"), step), 3) for step in (1, 2, 3, 4)]
    [1.0, 0.75, 0.5, 0.25]
    """
    if step <= settings.warmup:
        return settings.lr * step / (settings.warmup + 1)
    if settings.schedule == "constant":
        return settings.lr
    done = (step - 1 - settings.warmup) / max(1, settings.steps - settings.warmup)
    return settings.lr * ((1 + cos(pi * done)) / 2 if settings.schedule == "cosine" else 1 - done)


def optimizer_of(settings: Settings, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """The optimizer; Adam's weight decay is the L2 penalty, AdamW's is decoupled (Loshchilov & Hutter 2019).

    foreach, which is not the default on a CPU: fewer calls for models of many small tensors.
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    lr, decay = settings.lr, settings.weight_decay
    if settings.optimizer == "sgd":
        return torch.optim.SGD(trained, lr=lr, momentum=settings.momentum, weight_decay=decay, foreach=True)
    family = torch.optim.Adam if settings.optimizer == "adam" else torch.optim.AdamW
    return family(trained, lr=lr, weight_decay=decay, foreach=True)
