"""The path of a training run through its kept weights: the losses on it, and how straight it ran."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from auditor.methods.landscape.found import Trodden
from auditor.methods.landscape.scene import Scene, States, borrowed
from auditor.methods.training.path import plane
from auditor.recorder.projection import Projection
from auditor.recorder.watch import unique_parameters


def trodden(
    scene: Scene, fill: Callable[[int], None], steps: Sequence[int], start: States, end: States,
    told: Callable[[], None],
) -> Trodden:  # fmt: skip
    """`fill` gives the module the weights of a step; `start` and `end` are the states of the first and last of them.

    The principal axes are those of the projections of all parameters to 256 numbers, which keep distances to a few
    percent (recorder/projection.py); share is exact.
    """
    own = {name: each for name, each in unique_parameters(scene.module).items() if each.is_floating_point()}
    sketch = Projection({name: each.numel() for name, each in own.items()})
    whole = sum(_dot(end[name] - start[name], end[name] - start[name]) for name in own)
    shares, losses, points = [], [], []
    with borrowed(scene.module):
        for step in steps:
            fill(step)
            moved = {name: each.detach() - start[name] for name, each in own.items()}
            along = sum(_dot(moved[name], end[name] - start[name]) for name in own)
            shares.append(along / whole if whole > 0 else 0.0)
            points.append(sketch.of(moved))
            losses.append(scene.loss())
            told()
    at = np.array(points)
    flat, shown = plane(at) if np.isfinite(at).all() else (np.zeros((0, 2)), 0.0)
    return Trodden(tuple(steps), np.array(shares), np.array(losses), flat, shown)


def _dot(one: Tensor, other: Tensor) -> float:
    return float(torch.sum(one.double() * other.double()))
