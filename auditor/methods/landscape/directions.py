"""Filter-normalized random directions: each filter's part has the norm of that filter."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from auditor.methods.curvature.weights import Weights, weights_of
from auditor.methods.landscape.found import Around
from auditor.methods.landscape.scene import Scene, borrowed


def filter_axes(module: nn.Module) -> dict[nn.Parameter, int]:
    """The axis of the output units of each weight: the first, but the second of a transposed convolution and of GPT-2's
    Conv1D, which is a Linear with its weights turned."""
    found = {}
    for part in module.modules():
        turned = isinstance(part, nn.modules.conv._ConvTransposeNd) or type(part).__name__ == "Conv1D"
        for parameter in part.parameters(recurse=False):
            found[parameter] = 1 if turned and parameter.ndim > 1 else 0
    return found


def direction(weights: Weights, axes: Sequence[int], generator: torch.Generator) -> list[Tensor]:
    """d = g |w_f| / |g_f| for each filter f, g normal: Li et al., Visualizing the loss landscape of neural nets,
    NeurIPS 2018. Parameters of one dimension (biases, norms) get zeros, and filters of zeros too."""
    found = []
    for tied, axis in zip(weights.tensors, axes, strict=True):
        weight = tied[0].detach()
        drawn = torch.randn(weight.shape, generator=generator).to(weight)
        others = tuple(at for at in range(weight.ndim) if at != axis)
        if not others:
            found.append(torch.zeros_like(weight))
            continue
        own, norms = (torch.linalg.vector_norm(each, dim=others, keepdim=True) for each in (weight, drawn))
        found.append(drawn * (own / torch.where(norms > 0, norms, 1)))
    return found


@dataclass(frozen=True)
class Asked:
    """What is asked of the surroundings. count: directions; radius: of the rises; grid: points of each side of the
    surface, 0 for none; reach: its half side."""

    count: int
    radius: float
    grid: int
    reach: float

    @property
    def points(self) -> int:
        """How many losses that takes."""
        return 2 + 2 * self.count + self.grid**2


class Mover:
    """Moves weights away from where they were, along directions that are drawn anew from a seed when they are used."""

    def __init__(self, module: nn.Module, layers: Sequence[str], seed: int) -> None:
        self.weights = weights_of(module, layers)
        axes = filter_axes(module)
        self._axes = [axes[tied[0]] for tied in self.weights.tensors]
        self._base = [tied[0].detach().clone() for tied in self.weights.tensors]
        self._seed = seed

    def direction(self, number: int) -> list[Tensor]:
        """The direction of that number; the same whenever it is asked for while the weights are where they were."""
        self.to([])
        drawn = torch.Generator().manual_seed((self._seed + number) % 2**63)
        return direction(self.weights, self._axes, drawn)

    def to(self, way: Sequence[tuple[float, list[Tensor]]]) -> None:
        """Where they were, plus each direction times its factor."""
        for place, (tied, base) in enumerate(zip(self.weights.tensors, self._base, strict=True)):
            weight = tied[0].detach()  # the same storage, without a gradient
            weight.copy_(base)
            for factor, each in way:
                weight.add_(each[place], alpha=factor)


def around(scene: Scene, layers: Sequence[str], asked: Asked, seed: int, told: Callable[[], None]) -> Around:
    """Rises and surface around a module, which is left as it was found.

    A rise is (L(w + r d) + L(w - r d)) / 2 - L(w): both signs are equally likely, and the slope cancels. Of a quadratic
    loss it is r^2 d'Hd / 2. Where the loss is not finite at the model itself, no rise is either, and nothing is moved.
    """
    with borrowed(scene.module):
        own, centre = scene.own(), scene.loss()
        if not np.isfinite(centre):
            return Around(own, centre, np.full(asked.count, np.nan), np.zeros(0), np.zeros((0, 0)))
        mover = Mover(scene.module, layers, seed)

        def loss(*way: tuple[float, list[Tensor]]) -> float:
            mover.to(way)
            found = scene.loss()
            told()
            return found

        rises = []
        for number in range(asked.count):
            each = mover.direction(number)
            if any(bool((part != 0).any()) for part in each):
                up, down = loss((asked.radius, each)), loss((-asked.radius, each))
                rises.append((up + down) / 2 - centre)
        at = np.linspace(-asked.reach, asked.reach, asked.grid) if asked.grid > 1 else np.zeros(asked.grid)
        surface = np.zeros((0, 0))
        if rises and asked.grid:
            one, two = mover.direction(0), mover.direction(1)
            surface = np.array([[loss((x, one), (y, two)) for x in at] for y in at])
    return Around(own, centre, np.array(rises, dtype=np.float64), at, surface)
