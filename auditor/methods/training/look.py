"""Looking at a model in training from outside: losses in eval mode, and how much its gradient is noise."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import isfinite, nan
from typing import Any, Protocol

import torch

from auditor.methods.training.objective import Objective
from auditor.methods.training.room import Room, cut

Forward = Callable[[Any], torch.Tensor]


class Examples(Protocol):
    """Labelled examples by row number, as tensors on the module's device."""

    @property
    def rows(self) -> int:
        """How many there are."""

    def batch(self, rows: Sequence[int]) -> tuple[Any, torch.Tensor]:
        """Inputs and labels of these rows, in this order."""


@dataclass(frozen=True)
class Evaluated:
    """Mean loss and right answers over n rows in eval mode; correct: None where there are no classes."""

    loss: float
    correct: int | None
    n: int


@torch.no_grad()
def evaluate(
    forward: Forward, examples: Examples, rows: int, batch_size: int, objective: Objective, seed: int, room: Room
) -> Evaluated:
    """Mean loss and right answers on the first `rows` rows; the module must be in eval mode.

    What the objective draws is the same at each call with the same seed.
    """
    count, generator = min(rows, examples.rows), torch.Generator().manual_seed(seed)
    total, scored, correct = 0.0, 0, 0
    has_classes = True
    for start in range(0, count, batch_size):
        chosen = range(start, min(start + batch_size, count))
        inputs, labels = objective.prepare(*examples.batch(chosen), generator)
        loss, weight, right = room.within(partial(_scored, forward, objective, inputs, labels, room))
        total, scored = total + loss, scored + weight
        has_classes, correct = has_classes and right is not None, correct + (right or 0)
    return Evaluated(total / max(1, scored), correct if has_classes else None, count)


def _scored(
    forward: Forward, objective: Objective, inputs: Any, labels: torch.Tensor, room: Room
) -> tuple[float, int, int | None]:
    """Summed loss, what it is summed over, and right answers of a batch."""
    total, scored, correct = 0.0, 0, list[int | None]()
    for part in room.parts(len(labels), objective.most(inputs)):
        outputs, wanted = forward(cut(inputs, part)), labels[part]
        weight = objective.weight(wanted)
        total, scored = total + float(objective.loss(outputs, wanted)) * weight, scored + weight
        correct.append(objective.right(outputs, wanted))
    known = [right for right in correct if right is not None]
    return total, scored, sum(known) if len(known) == len(correct) else None


@dataclass
class Looks:
    """The curves seen in eval mode (batch statistics stay as they are), one entry a look.

    rows: evaluated rows of each data set at most. size: batch size of evaluations. half: rows of each of the two
    halves whose gradients are compared, 0 for none. seed: of what evaluations draw. room: of gradients; evaluations,
    which keep no graph, have their own.
    """

    module: torch.nn.Module
    forward: Forward
    train: Examples
    validation: Examples
    objective: Objective
    rows: int
    size: int
    half: int
    generator: torch.Generator
    seed: int
    room: Room
    steps: list[int] = field(default_factory=list)
    train_seen: list[Evaluated] = field(default_factory=list)
    validation_seen: list[Evaluated] = field(default_factory=list)
    agreement: list[float] = field(default_factory=list)
    disagreement: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.wide = Room(self.size)

    def look(self, step: int) -> bool:
        """Evaluate after `step`; False if a loss is no longer finite."""
        self.module.eval()
        self.steps.append(step)
        for seen, data in ((self.train_seen, self.train), (self.validation_seen, self.validation)):
            seen.append(evaluate(self.forward, data, self.rows, self.size, self.objective, self.seed, self.wide))
        agreement, disagreement = self._halves()
        self.agreement.append(agreement)
        self.disagreement.append(disagreement)
        return isfinite(self.train_seen[-1].loss) and isfinite(self.validation_seen[-1].loss)

    def losses(self) -> list[float]:
        """The validation losses so far."""
        return [seen.loss for seen in self.validation_seen]

    def said(self) -> str:
        """The last look in words."""
        seen = self.validation_seen[-1]
        accuracy = "" if seen.correct is None else f", accuracy {seen.correct / seen.n:.3f}"
        return f"validation {seen.loss:.3g}{accuracy}"

    def state(self) -> dict[str, Any]:
        """All that was seen, and where the draws stand."""
        seen = {name: [(one.loss, one.correct, one.n) for one in getattr(self, name)] for name in _SEEN}
        plain = {name: list(getattr(self, name)) for name in _PLAIN}
        rooms = [(room.size, room.halved) for room in (self.room, self.wide)]
        return {**seen, **plain, "rooms": rooms, "generator": self.generator.get_state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        for name in _SEEN:
            setattr(self, name, [Evaluated(*one) for one in state[name]])
        for name in _PLAIN:
            setattr(self, name, list(state[name]))
        for room, (size, halved) in zip((self.room, self.wide), state["rooms"], strict=True):
            room.size, room.halved = size, halved
        self.generator.set_state(state["generator"])

    def _halves(self) -> tuple[float, float]:
        """g1 . g2 and |g1 - g2|^2 of the mean gradients of two disjoint halves of fresh rows."""
        if self.half == 0:
            return nan, nan
        rows: list[int] = torch.randperm(self.train.rows, generator=self.generator)[: 2 * self.half].tolist()
        first, second = self._gradient(rows[: self.half]), self._gradient(rows[self.half :])
        agreement = sum(float((a * b).sum()) for a, b in zip(first, second, strict=True))
        return agreement, sum(float((a - b).square().sum()) for a, b in zip(first, second, strict=True))

    def _gradient(self, rows: list[int]) -> list[torch.Tensor]:
        inputs, labels = self.objective.prepare(*self.train.batch(rows), self.generator)
        return self.room.within(partial(self._taken, inputs, labels))

    def _taken(self, inputs: Any, labels: torch.Tensor) -> list[torch.Tensor]:
        """The mean gradient of a batch, in parts where memory allows no more."""
        wanted = [parameter for parameter in self.module.parameters() if parameter.requires_grad]
        total = [torch.zeros_like(parameter) for parameter in wanted]
        whole = max(1, self.objective.weight(labels))
        for part in self.room.parts(len(labels), self.objective.most(inputs)):
            loss = self.objective.loss(self.forward(cut(inputs, part)), labels[part])
            share = self.objective.weight(labels[part]) / whole
            found = torch.autograd.grad(loss, wanted, allow_unused=True)
            for place, one in enumerate(found):
                if one is not None:
                    total[place] += share * one
        return total


_SEEN, _PLAIN = ("train_seen", "validation_seen"), ("steps", "agreement", "disagreement")
