"""Guided backpropagation: the gradient without what rectifiers pass back below zero. A control, not an explanation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from auditor.errors import NotApplicable
from auditor.methods.attribution.asked import Asked, gradient
from auditor.methods.attribution.method import Context, Maps, without_padding
from auditor.methods.attribution.saliency import saliency

_RELU: frozenset[Callable[..., Any]] = frozenset({
    functional.relu, functional.relu_, functional.relu6, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_,
    torch.clamp_min, Tensor.clamp_min, Tensor.clamp_min_,
})  # fmt: skip
_BOUNDED = frozenset({functional.hardtanh, functional.hardtanh_})


class _Guided(TorchFunctionMode):
    """Lets each rectifier that runs pass back only what is positive.

    It sees modules and functional calls alike, in place or not, and leaves nothing behind: what it puts on a tensor
    goes with that tensor's graph, and nothing is put on a module.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found = 0

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """The call itself; its output, where it is a rectifier's, will clip the gradient."""
        output = func(*args, **(kwargs or {}))
        if _rectifies(func, args, kwargs or {}) and isinstance(output, Tensor):
            self.found += 1
            if output.requires_grad:
                output.register_hook(_positive)  # type: ignore[no-untyped-call]  # torch has not typed it
        return output


def _positive(slope: Tensor) -> Tensor:
    return slope.clamp_min(0)


def _rectifies(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    if func in _BOUNDED:
        return bool((args[1] if len(args) > 1 else kwargs.get("min_val", -1.0)) == 0)
    if func in (torch.clamp_min, Tensor.clamp_min, Tensor.clamp_min_):
        return bool((args[1] if len(args) > 1 else kwargs["min"]) == 0)
    return func in _RELU


def guided_gradient(model: Asked, inputs: Any, targets: Tensor) -> Tensor:
    """The guided gradient at the leaf. NotApplicable where no rectifier (ReLU, ReLU6) runs in the model.

    Every ReLU passes back relu(gradient) where its input was positive. Other activations (GELU, SiLU) are left as
    they are: where a model has both, only its ReLUs are guided.
    """
    with _Guided() as guided:
        slope = gradient(model, inputs, targets)[2]
    if not guided.found:
        raise NotApplicable("no ReLU runs in this model, and guided backpropagation is defined for ReLU only")
    return slope


@dataclass(frozen=True)
class GuidedBackprop:
    """The method, its channels made one value as saliency does; it has no parameters.

    It mostly redraws edges of the picture, and keeps doing so when the top of the model is randomized (Adebayo 2018):
    here it is the control that must fail that test. Springenberg et al., "Striving for simplicity" (2015).
    """

    name: ClassVar[str] = "guided_backprop"
    signed: ClassVar[bool] = False

    def maps(self, model: Asked, inputs: Any, targets: Tensor, context: Context) -> Maps:
        """One forward and one backward."""
        return Maps(without_padding(saliency(guided_gradient(model, inputs, targets)), inputs))
