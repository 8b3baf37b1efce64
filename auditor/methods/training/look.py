"""Looking at a model in training from outside: losses in eval mode, and how much its gradient is noise."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import isfinite, nan
from typing import Any, Protocol

import torch

Forward = Callable[[Any], torch.Tensor]
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Examples(Protocol):
    """Labelled examples by row number, as tensors on the module's device."""

    @property
    def rows(self) -> int:
        """How many there are."""

    def batch(self, rows: Sequence[int]) -> tuple[Any, torch.Tensor]:
        """Inputs and labels of these rows, in this order."""


@dataclass(frozen=True)
class Evaluated:
    """Mean loss and right answers over n rows in eval mode."""

    loss: float
    correct: int
    n: int


@torch.no_grad()
def evaluate(forward: Forward, examples: Examples, rows: int, batch_size: int, loss: Loss) -> Evaluated:
    """Mean loss and right answers on the first `rows` rows; the module must be in eval mode."""
    count, total, correct = min(rows, examples.rows), 0.0, 0
    for start in range(0, count, batch_size):
        chosen = range(start, min(start + batch_size, count))
        inputs, labels = examples.batch(chosen)
        logits = forward(inputs)
        total += float(loss(logits, labels)) * len(chosen)
        if logits.dim() == 2 and not labels.is_floating_point():
            correct += int((logits.argmax(1) == labels).sum())
    return Evaluated(total / count, correct, count)


@dataclass
class Looks:
    """The curves seen in eval mode (batch statistics stay as they are), one entry a look.

    rows: evaluated rows of each data set at most. size: batch size of evaluations. half: rows of each of the two
    halves whose gradients are compared, 0 for none.
    """

    module: torch.nn.Module
    forward: Forward
    train: Examples
    validation: Examples
    loss: Loss
    rows: int
    size: int
    half: int
    generator: torch.Generator
    steps: list[int] = field(default_factory=list)
    train_seen: list[Evaluated] = field(default_factory=list)
    validation_seen: list[Evaluated] = field(default_factory=list)
    agreement: list[float] = field(default_factory=list)
    disagreement: list[float] = field(default_factory=list)

    def look(self, step: int) -> bool:
        """Evaluate after `step`; False if a loss is no longer finite."""
        self.module.eval()
        self.steps.append(step)
        for seen, examples in ((self.train_seen, self.train), (self.validation_seen, self.validation)):
            seen.append(evaluate(self.forward, examples, self.rows, self.size, self.loss))
        agreement, disagreement = self._halves()
        self.agreement.append(agreement)
        self.disagreement.append(disagreement)
        return isfinite(self.train_seen[-1].loss) and isfinite(self.validation_seen[-1].loss)

    def _halves(self) -> tuple[float, float]:
        """g1 . g2 and |g1 - g2|^2 of the mean gradients of two disjoint halves of fresh rows."""
        if self.half == 0:
            return nan, nan
        rows: list[int] = torch.randperm(self.train.rows, generator=self.generator)[: 2 * self.half].tolist()
        first, second = self._gradient(rows[: self.half]), self._gradient(rows[self.half :])
        agreement = sum(float((a * b).sum()) for a, b in zip(first, second, strict=True))
        return agreement, sum(float((a - b).square().sum()) for a, b in zip(first, second, strict=True))

    def _gradient(self, rows: list[int]) -> list[torch.Tensor]:
        wanted = [parameter for parameter in self.module.parameters() if parameter.requires_grad]
        inputs, labels = self.train.batch(rows)
        found = torch.autograd.grad(self.loss(self.forward(inputs), labels), wanted, allow_unused=True)
        return [torch.zeros_like(p) if one is None else one for p, one in zip(wanted, found, strict=True)]
