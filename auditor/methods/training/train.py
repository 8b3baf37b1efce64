"""Train a module by a recipe and write down everything of the fixed record on the way."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
import torch
from torch.nn.modules.batchnorm import _BatchNorm

from auditor.methods.training.adapters import merged, plain_name
from auditor.methods.training.frozen import still_layers
from auditor.methods.training.gathered import Gathered
from auditor.methods.training.look import Evaluated, Examples, Forward, Looks
from auditor.methods.training.objective import CLASSIFICATION, Objective
from auditor.methods.training.recipe import Settings, learning_rate, optimizer_of
from auditor.methods.training.record import VERSION, Floats, Ints, Run, Weights
from auditor.methods.training.room import Room
from auditor.methods.training.scratch import Scratch
from auditor.methods.training.stream import Stream, stream_of
from auditor.recorder.watch import Watch, unique_parameters

OnStep = Callable[[int, str], None]
"""Told after each step: its number, and how it goes in words."""

_STATE, _KEPT = "state", "kept-{}"


@contextmanager
def own_randomness(seed: int) -> Iterator[None]:
    """Torch's global generators seeded inside (dropout draws from them) and put back as they were after."""
    devices = list(range(torch.cuda.device_count()))
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def train(
    module: torch.nn.Module,
    forward: Forward,
    data: Examples,
    validation: Examples,
    settings: Settings,
    seed: int,
    *,
    eval_batch: int = 64,
    objective: Objective = CLASSIFICATION,
    frozen: tuple[str, ...] = (),
    scratch: Scratch | None = None,
    on_step: OnStep = lambda step, said: None,
) -> Run:
    """Train `module` in place by the recipe and return the record; it is left in eval mode with its last weights.

    forward: the module's outputs of inputs. eval_batch: batch size of evaluations. frozen: the parameters that are left
    alone on purpose, as the record is to name them. All randomness comes from `seed`; torch's global generators are as
    before afterwards. The run stops, and `diverged_at` says where, at the first loss or gradient that is not finite.
    scratch: where the state is written after each record, and read if it is there: the run goes on from it and ends
    with the same numbers, bit for bit, as one that was never killed.
    """
    size = min(settings.batch_size, data.rows)
    noise, room = torch.Generator().manual_seed(seed ^ 0x2545F491), Room(min(settings.micro_batch or size, size))
    looks = Looks(
        module, forward, data, validation, objective, settings.validation_rows, eval_batch, size // 2, noise, seed, room
    )
    stream = stream_of(forward, data, objective, settings, seed, room)
    return Training(module, stream, settings, looks, seed, frozen, scratch).run(on_step)


@dataclass
class Training:
    """One run in progress: what happens at each step, and what is written down of it."""

    module: torch.nn.Module
    stream: Stream
    settings: Settings
    looks: Looks
    seed: int
    frozen: tuple[str, ...]
    scratch: Scratch | None

    def __post_init__(self) -> None:
        self.parameters = {plain_name(name): each for name, each in unique_parameters(self.module).items()}
        self.tensors = list(self.parameters.values())
        self.trained = [tensor.requires_grad for tensor in self.tensors]
        self.whole = self.trained_whole()
        self.everything = list(unique_parameters(self.whole).values())
        self.still = still_layers(self.whole)
        self.optimizer = optimizer_of(self.settings, self.everything)
        self.watch = Watch(self.parameters, self.trained)
        sizes, dims = [tensor.numel() for tensor in self.tensors], [tensor.dim() for tensor in self.tensors]
        self.gathered = Gathered(tuple(self.parameters), sizes, dims, self.trained)
        self.steps: list[tuple[float, float, float]] = []  # loss, learning rate, gradient norm
        self.gradients: list[list[float]] = []
        self.checkpoints: dict[int, dict[str, Weights]] = {}
        self.written: set[int] = set()
        self.stopped: int | None = None

    def trained_whole(self) -> torch.nn.Module:
        """All that is trained: the module, whose tensors come first, and what is trained beside it."""
        return self.module

    def run(self, on_step: OnStep) -> Run:
        """Train with randomness of its own, and give the record."""
        with own_randomness(self.seed):
            diverged = self.loop(on_step)
        self.whole.eval()
        return self.record(diverged)

    def loop(self, on_step: OnStep) -> int | None:
        """All steps, from where a killed run got to; the step at which the run diverged, or None."""
        done = self.resume()
        if done == 0:
            self.look(0)
        for step in range(done + 1, self.settings.steps + 1):
            finite = self.step(step)
            records = finite and self.settings.records(step)
            if records:
                finite = self.mark(step)
            is_last = not finite or step == self.settings.steps or self.stopped is not None
            if is_last or step in self.settings.checkpoint_steps():
                self.keep(step)
            on_step(step, f"loss {self.steps[-1][0]:.3g}, {self.said()}")
            if is_last:
                return None if finite else step
            if records:
                self.save(step)
        return None

    def mark(self, step: int) -> bool:
        """The record after a step; False if a loss is not finite. Notes whether the run stops here."""
        self.gathered.add(step, self.mean_rate(), self.watch.mark())
        finite = self.look(step)
        if finite and step < self.settings.steps and self.settings.is_worn_out(self.looks.losses()):
            self.stopped = step
        return finite

    def look(self, step: int) -> bool:
        """Evaluate after a step; False if a loss is no longer finite."""
        return self.looks.look(step)

    def said(self) -> str:
        """The last look in words."""
        return self.looks.said()

    def step(self, step: int) -> bool:
        """One optimizer step; False, with the weights untouched, when loss or gradient is not finite."""
        lr = learning_rate(self.settings, step)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.whole.train()
        for layer in self.still:
            layer.eval()
        value = self.backward(step)
        norms = self.gradient_norms()
        total = float(norms.square().sum().sqrt())
        self.steps.append((value, lr, total))
        finite = isfinite(total) and isfinite(value)
        if self.settings.records(step) or not finite:
            self.gradients.append(norms[: len(self.tensors)].tolist())
        if finite:
            self.clip(total)
            self.optimizer.step()
        return finite

    def backward(self, step: int) -> float:
        """Leave the gradient of the next batch's mean loss in the tensors; that loss."""
        return self.stream.backward(self.everything)

    def gradient_norms(self) -> torch.Tensor:
        """The gradient norm of each tensor, 0 where none was taken; float64 on the CPU."""
        held = [index for index, tensor in enumerate(self.everything) if tensor.grad is not None]
        norms = torch.zeros(len(self.everything), dtype=torch.float64)
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
        return [tensor.grad for tensor in self.everything if tensor.grad is not None]

    def mean_rate(self) -> float:
        """The mean learning rate since the last mark."""
        return float(np.mean([lr for _, lr, _ in self.steps[self.gathered.steps[-1] :]]))

    def keep(self, step: int) -> None:
        """Copy the weights and buffers, those of adapters merged into the weights."""
        self.checkpoints[step] = {name: value.cpu().numpy().copy() for name, value in merged(self.module).items()}

    def save(self, step: int) -> None:
        """Write down where the run stands after a step with a record; checkpoints once, each beside the state."""
        if self.scratch is None:
            return
        for kept in self.checkpoints.keys() - self.written:
            tensors = {name: torch.from_numpy(value) for name, value in self.checkpoints[kept].items()}
            self.scratch.write(_KEPT.format(kept), tensors)
            self.written.add(kept)
        self.scratch.write(_STATE, {"of": self._of(), "step": step, **self.state()})

    def resume(self) -> int:
        """Take up a state that was written down; the step it follows, 0 without one."""
        found = self.scratch.read(_STATE) if self.scratch else None
        if self.scratch is None or found is None or found["of"] != self._of():
            return 0
        for step in found["kept"]:
            tensors = self.scratch.read(_KEPT.format(step))
            if tensors is None:
                self.checkpoints, self.written = {}, set()
                return 0
            self.checkpoints[step] = {name: value.numpy() for name, value in tensors.items()}
            self.written.add(step)
        self.restore(found)
        return int(found["step"])

    def _of(self) -> list[object]:
        return [VERSION, self.seed, repr(self.settings)]

    def state(self) -> dict[str, Any]:
        """All that the steps to come depend on, and all that is written down so far."""
        return {
            "module": self.whole.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": [torch.get_rng_state(), *torch.cuda.get_rng_state_all()],
            **self.stream.state(),
            "looks": self.looks.state(),
            "gathered": self.gathered.state(),
            "steps": self.steps,
            "gradients": self.gradients,
            "kept": sorted(self.checkpoints),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state; the interval begins anew, as it did when the state was written after a record."""
        self.whole.load_state_dict(state["module"], strict=True)
        self.optimizer.load_state_dict(state["optimizer"])
        processor, *devices = state["random"]
        torch.set_rng_state(processor)
        torch.cuda.set_rng_state_all(devices)
        self.stream.restore(state)
        self.looks.restore(state["looks"])
        self.gathered.restore(state["gathered"])
        self.steps, self.gradients = [tuple(one) for one in state["steps"]], state["gradients"]
        self.watch = Watch(self.parameters, self.trained)

    def halved(self) -> int:
        """How often memory ran out."""
        return self.looks.room.halved + self.looks.wide.halved

    def remarks(self) -> tuple[str, ...]:
        """What a reader must know of how it was computed."""
        size, said = self.looks.room.size, "each step's batch is as large as asked."
        if self.halved():
            return (
                f"Memory ran out: gradients are gathered over parts of {size} examples, {said} Numbers may differ in "
                "the last digits, and batch statistics are those of the parts.",
            )
        if size < self.stream.order.size and any(isinstance(each, _BatchNorm) for each in self.whole.modules()):
            return (f"Gradients are gathered over parts of {size} examples at most, as asked, and so are the batch "
                    f"statistics of normalization layers; {said}",)  # fmt: skip
        return ()

    def record(self, diverged: int | None) -> Run:
        """The fixed record."""
        looks, count = self.looks, len(self.tensors)
        loss, lr, norm = np.array(self.steps, dtype=np.float64).reshape(-1, 3).T.copy()
        kept = {f"{step}:{name}": value for step, found in self.checkpoints.items() for name, value in found.items()}
        return Run(
            version=VERSION,
            seed=self.seed,
            planned_steps=self.settings.steps,
            batch_size=self.stream.order.size,
            diverged_at=diverged,
            loss=loss,
            lr=lr,
            gradient_norm=norm,
            gradient=np.array(self.gradients, dtype=np.float64).reshape(-1, count),
            changes=self.gathered.changes(),
            record_steps=np.array(looks.steps, dtype=np.int64),
            train_loss=_losses(looks.train_seen),
            train_correct=_right(looks.train_seen),
            train_rows=looks.train_seen[0].n,
            validation_loss=_losses(looks.validation_seen),
            validation_correct=_right(looks.validation_seen),
            validation_rows=looks.validation_seen[0].n,
            noise_rows=looks.half,
            agreement=np.array(looks.agreement, dtype=np.float64),
            disagreement=np.array(looks.disagreement, dtype=np.float64),
            checkpoint_steps=tuple(sorted(self.checkpoints)),
            checkpoints=kept,
            remarks=self.remarks(),
            stopped_at=self.stopped,
            frozen=tuple(name for name in self.parameters if name in self.frozen),
        )


def _losses(seen: list[Evaluated]) -> Floats:
    return np.array([one.loss for one in seen], dtype=np.float64)


def _right(seen: list[Evaluated]) -> Ints:
    """The right answers at each look; none at all where there are no classes."""
    return np.array([one.correct for one in seen if one.correct is not None], dtype=np.int64)
