"""The one layer at whose parameters influence is measured, and how its gradients are had."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from auditor.errors import NotApplicable
from auditor.methods.attribution.asked import count
from auditor.methods.passes import AUTO, check_layer
from auditor.methods.training.look import Forward

HELD = 2**26
"""Numbers of gradients that are held of either side at once (256 MiB); no layer of more than an eighth is asked."""


@dataclass(frozen=True)
class Layer:
    """A layer by its name. outer: it is linear and ran once on one vector an example, so that an example's gradient is
    the outer product of its input and of the gradient at its output, and need not be made."""

    name: str
    outer: bool
    size: int

    def of(self, module: nn.Module) -> list[nn.Parameter]:
        """Its parameters."""
        return list(module.get_submodule(self.name).parameters())

    @property
    def rows(self) -> int:
        """How many examples' gradients are held at once where they are made."""
        return HELD // self.size

    def require_room(self) -> None:
        """NotApplicable where its gradients are too many numbers to be made."""
        if self.size > HELD // 8:
            raise NotApplicable(
                f"layer {self.name} has {self.size:,} parameters; of a layer that is not linear on one vector an "
                f"example, or whose weight is used elsewhere, at most {HELD // 8:,} can be asked: name a smaller one"
            )


@dataclass
class _Ran:
    """Linear layers in the order of their last run, with the shapes of their inputs."""

    inputs: dict[str, list[torch.Size]] = field(default_factory=dict)

    def note(self, name: str) -> Callable[..., None]:
        def hook(part: nn.Module, args: Any, output: Any) -> None:
            self.inputs[name] = [*self.inputs.pop(name, []), args[0].shape]

        return hook


def find(module: nn.Module, forward: Forward, inputs: Any, name: str = AUTO) -> Layer:
    """The named layer, or of "auto" the last linear layer that ran with as many outputs as there are logits.

    UsageError for a name that the module does not have, NotApplicable for a layer without parameters or with too many.
    """
    check_layer(module, name)
    ran, linear = _Ran(), {each: part for each, part in module.named_modules() if type(part) is nn.Linear}
    handles = [part.register_forward_hook(ran.note(each)) for each, part in linear.items()]
    try:
        with torch.no_grad():
            outputs = forward(inputs).shape[1]
    finally:
        for handle in handles:
            handle.remove()
    if name == AUTO:
        heads = [each for each in ran.inputs if linear[each].out_features == outputs]
        if not heads:
            raise NotApplicable("no linear layer gives the logits: name a layer, `with: {layer: NAME}`")
        name = heads[-1]
    parameters = list(module.get_submodule(name).parameters())
    size = sum(each.numel() for each in parameters)
    if not parameters:
        raise NotApplicable(f"layer {name} has no parameters: name another")
    outer = [len(shape) for shape in ran.inputs.get(name, [])] == [2] and _alone(module, name)
    outer = outer and ran.inputs[name][0][0] == count(inputs)
    found = Layer(name, outer, size)
    if not outer:
        found.require_room()
    return found


def _alone(module: nn.Module, name: str) -> bool:
    """Whether no other part of the module uses the layer's parameters."""
    own = {id(each) for each in module.get_submodule(name).parameters()}
    others = (part for each, part in module.named_modules(remove_duplicate=False) if each != name)
    return not any(id(each) in own for part in others for each in part.parameters(recurse=False))


@contextmanager
def only(module: nn.Module, parameters: list[nn.Parameter]) -> Iterator[None]:
    """Let gradients flow to these parameters alone; what the module said of them comes back."""
    asked = {each: each.requires_grad for each in module.parameters()}
    wanted = {id(each) for each in parameters}
    try:
        for each in asked:
            each.requires_grad_(id(each) in wanted)
        yield
    finally:
        for each, was in asked.items():
            each.requires_grad_(was)
