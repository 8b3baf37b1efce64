"""Layers: what each block of a network makes of examples, as one row of features an example."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from auditor.errors import UsageError
from auditor.methods.attribution.asked import Asked, count
from auditor.methods.layout import Like, axis_of, told

MOST = 8


def blocks_of(module: nn.Module, patterns: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Names of up to 8 blocks, evenly spaced, the last among them: stages and blocks, not every layer.

    Blocks are the members of the outermost Sequential and ModuleList containers, or the module's own parts where it
    has none. patterns: globs over dotted names that choose layers instead; UsageError for one that matches nothing.
    """
    named = [(name, part) for name, part in module.named_modules() if name]
    if patterns:
        lost = [pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name, _ in named)]
        if lost:
            known = ", ".join(name for name, _ in named[:30])
            raise UsageError(f"layers {lost[0]!r}: no layer of the model matches", f"It has: {known}.")
        return tuple(name for name, _ in named if any(fnmatchcase(name, pattern) for pattern in patterns))
    found = list(_members("", module)) or [name for name, _ in module.named_children()]
    if len(found) <= MOST:
        return tuple(found)
    return tuple(found[round((at + 1) * len(found) / MOST) - 1] for at in range(MOST))


def features_of(model: Asked, inputs: Any, names: tuple[str, ...]) -> dict[str, Tensor]:
    """What the named layers give, float32 [n, units] each: the mean over places, of texts over tokens but padding.

    Layers that did not run, or gave no floating-point tensor with a row an example, are not among them. Of a layer
    that runs several times the last run counts.
    """
    mask = inputs.get("attention_mask") if isinstance(inputs, Mapping) else None
    keeping = _Keeping(frozenset(names), count(inputs), mask)
    with ExitStack() as stack, torch.no_grad():
        for name, part in model.module.named_modules():
            if name:
                stack.callback(part.register_forward_hook(keeping.hook(name)).remove)
        model.logits(inputs)
    return {name: keeping.found[name] for name in names if name in keeping.found}


@dataclass
class _Keeping:
    """The features kept so far, and where the last layer that says so had its units."""

    names: frozenset[str]
    examples: int
    mask: Tensor | None
    found: dict[str, Tensor] = field(default_factory=dict)
    like: Like = (1, 0)

    def hook(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        """Note what a layer gives."""

        def note(part: nn.Module, args: Any, output: Any) -> None:
            first = output[0] if isinstance(output, tuple) and output else output
            if not isinstance(first, Tensor) or not first.is_floating_point() or first.ndim < 2:
                return
            self.like = told(part, first) or self.like
            if name in self.names and len(first) == self.examples:
                self.found[name] = self.reduced(first.detach()).float().cpu()

        return note

    def reduced(self, output: Tensor) -> Tensor:
        """One row of units an example."""
        if output.ndim == 2:
            return output
        if output.ndim == 3 and self.mask is not None and output.shape[1] == self.mask.shape[1]:
            inside = self.mask.to(output.dtype)[..., None]
            return (output * inside).sum(dim=1) / inside.sum(dim=1).clamp_min(1)
        return output.movedim(axis_of(output, self.like), 1).flatten(2).mean(dim=2)


def _members(name: str, part: nn.Module) -> "tuple[str, ...]":
    """The members of the outermost containers below a part."""
    children = [(f"{name}.{child}".removeprefix("."), each) for child, each in part.named_children()]
    if isinstance(part, nn.Sequential | nn.ModuleList):
        return tuple(child for child, _ in children)
    return tuple(member for child, each in children for member in _members(child, each))
