"""Method names: what a spec may write where it names an attribution method."""

from typing import Annotated, Literal

from pydantic import AfterValidator

MethodName = Literal[
    "saliency", "input_x_gradient", "smoothgrad", "integrated_gradients", "grad_cam", "occlusion", "rise", "shap",
    "lime", "attention_rollout", "gradient_attention", "guided_backprop", "random", "edges",
]  # fmt: skip
"""All of methods/attribution/explain.py, named here once more since a spec is read without torch."""

SignedName = Literal[
    "input_x_gradient", "integrated_gradients", "grad_cam", "occlusion", "rise", "shap", "lime", "random",
]  # fmt: skip
"""Those whose maps tell for from against; Grad-CAM does so without its ReLU."""


def _each_once(names: tuple[MethodName, ...]) -> tuple[MethodName, ...]:
    """The names; ValueError for one that stands there twice: it would agree with itself, or be measured twice."""
    if len(set(names)) < len(names):
        raise ValueError("each method once")
    return names


MethodNames = Annotated[tuple[MethodName, ...], AfterValidator(_each_once)]
"""The type of a check's `methods:` parameter."""
