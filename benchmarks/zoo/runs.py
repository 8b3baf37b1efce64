"""Recorded training: healthy recipes drawn from a seed, a run that leaves checkpoints, and what may happen to it."""

import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.zoo.training import logits, take

Rates = Mapping[str, tuple[float, float]]
"""The healthy learning rates of an optimizer: from, to."""

SCHEDULES = ("constant", "cosine", "warm-up", "step")


@dataclass(frozen=True)
class Recipe:
    """How one model is trained: `checkpoints` intervals of `every` steps; step 0 is kept too.

    resumed: at this checkpoint the run went on without the optimizer's state (None: never). times: by tensor name, how
    many times the learning rate.
    """

    optimizer: str
    schedule: str
    lr: float
    decay: float
    batch: int
    every: int
    checkpoints: int
    resumed: int | None = None
    times: Mapping[str, float] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """All of them."""
        return self.every * self.checkpoints

    def rate(self, step: int) -> float:
        """The learning rate of a step, from 0."""
        done = step / self.steps
        match self.schedule:
            case "cosine":
                return self.lr * (1 + math.cos(math.pi * done)) / 2
            case "warm-up":
                return self.lr * min(1.0, (step + 1) / (0.1 * self.steps)) * (1 - 0.9 * done)
            case "step":
                return self.lr * (1.0 if done < 0.6 else 0.1)
        return self.lr


def recipe(rng: np.random.Generator, rates: Rates) -> Recipe:
    """A healthy recipe: 100 to 240 steps in 10 to 30 intervals; one run of six was resumed without its optimizer."""
    optimizer = str(rng.choice(sorted(rates)))
    low, high = rates[optimizer]
    checkpoints = int(rng.integers(10, 31))
    return Recipe(
        optimizer, str(rng.choice(SCHEDULES)), float(np.exp(rng.uniform(np.log(low), np.log(high)))),
        float(rng.choice([0.0, 0.01, 0.1] if optimizer == "adamw" else [0.0, 1e-4])), int(rng.choice([16, 32, 64])),
        max(4, round(rng.uniform(100, 240) / checkpoints)), checkpoints,
        int(rng.integers(3, checkpoints - 2)) if rng.random() < 1 / 6 else None,
    )  # fmt: skip


def gentler(given: Recipe, share: float) -> Recipe:
    """The same at a share of the learning rate, as a fine-tune is made."""
    return replace(given, lr=given.lr * share)


def optimizer_of(model: nn.Module, given: Recipe) -> Any:
    """The optimizer, a group for each factor of the learning rate."""
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups.setdefault(given.times.get(name, 1.0), []).append(parameter)
    listed = [{"params": members, "lr": given.lr * factor, "factor": factor} for factor, members in groups.items()]
    match given.optimizer:
        case "sgd":
            return torch.optim.SGD(listed, lr=given.lr, momentum=0.9, weight_decay=given.decay)
        case "adam":
            return torch.optim.Adam(listed, lr=given.lr, weight_decay=given.decay)
    return torch.optim.AdamW(listed, lr=given.lr, weight_decay=given.decay)


def train(
    model: nn.Module, inputs: Any, labels: Tensor, seed: int, given: Recipe, folder: Path | None = None,
    after: Callable[[int], None] = lambda step: None,
) -> float:  # fmt: skip
    """Trains a classifier; the last loss."""

    def loss_of(rows: Tensor) -> Tensor:
        return cross_entropy(logits(model, take(inputs, rows)), labels[rows])

    return follow(model, loss_of, len(labels), seed, given, folder, after)


def follow(
    model: nn.Module, loss_of: Callable[[Tensor], Tensor], count: int, seed: int, given: Recipe,
    folder: Path | None = None, after: Callable[[int], None] = lambda step: None,
) -> float:  # fmt: skip
    """Trains on `count` rows, leaves `step-0000.safetensors ...` in the folder; the last loss. after: called after
    each step."""
    generator = torch.Generator().manual_seed(seed)
    optimizer, order, loss = optimizer_of(model, given), torch.zeros(0, dtype=torch.long), torch.zeros(())
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)  # of a run that did not learn
    keep(model, folder, 0)
    model.train()
    for step in range(given.steps):
        if given.resumed is not None and step == given.resumed * given.every:
            optimizer = optimizer_of(model, given)
        if len(order) < given.batch:
            order = torch.randperm(count, generator=generator)
        rows, order = order[: given.batch], order[given.batch :]
        for group in optimizer.param_groups:
            group["lr"] = given.rate(step) * group["factor"]
        optimizer.zero_grad()
        loss = loss_of(rows)
        loss.backward()
        optimizer.step()
        after(step + 1)
        if (step + 1) % given.every == 0:
            keep(model, folder, step + 1)
    model.eval()
    return float(loss.detach())


def named(folder: Path, step: int) -> Path:
    """The checkpoint of a step."""
    return folder / f"step-{step:04d}.safetensors"


def keep(model: nn.Module, folder: Path | None, step: int) -> None:
    """The state dict of a step, tied tensors once."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        once = {value.data_ptr(): name for name, value in reversed(model.state_dict().items())}
        save_file({name: value.contiguous() for name, value in model.state_dict().items()
                   if once[value.data_ptr()] == name}, named(folder, step))  # fmt: skip
