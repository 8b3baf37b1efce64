"""Small training loops to record."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

import auditor


def perceptron(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 2))


def adam(model: nn.Module, lr: float = 1e-2) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=lr)


def made(model: nn.Module, optimizer: torch.optim.Optimizer, draw: torch.Generator) -> torch.Tensor:
    """One step on five random columns; its gradients are still there."""
    optimizer.zero_grad()
    loss: torch.Tensor = model(torch.randn(4, 5, generator=draw)).square().mean()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return loss


def recorded(path: Path, steps: int, model: nn.Module | None = None, **options: Any) -> nn.Module:
    """A recorded run of so many steps."""
    net = model or perceptron()
    optimizer, draw = adam(net), torch.Generator().manual_seed(0)
    with auditor.record(net, optimizer, path, **options) as recorder:
        for step in range(steps):
            loss = made(net, optimizer, draw)
            recorder.step(loss, {"half": step / 2} if step % 3 == 0 else None)
    return net
