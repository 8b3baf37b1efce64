"""Randomize: a network whose parameters are replaced by random ones, layer by layer from the output."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@dataclass(frozen=True)
class Layer:
    """A layer with weights: its dotted name, and its parameters with those of the norms that follow it."""

    name: str
    parameters: tuple[nn.Parameter, ...]


def layers_in_order(module: nn.Module, forward: Callable[[], Any]) -> tuple[Layer, ...]:
    """The layers of a module in the order in which `forward()` first enters them, from the input to the output.

    A layer is a module with a parameter of two or more dimensions; parameters of norms and biases belong to the layer
    entered before them, those of parts that are never entered (a fused projection) to what holds them. A parameter
    that several modules share counts once, where it is entered first.
    """
    entered = _entered(module, forward)
    owned: dict[str, list[nn.Parameter]] = {name: [] for name in entered}
    seen: set[int] = set()
    for name in (*entered, *(name for name, _ in module.named_modules() if name not in owned)):
        for parameter in module.get_submodule(name).parameters(recurse=False):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                owned[_holder(name, owned)].append(parameter)
    found: list[tuple[str, list[nn.Parameter]]] = []
    early: list[nn.Parameter] = []
    for name in entered:
        if any(parameter.ndim > 1 for parameter in owned[name]):
            found.append((name, [*early, *owned[name]]))
            early = []
        else:
            (found[-1][1] if found else early).extend(owned[name])
    return tuple(Layer(name, tuple(parameters)) for name, parameters in found)


def _entered(module: nn.Module, forward: Callable[[], Any]) -> tuple[str, ...]:
    names: dict[str, None] = {}
    handles = [
        part.register_forward_pre_hook(lambda part, args, name=name: names.setdefault(name))
        for name, part in module.named_modules()
    ]
    try:
        with torch.no_grad():
            forward()
    finally:
        for handle in handles:
            handle.remove()
    return tuple(names)


def _holder(name: str, owned: dict[str, Any]) -> str:
    """The nearest module around `name` that was entered; the whole one at last."""
    while name and name not in owned:
        name = name.rpartition(".")[0]
    return name


@torch.no_grad()
def randomize(layers: Sequence[Layer], generator: torch.Generator) -> None:
    """Replace the parameters of some layers in place.

    Weights (two dimensions or more) are drawn from a normal distribution of mean 0 and the tensor's own standard
    deviation (its root mean square where all its values are equal); biases and norms have their own values shuffled. So
    signals keep their size, and nothing that was learned is left in place. Adebayo et al., "Sanity checks for saliency
    maps" (2018).
    """
    for layer in layers:
        for parameter in layer.parameters:
            if parameter.ndim > 1:
                spread = float(parameter.std(correction=0)) or float(parameter.square().mean().sqrt())
                drawn = torch.randn(parameter.shape, generator=generator) * spread
            else:
                drawn = parameter.cpu()[torch.randperm(len(parameter), generator=generator)]
            parameter.copy_(drawn.to(parameter))


def reestimate(module: nn.Module, run: Callable[[], Any]) -> bool:
    """Let the BatchNorm layers of a network measure their statistics anew on what `run()` feeds it.

    With the statistics of the trained network a randomized one saturates or dies, whatever its maps. They stay only
    where nothing can be measured: torch refuses a batch of one value a channel. Returns whether they were measured.
    """
    norms = [part for part in module.modules() if isinstance(part, _BatchNorm) and part.running_mean is not None]
    if not norms:
        return False
    kept = [{name: value.clone() for name, value in norm.state_dict().items()} for norm in norms]
    try:
        with _measuring(norms), torch.no_grad():
            run()
    except ValueError:
        for norm, state in zip(norms, kept, strict=True):
            norm.load_state_dict(state)
        return False
    return True


@contextmanager
def _measuring(norms: Sequence[_BatchNorm]) -> Iterator[None]:
    kept = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain average over all batches
        norm.train()
    try:
        yield
    finally:
        for norm, momentum in zip(norms, kept, strict=True):
            norm.momentum = momentum
            norm.eval()


def stages(count: int) -> tuple[int, ...]:
    """How many of `count` layers are random at each stage of a cascade: the top one, tenths of them, at last all.

    >>> stages(50), stages(3)
    ((1, 5, 10, 20, 30, 40, 50), (1, 2, 3))
    """
    return tuple(sorted({1, *(max(1, round(share * count)) for share in (0.1, 0.2, 0.4, 0.6, 0.8, 1.0))}))


def top_stage(count: int) -> int:
    """The place among stages(count) where the top fifth of the layers is random."""
    wanted = max(1, round(0.2 * count))
    return stages(count).index(wanted)


def passed(similarity: NDArray[Any], randomized: Sequence[int], limit: float = 0.5) -> NDArray[np.float64]:
    """The share of a cascade that is passed before similarity falls below `limit`, of each example: [n].

    similarity [stages, n]; randomized: layers random at each stage, the last being all. 0 when it falls at the first
    stage, 1 when it never does.

    >>> passed(np.array([[0.9, 0.1], [0.6, 0.7], [0.2, 0.0]]), (1, 5, 10)).tolist()
    [0.5, 0.0]
    """
    held = (similarity >= limit).cumprod(axis=0).sum(axis=0)
    found: NDArray[np.float64] = np.array([0.0, *(done / randomized[-1] for done in randomized)])[held]
    return found
