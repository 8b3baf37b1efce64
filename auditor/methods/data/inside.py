"""Watching a model from inside: what enters its head, and what enters its first normalization layer."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from auditor.methods.data.normalization import Received

Logits = Callable[[Any], Tensor]


class Watched:
    """Hooks on a module, removed on leaving; `see` runs one batch.

    head: the linear layer that ran last among those with as many outputs as there are logits, "" without one (the
    logits then stand for its inputs). normalization: the layer with running statistics that ran first, "" without one.
    """

    def __init__(self, module: nn.Module, logits: Logits) -> None:
        self._module, self._logits = module, logits
        self.features: list[NDArray[np.float32]] = []
        self.head = self.normalization = ""
        self._moments: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
        self._entered: dict[str, Tensor] = {}
        self._handles: list[Any] = []
        self._is_known = False

    def __enter__(self) -> "Watched":
        return self

    def __exit__(self, *error: object) -> None:
        for handle in self._handles:
            handle.remove()

    def see(self, inputs: Any) -> None:
        """One forward; what entered the two layers is kept, example by example."""
        with torch.inference_mode():
            if not self._is_known:
                self._find(inputs)
                self._is_known = True
            logits = self._logits(inputs)
            self.features.append(_pooled(self._entered.get(self.head, logits), inputs))
            if self.normalization:
                self._moments.append(_moments(self._entered[self.normalization]))
        self._entered.clear()

    def received(self, rows: int) -> Received:
        """What the normalization layer received of the first rows; empty arrays without such a layer."""
        if not self.normalization:
            none = np.zeros((0, 0))
            return Received(none, none, np.zeros(0), np.zeros(0))
        mean, square = (np.concatenate(parts)[:rows] for parts in zip(*self._moments, strict=True))
        layer: Any = self._module.get_submodule(self.normalization)
        running = (layer.running_mean, layer.running_var)
        return Received(mean, square, *(each.detach().double().cpu().numpy() for each in running))

    def _find(self, inputs: Any) -> None:
        """Run once to learn the order of the layers, then hook the two."""
        order: list[str] = []
        named = {name: part for name, part in self._module.named_modules() if name and (_linear(part) or _runs(part))}

        def noting(name: str) -> Callable[..., None]:
            return lambda part, args: order.append(name)

        first = [part.register_forward_pre_hook(noting(name)) for name, part in named.items()]
        try:
            outputs = self._logits(inputs).shape[-1]
        finally:
            for handle in first:
                handle.remove()
        heads = [name for name in order if _linear(named[name]) and named[name].out_features == outputs]
        norms = [name for name in order if _runs(named[name])]
        self.head, self.normalization = heads[-1] if heads else "", norms[0] if norms else ""

        def keeping(name: str) -> Callable[..., None]:
            return lambda part, args: self._entered.update({name: args[0].detach()})

        watched = [name for name in dict.fromkeys((self.head, self.normalization)) if name]
        self._handles = [named[name].register_forward_pre_hook(keeping(name)) for name in watched]


def _linear(part: nn.Module) -> bool:
    return isinstance(part, nn.Linear)


def _runs(part: nn.Module) -> bool:
    """Whether it normalizes by statistics of its training."""
    return all(isinstance(getattr(part, name, None), Tensor) for name in ("running_mean", "running_var"))


def _pooled(tensor: Tensor, inputs: Any) -> NDArray[np.float32]:
    """[n, d]: the mean over places; tokens that are padding do not count."""
    found = tensor.detach().float()
    if found.ndim == 3 and isinstance(inputs, dict) and "attention_mask" in inputs:
        own = inputs["attention_mask"][..., None].float()
        found = (found * own).sum(dim=1) / own.sum(dim=1).clamp(min=1)
    return found.reshape(found.shape[0], -1, found.shape[-1]).mean(dim=1).cpu().numpy()


def _moments(tensor: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and mean square of each example and channel, [n, channels]."""
    places = tensor.detach().double().flatten(2) if tensor.ndim > 2 else tensor.detach().double()[..., None]
    return places.mean(dim=2).cpu().numpy(), places.square().mean(dim=2).cpu().numpy()
