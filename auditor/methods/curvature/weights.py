"""The weights whose curvature is asked for, as one flat vector; and a module that is left as it was found."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from auditor.errors import NotApplicable


@dataclass(frozen=True)
class Weights:
    """Parameters in the order of the flat vector. tensors: the parameters of each tensor, several where it is tied."""

    names: tuple[str, ...]
    tensors: tuple[tuple[nn.Parameter, ...], ...]

    @cached_property
    def sizes(self) -> list[int]:
        """The number of elements of each."""
        return [tied[0].numel() for tied in self.tensors]

    @property
    def size(self) -> int:
        """The length of the flat vector."""
        return sum(self.sizes)

    @property
    def device(self) -> torch.device:
        """Where they are."""
        return self.tensors[0][0].device

    @cached_property
    def flat(self) -> list[nn.Parameter]:
        """All parameters, those that are tied one after the other."""
        return [parameter for tied in self.tensors for parameter in tied]

    def split(self, vector: Tensor) -> list[Tensor]:
        """Views of a flat vector in the shapes of the parameters, one a tensor."""
        parts = torch.split(vector, self.sizes)
        return [part.view(tied[0].shape) for part, tied in zip(parts, self.tensors, strict=True)]

    def gradients(self, found: Sequence[Tensor | None]) -> list[Tensor | None]:
        """Gradients with respect to `flat`, added up over tied parameters; None where a tensor has none."""
        held, each = [], iter(found)
        for tied in self.tensors:
            own = [gradient for _ in tied if (gradient := next(each)) is not None]
            held.append(sum(own[1:], start=own[0]) if own else None)
        return held


def weights_of(module: nn.Module, layers: Sequence[str] = ()) -> Weights:
    """The floating-point parameters whose name, or the name of a module that holds them, matches one of the globs;
    without globs, all of them. Parameters that share storage are one tensor, under their first name.

    Raises NotApplicable where none matches, or where two lie differently in storage that they share.
    """
    held: dict[tuple[int, int], list[tuple[str, nn.Parameter]]] = {}
    for name, parameter in module.named_parameters():
        if parameter.numel() and parameter.is_floating_point():
            held.setdefault((parameter.data_ptr(), parameter.numel()), []).append((name, parameter))
    kept = [tied for tied in held.values() if any(_matches(name, layers) for name, _ in tied)]
    if not kept:
        raise NotApplicable(f"no parameter matches {', '.join(layers)}" if layers else "the model has no parameters")
    for tied in kept:
        if len({(each.shape, each.stride()) for _, each in tied}) > 1:
            names = " and ".join(name for name, _ in tied)
            raise NotApplicable(
                f"{names} share storage, but one is turned or reshaped: their derivatives do not add up"
            )
    return Weights(tuple(tied[0][0] for tied in kept), tuple(tuple(each for _, each in tied) for tied in kept))


def _matches(name: str, layers: Sequence[str]) -> bool:
    parts = name.split(".")
    holders = [".".join(parts[: end + 1]) for end in range(len(parts))]
    return not layers or any(fnmatchcase(holder, glob) for holder in holders for glob in layers)


class WrittenOut(TorchFunctionMode):
    """Weight normalization, v g / |v|, as its own operations: the second derivative of torch's one kernel takes |v| for
    a constant, and is wrong and not symmetric."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """What every function of torch goes through."""
        if func is torch._weight_norm:
            vectors, lengths, *axis = args
            return vectors * (lengths / torch.norm_except_dim(vectors, 2, *axis))
        return func(*args, **(kwargs or {}))


@contextmanager
def asked(module: nn.Module, weights: Weights) -> Iterator[None]:
    """Evaluation mode, gradients for `weights` alone, and attention that can be differentiated twice; then modes,
    buffers and requirements are put back. No gradient is ever stored in the parameters."""
    modes = {part: part.training for part in module.modules()}
    buffers = {buffer: buffer.detach().clone() for buffer in module.buffers()}
    required = {parameter: parameter.requires_grad for parameter in module.parameters()}
    try:
        module.eval()
        for parameter in required:
            parameter.requires_grad_(False)
        for parameter in weights.flat:
            parameter.requires_grad_(True)
        with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        for part, mode in modes.items():
            part.training = mode
        for parameter, needed in required.items():
            parameter.requires_grad_(needed)
        for buffer, value in buffers.items():
            if not torch.equal(buffer, value):
                buffer.copy_(value)
