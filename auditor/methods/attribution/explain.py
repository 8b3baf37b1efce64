"""Explain: one door to every attribution method by its name."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from auditor.errors import UsageError
from auditor.methods.attention.maps import AttentionRollout, GradientAttention
from auditor.methods.attribution.asked import Asked
from auditor.methods.attribution.edges import Edges
from auditor.methods.attribution.grad_cam import GradCam
from auditor.methods.attribution.guided_backprop import GuidedBackprop
from auditor.methods.attribution.input_x_gradient import InputXGradient
from auditor.methods.attribution.integrated_gradients import IntegratedGradients
from auditor.methods.attribution.lime import Lime
from auditor.methods.attribution.method import Context, Maps, Method
from auditor.methods.attribution.occlusion import Occlusion
from auditor.methods.attribution.random_map import Random
from auditor.methods.attribution.rise import Rise
from auditor.methods.attribution.saliency import Saliency
from auditor.methods.attribution.shap_values import Shap
from auditor.methods.attribution.smoothgrad import SmoothGrad

_ALL: tuple[type[Method], ...] = (
    Saliency,
    InputXGradient,
    SmoothGrad,
    IntegratedGradients,
    GradCam,
    Occlusion,
    Rise,
    Shap,
    Lime,
    AttentionRollout,
    GradientAttention,
    GuidedBackprop,
    Random,
    Edges,
)
METHODS: dict[str, Callable[..., Method]] = {method.name: method for method in _ALL}


def method_of(name: str, **options: Any) -> Method:
    """The method of that name with some of its parameters set. UsageError lists the names there are."""
    if name not in METHODS:
        raise UsageError(f"method {name!r}: there is no such attribution method", f"Use one of {', '.join(METHODS)}.")
    return METHODS[name](**options)


def explain(name: str, model: Asked, inputs: Any, targets: Tensor, context: Context, **options: Any) -> Maps:
    """Maps of a batch by the method of that name, its other parameters at their defaults."""
    return method_of(name, **options).maps(model, inputs, targets, context)
