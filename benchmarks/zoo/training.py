"""Training: seeded, on one thread, a second or two."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

Inputs = Tensor | Mapping[str, Tensor]


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """A corner of torch's random numbers for this seed; outside nothing changes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
    torch.set_num_threads(threads)


def logits(model: nn.Module, inputs: Any) -> Tensor:
    """The logits of a transformers model or a plain module."""
    found = model(**inputs) if isinstance(inputs, Mapping) else model(inputs)
    answer: Tensor = getattr(found, "logits", found)
    return answer


def take(inputs: Any, rows: Any) -> Any:
    """Some rows of the inputs."""
    if isinstance(inputs, Mapping):
        return {name: value[rows] for name, value in inputs.items()}
    return inputs[rows]


def fit(model: nn.Module, inputs: Any, labels: Tensor, seed: int, *, steps: int = 200, lr: float = 3e-3,
        batch: int = 32, decay: float = 0.0, after: Callable[[], None] = lambda: None) -> None:  # fmt: skip
    """AdamW on what requires a gradient, its rate falling as a cosine. after: called after each step."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=lr, weight_decay=decay)
    model.train()
    order = torch.randperm(len(labels), generator=generator)
    for step in range(steps):
        if len(order) < batch:
            order = torch.randperm(len(labels), generator=generator)
        rows, order = order[:batch], order[batch:]
        for group in optimizer.param_groups:
            group["lr"] = lr * (1 + math.cos(math.pi * step / steps)) / 2
        optimizer.zero_grad()
        cross_entropy(logits(model, take(inputs, rows)), labels[rows]).backward()
        optimizer.step()
        after()
    model.eval()


def answers(model: nn.Module, inputs: Any) -> Tensor:
    """The logits in eval mode, without gradient."""
    model.eval()
    with torch.inference_mode():
        return logits(model, inputs).clone()


def accuracy(model: nn.Module, inputs: Any, labels: Tensor) -> float:
    """The share of right answers."""
    return float((answers(model, inputs).argmax(1) == labels).float().mean())


def confidence(model: nn.Module, inputs: Any) -> float:
    """The mean probability of the predicted class."""
    return float(answers(model, inputs).softmax(1).amax(1).mean())
