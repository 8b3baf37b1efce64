"""The loss of a module whose weights are moved about, its BatchNorm statistics measured anew; left as it was found."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from auditor.methods.curvature.products import Part
from auditor.methods.trust.randomize import reestimate

States = Mapping[str, Tensor]


@dataclass(frozen=True)
class Scene:
    """A module, the batches of its mean loss, and what runs it over the data on which BatchNorm measures; None: it
    keeps the statistics that it holds."""

    module: nn.Module
    parts: Sequence[Part]
    feed: Callable[[], Any] | None

    def own(self) -> float:
        """The mean loss with the statistics that the module holds, in float64 over the parts; it may not be finite."""
        units = sum(part.units for part in self.parts)
        return sum(float(part.loss(part.outputs())) * part.units for part in self.parts) / units

    def loss(self) -> float:
        """The mean loss once BatchNorm has measured the statistics of these weights: cumulative averages over the
        batches of `feed`. Statistics of other weights would be those of another function."""
        if self.feed is not None:
            reestimate(self.module, self.feed)
        return self.own()


def measures(scene: Scene) -> bool:
    """Whether BatchNorm can measure on what `feed` gives: torch refuses a batch of one value a channel."""
    with borrowed(scene.module):
        return scene.feed is not None and reestimate(scene.module, scene.feed)


def has_statistics(module: nn.Module) -> bool:
    """Whether some BatchNorm keeps running statistics."""
    return any(isinstance(part, _BatchNorm) and part.running_mean is not None for part in module.modules())


@contextmanager
def borrowed(module: nn.Module) -> Iterator[None]:
    """Evaluation mode and no gradients; then parameters, buffers and modes are what they were, bit for bit."""
    modes = {part: part.training for part in module.modules()}
    held = [(each, each.detach().clone()) for each in (*module.parameters(), *module.buffers())]
    try:
        module.eval()
        with torch.no_grad():
            yield
    finally:
        with torch.no_grad():
            for each, value in held:
                each.copy_(value)
        for part, mode in modes.items():
            part.training = mode


def state_of(module: nn.Module) -> dict[str, Tensor]:
    """A copy of all parameters and buffers in its state dict."""
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def between(module: nn.Module, start: States, end: States, share: float) -> None:
    """Fill the module with (1 - share) start + share end; whole numbers (counts, positions) are those of the start."""
    with torch.no_grad():
        for name, value in module.state_dict().items():
            first, last = start[name], end[name]
            mixed = value.is_floating_point() and share > 0
            value.copy_((last if share == 1 else torch.lerp(first, last, share)) if mixed else first)


def along(scene: Scene, start: States, end: States, points: int, told: Callable[[], None]) -> list[float]:
    """The losses at `points` equally spaced places of the straight line between two states."""
    losses = []
    with borrowed(scene.module):
        for place in range(points):
            between(scene.module, start, end, place / (points - 1))
            losses.append(scene.loss())
            told()
    return losses
