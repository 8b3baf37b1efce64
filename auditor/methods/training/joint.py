"""Training several tasks on one trunk at once, and how far their gradients agree on what they share."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from math import isfinite, nan
from typing import Any

import numpy as np
import torch

from auditor.methods.training.look import Examples, Forward, Looks
from auditor.methods.training.objective import Objective
from auditor.methods.training.recipe import Settings
from auditor.methods.training.record import Joint, Run, TaskCurve
from auditor.methods.training.room import Room
from auditor.methods.training.scratch import Scratch
from auditor.methods.training.stream import Stream, stream_of
from auditor.methods.training.train import OnStep, Training

Taken = list[torch.Tensor | None]
"""The gradient of one task's mean loss, tensor by tensor; None where none was taken."""


@dataclass(frozen=True)
class Task:
    """One task: a module whose trunk is that of the others (see share_trunk), and what it is trained and asked on.

    weight: its factor in the sum of the losses. seed: of the order of its data, as if it were trained alone.
    """

    name: str
    module: torch.nn.Module
    forward: Forward
    data: Examples
    validation: Examples
    objective: Objective
    weight: float
    seed: int


def share_trunk(first: torch.nn.Module, other: torch.nn.Module, heads: Sequence[str]) -> None:
    """Give `other` the parameters and buffers of `first`, by name, all but those of the layers called `heads`.

    Raises ValueError where the two differ in more than their heads.
    """
    for path, layer in other.named_modules():
        if any(path == head or path.startswith(f"{head}.") for head in heads):
            continue
        own = first.get_submodule(path)
        for name, held in [*layer.named_parameters(recurse=False), *layer.named_buffers(recurse=False)]:
            shared = getattr(own, name, None)
            if shared is None or shared.shape != held.shape:
                raise ValueError(f"{path}.{name} differs, and is no part of the head")
            setattr(layer, name, shared)


def train_jointly(
    tasks: Sequence[Task],
    settings: Settings,
    seed: int,
    *,
    eval_batch: int = 64,
    frozen: tuple[str, ...] = (),
    scratch: Scratch | None = None,
    on_step: OnStep = lambda step, said: None,
) -> Run:
    """Train all tasks in place: each step takes a batch of each and descends on the weighted sum of their mean losses.

    The record is that of the first task's module, with `joint` beside. Each task's batches come in the order in which
    train() would take them from the task's own seed; what else is random comes from `seed`. Otherwise as train().
    """
    room = Room(min(settings.micro_batch or settings.batch_size, settings.batch_size))
    parts = [_Part(task, settings, eval_batch, room, is_first=place == 0) for place, task in enumerate(tasks)]
    first = parts[0]
    return _Training(
        first.task.module, first.stream, settings, first.looks, seed, frozen, scratch, parts=parts
    ).run(on_step)  # fmt: skip


class _Part:
    """One task in progress."""

    def __init__(self, task: Task, settings: Settings, eval_batch: int, room: Room, *, is_first: bool) -> None:
        self.task = task
        self.stream: Stream = stream_of(task.forward, task.data, task.objective, settings, task.seed, room)
        half = min(settings.batch_size, task.data.rows) // 2 if is_first else 0
        self.looks = Looks(
            task.module, task.forward, task.data, task.validation, task.objective, settings.validation_rows, eval_batch,
            half, torch.Generator().manual_seed(task.seed ^ 0x2545F491), task.seed, room,
        )  # fmt: skip

    def said(self) -> str:
        """The last look in words."""
        return f"{self.task.name}: {self.looks.said()}"


@dataclass
class _Training(Training):
    """A run over several tasks. Of the tasks beyond the first it keeps the losses, what was seen, and nothing else."""

    parts: list[_Part] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        others = [{id(each) for each in part.task.module.parameters()} for part in self.parts[1:]]
        self.shared = [
            place for place, tensor in enumerate(self.everything)
            if tensor.requires_grad and all(id(tensor) in held for held in others) and place < len(self.tensors)
        ]  # fmt: skip
        self.losses: list[list[float]] = []
        self.agreed: list[tuple[int, list[float], list[float]]] = []  # step, cosines of pairs, norms

    def trained_whole(self) -> torch.nn.Module:
        """The modules of all tasks, whose trunk is one."""
        return torch.nn.ModuleList(part.task.module for part in self.parts)

    def look(self, step: int) -> bool:
        """Look at all tasks."""
        return all([part.looks.look(step) for part in self.parts])

    def said(self) -> str:
        """The last look at each task."""
        return "; ".join(part.said() for part in self.parts)

    def halved(self) -> int:
        """How often memory ran out, whichever task it was."""
        return self.looks.room.halved + sum(part.looks.wide.halved for part in self.parts)

    def backward(self, step: int) -> float:
        """Leave the gradient of the weighted sum in the tensors; the first task's loss, NaN if any is not finite."""
        losses, gradients = [], list[Taken]()
        for part in self.parts:
            losses.append(part.stream.backward(self.everything))
            gradients.append([tensor.grad for tensor in self.everything])
        self.losses.append(losses)
        finite = all(map(isfinite, losses))
        if finite and self.shared and self.settings.records(step):
            self.agreed.append((step, *agreement([[taken[place] for place in self.shared] for taken in gradients])))
        weights = [part.task.weight for part in self.parts]
        for place, tensor in enumerate(self.everything):
            tensor.grad = _weighted([taken[place] for taken in gradients], weights)
        return losses[0] if finite else nan

    def state(self) -> dict[str, Any]:
        """Of all tasks."""
        others = [{"stream": part.stream.state(), "looks": part.looks.state()} for part in self.parts[1:]]
        return {**super().state(), "others": others, "losses": self.losses, "agreed": self.agreed}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        super().restore(state)
        for part, held in zip(self.parts[1:], state["others"], strict=True):
            part.stream.restore(held["stream"])
            part.looks.restore(held["looks"])
        self.losses, self.agreed = state["losses"], [tuple(one) for one in state["agreed"]]

    def record(self, diverged: int | None) -> Run:
        """The record of the first task's model, and what all tasks did."""
        losses = np.array(self.losses, dtype=np.float64).reshape(-1, len(self.parts))
        pairs = len(self.parts) * (len(self.parts) - 1) // 2
        joint = Joint(
            tasks=tuple(_curve(part, losses[:, place].copy()) for place, part in enumerate(self.parts)),
            shared=sum(self.everything[place].numel() for place in self.shared),
            steps=np.array([step for step, _, _ in self.agreed], dtype=np.int64),
            cosine=np.array([cosines for _, cosines, _ in self.agreed], dtype=np.float64).reshape(-1, pairs),
            norm=np.array([norms for _, _, norms in self.agreed], dtype=np.float64).reshape(-1, len(self.parts)),
        )
        return replace(super().record(diverged), joint=joint)


def agreement(gradients: Sequence[Taken]) -> tuple[list[float], list[float]]:
    """Of the gradients of several tasks on what they share: the cosines of all pairs, NaN where one is zero or not
    finite, and the norms. Summed in float64.

    >>> cosines, norms = agreement([[torch.tensor([3.0, 4.0])], [torch.tensor([-4.0, 3.0])], [None]])
    >>> cosines, norms
    ([0.0, nan, nan], [5.0, 5.0, 0.0])
    """
    norms = [_dot(taken, taken) ** 0.5 for taken in gradients]
    cosines = []
    for one, other in combinations(range(len(gradients)), 2):
        scale = norms[one] * norms[other]
        is_known = isfinite(scale) and scale > 0
        cosine = _dot(gradients[one], gradients[other]) / scale if is_known else nan
        cosines.append(max(-1.0, min(1.0, cosine)) if is_known else nan)
    return cosines, norms


def _dot(one: Taken, other: Taken) -> float:
    both = [(a, b) for a, b in zip(one, other, strict=True) if a is not None and b is not None]
    return sum(float(torch.dot(a.flatten().double(), b.flatten().double())) for a, b in both)


def _weighted(gradients: Taken, weights: Sequence[float]) -> torch.Tensor | None:
    """The weighted sum of one tensor's gradients; None where no task has one."""
    held = [(taken, weight) for taken, weight in zip(gradients, weights, strict=True) if taken is not None]
    if not held:
        return None
    (total, weight), *rest = held
    total = total if weight == 1 else total * weight
    for taken, factor in rest:
        total = total.add(taken, alpha=factor)
    return total


def _curve(part: _Part, loss: Any) -> TaskCurve:
    seen = part.looks.validation_seen
    return TaskCurve(
        name=part.task.name,
        weight=part.task.weight,
        loss=loss,
        validation_loss=np.array([one.loss for one in seen], dtype=np.float64),
        validation_correct=np.array([one.correct for one in seen if one.correct is not None], dtype=np.int64),
        validation_rows=seen[0].n,
    )
