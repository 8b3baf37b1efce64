"""Influence of training examples on decisions: gradients of one layer, multiplied and summed over stages."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from auditor.methods.attribution.asked import require_gradient, take
from auditor.methods.influence.layer import Layer, only
from auditor.methods.training.look import Forward
from auditor.methods.training.stage import summed_loss

Floats = NDArray[np.float64]
Pairs = Callable[[], Iterable[tuple[Any, Tensor]]]
"""Inputs and labels, batch by batch, from the start at each call."""

NEAR = 1e-3
"""How far, relative to its length, a gradient may lie from the outer product that stands for it."""


@dataclass(frozen=True)
class Products:
    """pairs: [n, m], grad L(z) . grad L(z') of n training and m other examples; own: [n], norm(grad L(z))^2.

    made: whether the gradients had to be made one by one.
    """

    pairs: Floats
    own: Floats
    made: bool = False

    @property
    def finite(self) -> bool:
        """Whether all of them are numbers."""
        return bool(np.isfinite(self.pairs).all() and np.isfinite(self.own).all())


def products(module: nn.Module, forward: Forward, layer: Layer, train: Pairs, test: Pairs, task: str) -> Products:
    """Of one stage, in eval mode: cross-entropy in nats, or squared error, with respect to the layer's parameters.

    What the module says of its parameters (requires_grad, grad) stays. At most HELD numbers of gradients are held of
    either side: where they do not fit at once, those of the training examples are made again for each part of the test.
    """
    if layer.outer:
        if _holds(module, forward, layer, train, task):
            return _outer(module, forward, layer, train, test, task)
        layer.require_room()
    return _made(module, forward, layer, train, test, task)


def _holds(module: nn.Module, forward: Forward, layer: Layer, train: Pairs, task: str) -> bool:
    """Whether outer products are the gradients of the first two examples: not so where the module also reads the
    layer's weight by itself, as F.linear(x, layer.weight) does, which no hook sees. What is not finite tells nothing.
    """
    inputs, labels = next(iter(train()))
    parameters = layer.of(module)
    for at in range(min(2, len(labels))):
        few, label = take(inputs, slice(at, at + 1)), labels[at : at + 1]
        with only(module, parameters):
            true = gradients(forward, parameters, few, label, task)[0]
        with only(module, []):
            a, e = (
                torch.as_tensor(each[0]).to(true) for each in _factors(module, forward, layer, [(few, label)], task)
            )
        told = torch.outer(e, a).flatten()
        apart = float((true - (told if len(parameters) == 1 else torch.cat([told, e]))).norm())
        if apart > max(NEAR, torch.finfo(true.dtype).eps) * float(true.norm()):
            return False
    return True


def _outer(module: nn.Module, forward: Forward, layer: Layer, train: Pairs, test: Pairs, task: str) -> Products:
    """grad . grad' = (a . a' + 1) (e . e') of a linear layer with a bias: a its inputs, e the gradients behind it."""
    part: Any = module.get_submodule(layer.name)
    one = 0.0 if part.bias is None else 1.0
    with only(module, []):
        (a, e), (a_test, e_test) = (_factors(module, forward, layer, side(), task) for side in (train, test))
    pairs = (a @ a_test.T + one) * (e @ e_test.T)
    return Products(pairs, (np.square(a).sum(axis=1) + one) * np.square(e).sum(axis=1))


def _factors(
    module: nn.Module, forward: Forward, layer: Layer, pairs: Iterable[tuple[Any, Tensor]], task: str
) -> tuple[Floats, Floats]:
    kept: list[Tensor] = []

    def hook(part: nn.Module, args: Any, output: Tensor) -> Tensor:
        kept[:] = [args[0].detach(), output.detach().requires_grad_()]
        return kept[1].clone()  # what follows may change it in place, which a leaf forbids

    handle = module.get_submodule(layer.name).register_forward_hook(hook)
    found: list[tuple[Floats, Floats]] = []
    try:
        for inputs, labels in pairs:
            loss = summed_loss(forward(inputs), labels, task)
            require_gradient(loss)
            behind = torch.autograd.grad(loss, kept[1])[0]
            found.append((_numbers(kept[0]), _numbers(behind)))
    finally:
        handle.remove()
    return np.concatenate([a for a, _ in found]), np.concatenate([e for _, e in found])


def _made(module: nn.Module, forward: Forward, layer: Layer, train: Pairs, test: Pairs, task: str) -> Products:
    """The gradients themselves, a part of each side at a time."""
    columns: list[Floats] = []
    own: list[Floats] = []
    with only(module, layer.of(module)):
        for right in _parts(module, forward, layer, test(), task):
            rows: list[Floats] = []
            own = []
            for left in _parts(module, forward, layer, train(), task):
                rows.append(_numbers(left @ right.T))
                own.append(_numbers(left.square().sum(dim=1)))
            columns.append(np.concatenate(rows))
    return Products(np.concatenate(columns, axis=1), np.concatenate(own), made=True)


def _parts(
    module: nn.Module, forward: Forward, layer: Layer, pairs: Iterable[tuple[Any, Tensor]], task: str
) -> Iterator[Tensor]:
    """[rows, parameters] of as many examples as may be held, or fewer."""
    held: list[Tensor] = []
    for inputs, labels in pairs:
        for start in range(0, len(labels), layer.rows):
            few = slice(start, start + layer.rows)
            new = gradients(forward, layer.of(module), take(inputs, few), labels[few], task)
            if sum(map(len, held)) + len(new) > layer.rows:
                yield torch.cat(held)
                held = []
            held.append(new)
    if held:
        yield torch.cat(held)


def gradients(forward: Forward, parameters: list[nn.Parameter], inputs: Any, labels: Tensor, task: str) -> Tensor:
    """[n, parameters], the gradient of each example's own loss; in eval mode rows do not see each other."""
    logits = forward(inputs)
    require_gradient(logits)
    rows = []
    for at in range(len(labels)):
        loss = summed_loss(logits[at : at + 1], labels[at : at + 1], task)
        found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True, materialize_grads=True)
        rows.append(torch.cat([each.flatten() for each in found]))
    return torch.stack(rows)


def _numbers(values: Tensor) -> Floats:
    return values.detach().cpu().double().numpy()
