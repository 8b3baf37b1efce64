"""Train a module by a recipe and write down everything of the fixed record on the way."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from auditor.methods.training.gathered import Gathered
from auditor.methods.training.look import Examples, Forward, Looks, Loss
from auditor.methods.training.recipe import Settings, learning_rate, optimizer_of
from auditor.methods.training.record import VERSION, Run, Weights
from auditor.recorder.watch import Watch, unique_parameters


@contextmanager
def own_randomness(seed: int) -> Iterator[torch.Generator]:
    """Torch's global generators seeded inside (dropout draws from them) and put back as they were after.

    Yields a generator of its own for the order of the data, so that dropout does not move the order.
    """
    devices = list(range(torch.cuda.device_count()))
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield torch.Generator().manual_seed(seed ^ 0x5DEECE66D)


def row_batches(rows: int, batch_size: int, generator: torch.Generator) -> Iterator[list[int]]:
    """Endless full batches of row numbers from a fresh permutation each epoch; the rest of an epoch is left out."""
    size = min(rows, batch_size)
    while True:
        order: list[int] = torch.randperm(rows, generator=generator).tolist()
        for start in range(0, rows - size + 1, size):
            yield order[start : start + size]


def train(
    module: torch.nn.Module,
    forward: Forward,
    data: Examples,
    validation: Examples,
    settings: Settings,
    seed: int,
    *,
    eval_batch: int = 64,
    loss: Loss = cross_entropy,
    on_step: Callable[[int], None] = lambda step: None,
) -> Run:
    """Train `module` in place by the recipe and return the record; it is left in eval mode with its last weights.

    forward: the module's logits of inputs. loss: of logits and labels, the mean over the batch. eval_batch: batch
    size of evaluations. All randomness comes from `seed`; torch's global generators are as before afterwards.
    The run stops, and `diverged_at` says where, at the first loss or gradient that is not finite.
    """
    half = min(settings.batch_size, data.rows) // 2
    noise = torch.Generator().manual_seed(seed ^ 0x2545F491)
    rows = settings.validation_rows
    looks = Looks(module, forward, data, validation, loss, rows, eval_batch, half, noise)
    with own_randomness(seed) as order:
        training = Training(module, forward, data, settings, loss, looks)
        diverged = training.loop(order, on_step)
    module.eval()
    return training.record(seed, diverged)


@dataclass
class Training:
    """One run in progress: what happens at each step, and what is written down of it."""

    module: torch.nn.Module
    forward: Forward
    data: Examples
    settings: Settings
    loss: Loss
    looks: Looks

    def __post_init__(self) -> None:
        parameters = unique_parameters(self.module)
        self.tensors = list(parameters.values())
        trained = [tensor.requires_grad for tensor in self.tensors]
        sizes, dims = [tensor.numel() for tensor in self.tensors], [tensor.dim() for tensor in self.tensors]
        self.watch = Watch(parameters, trained)
        self.gathered = Gathered(tuple(parameters), sizes, dims, trained)
        self.steps: list[tuple[float, float, float]] = []  # loss, learning rate, gradient norm
        self.gradients: list[list[float]] = []
        self.checkpoints: dict[int, dict[str, Weights]] = {}

    def loop(self, order: torch.Generator, on_step: Callable[[int], None]) -> int | None:
        """All steps; the step at which the run diverged, or None."""
        optimizer = optimizer_of(self.settings, self.tensors)
        batches = row_batches(self.data.rows, self.settings.batch_size, order)
        kept = self.settings.checkpoint_steps()
        self.looks.look(0)
        for step in range(1, self.settings.steps + 1):
            finite = self.step(optimizer, next(batches), step)
            if finite and self.settings.records(step):
                self.gathered.add(step, self.mean_rate(), self.watch.mark())
                finite = self.looks.look(step)
            if not finite or step in kept:
                self.keep(step)
            on_step(step)
            if not finite:
                return step
        return None

    def step(self, optimizer: torch.optim.Optimizer, rows: list[int], step: int) -> bool:
        """One optimizer step; False, with the weights untouched, when loss or gradient is not finite."""
        lr = learning_rate(self.settings, step)
        for group in optimizer.param_groups:
            group["lr"] = lr
        self.module.train()
        inputs, labels = self.data.batch(rows)
        loss = self.loss(self.forward(inputs), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        norms = self.gradient_norms()
        total, value = float(norms.square().sum().sqrt()), float(loss.detach())
        self.steps.append((value, lr, total))
        finite = isfinite(total) and isfinite(value)
        if self.settings.records(step) or not finite:
            self.gradients.append(norms.tolist())
        if finite:
            self.clip(total)
            optimizer.step()
        return finite

    def gradient_norms(self) -> torch.Tensor:
        """The gradient norm of each tensor, 0 where none was taken; float64 on the CPU."""
        held = [index for index, tensor in enumerate(self.tensors) if tensor.grad is not None]
        norms = torch.zeros(len(self.tensors), dtype=torch.float64)
        if held:
            taken = torch._foreach_norm(self._taken(), 2)
            norms[held] = torch.stack(tuple(taken)).cpu().double()
        return norms

    def clip(self, total: float) -> None:
        """Scale the gradients down to the recipe's largest norm."""
        clip = self.settings.clip
        if clip is not None and total > clip:
            torch._foreach_mul_(self._taken(), clip / total)

    def _taken(self) -> list[torch.Tensor]:
        return [tensor.grad for tensor in self.tensors if tensor.grad is not None]

    def mean_rate(self) -> float:
        """The mean learning rate since the last mark."""
        return float(np.mean([lr for _, lr, _ in self.steps[self.gathered.steps[-1] :]]))

    def keep(self, step: int) -> None:
        """Copy the weights and buffers."""
        state = self.module.state_dict()
        self.checkpoints[step] = {name: value.detach().cpu().numpy().copy() for name, value in state.items()}

    def record(self, seed: int, diverged: int | None) -> Run:
        """The fixed record."""
        looks, count = self.looks, len(self.tensors)
        loss, lr, norm = np.array(self.steps, dtype=np.float64).reshape(-1, 3).T.copy()
        kept = {f"{step}:{name}": value for step, found in self.checkpoints.items() for name, value in found.items()}
        return Run(
            version=VERSION,
            seed=seed,
            planned_steps=self.settings.steps,
            batch_size=min(self.settings.batch_size, self.data.rows),
            diverged_at=diverged,
            loss=loss,
            lr=lr,
            gradient_norm=norm,
            gradient=np.array(self.gradients, dtype=np.float64).reshape(-1, count),
            changes=self.gathered.changes(),
            record_steps=np.array(looks.steps, dtype=np.int64),
            train_loss=np.array([seen.loss for seen in looks.train_seen], dtype=np.float64),
            train_rows=looks.train_seen[0].n,
            validation_loss=np.array([seen.loss for seen in looks.validation_seen], dtype=np.float64),
            validation_correct=np.array([seen.correct for seen in looks.validation_seen], dtype=np.int64),
            validation_rows=looks.validation_seen[0].n,
            noise_rows=looks.half,
            agreement=np.array(looks.agreement, dtype=np.float64),
            disagreement=np.array(looks.disagreement, dtype=np.float64),
            checkpoint_steps=tuple(sorted(self.checkpoints)),
            checkpoints=kept,
        )
