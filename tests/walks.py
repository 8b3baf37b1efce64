"""Made-up and real paths of weights, as a history would record them: walks, lines, circles, small trainings, edits."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from auditor.methods.training.gathered import Gathered
from auditor.methods.training.record import Changes
from auditor.recorder.watch import Watch

State = dict[str, torch.Tensor]


def changes_of(states: Sequence[State], steps: Sequence[int] | None = None) -> Changes:
    """What a history of these states records."""
    held = {name: tensor.clone() for name, tensor in states[0].items()}
    at = list(steps or range(0, 10 * len(states), 10))
    watch = Watch(held)
    sizes, dims = [tensor.numel() for tensor in held.values()], [tensor.dim() for tensor in held.values()]
    gathered = Gathered(tuple(held), sizes, dims, [True] * len(held), start=at[0])
    for step, state in zip(at[1:], states[1:], strict=True):
        for name, tensor in held.items():
            tensor.copy_(state[name])
        gathered.add(step, np.nan, watch.mark())
    return gathered.changes()


def walk(records: int, size: int = 100_000, seed: int = 0, per: int = 1) -> list[State]:
    """A random walk of `size` numbers in two tensors, `per` steps between records."""
    draw = torch.Generator().manual_seed(seed)
    at = torch.randn(size, generator=draw)
    found = [at.clone()]
    for _ in range(records):
        at = at + torch.randn(size, generator=draw) * 0.01 * per**0.5
        found.append(at.clone())
    return [{"a": each[: size // 2].view(100, -1), "b": each[size // 2 :].view(100, -1)} for each in found]


def line(records: int, size: int = 2_000) -> list[State]:
    """Even steps in one direction."""
    start, way = torch.randn(2, size, generator=torch.Generator().manual_seed(1))
    return [{"a": (start + way * step / records).view(10, -1)} for step in range(records + 1)]


def circle(records: int, size: int = 2_000) -> list[State]:
    """Once around."""
    one, other = torch.randn(2, size, generator=torch.Generator().manual_seed(2))
    angles = torch.linspace(0, 2 * torch.pi, records + 1)
    return [{"a": (one * angle.cos() + other * angle.sin()).view(10, -1)} for angle in angles]


def trained(
    seed: int,
    optimizer: str = "adamw",
    lr: float = 2e-3,
    schedule: Callable[[float], float] = lambda done: 1.0,
    steps: int = 160,
    keep: int = 16,
    resume: float | None = None,
) -> list[State]:
    """The parameters of a small network at keep + 1 even steps of a training on digits. schedule: the factor of the
    learning rate, of the share done. resume: where the optimizer begins anew, without its state."""
    inputs, labels = _digits()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        sizes = (64, 48, 48, 48)
        hidden = [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), nn.ReLU())]
        net = nn.Sequential(*hidden, nn.Linear(48, 10))
        rule = _rule(net, optimizer, lr)
        found = [_held(net)]
        for step in range(steps):
            if resume is not None and step == int(resume * steps):
                rule = _rule(net, optimizer, lr)
            for group in rule.param_groups:
                group["lr"] = lr * schedule(step / steps)
            rows = torch.randint(len(inputs), (32,))
            rule.zero_grad()
            nn.functional.cross_entropy(net(inputs[rows]), labels[rows]).backward()
            rule.step()
            if (step + 1) % (steps // keep) == 0:
                found.append(_held(net))
    return found


def cosine(done: float) -> float:
    """Half a cosine to zero."""
    return float(1 + np.cos(np.pi * done)) / 2


def restarts(done: float) -> float:
    """Three cosines."""
    return cosine(3 * done % 1)


def _digits() -> tuple[torch.Tensor, torch.Tensor]:
    from sklearn.datasets import load_digits

    found = load_digits()
    return torch.tensor(found.data / 16, dtype=torch.float32), torch.tensor(found.target)


def _rule(net: nn.Module, optimizer: str, lr: float) -> torch.optim.Optimizer:
    if optimizer == "adamw":
        return torch.optim.AdamW(net.parameters(), lr=lr)
    return torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9 if optimizer == "momentum" else 0.0)


def _held(net: nn.Module) -> State:
    return {name: parameter.detach().clone() for name, parameter in net.named_parameters()}


def edited(
    states: Sequence[State], name: str, after: int, change: Callable[[torch.Tensor], torch.Tensor]
) -> list[State]:
    """The history of a run whose tensor was edited by hand after record `after`, before the next one: all later
    records carry the edit."""
    delta = change(states[after][name]) - states[after][name]
    return [state if at <= after else {**state, name: state[name] + delta} for at, state in enumerate(states)]


def swapped(states: Sequence[State], one: int, other: int) -> list[State]:
    """Two records exchanged."""
    found = list(states)
    found[one], found[other] = found[other], found[one]
    return found
