"""Nudge: the least that counts as another input, against which a change of explanations is measured."""

from typing import Any

from auditor.methods.attribution.asked import Asked, moved
from auditor.methods.attribution.method import Context
from auditor.methods.attribution.steps import Steps


def nudged(model: Asked, inputs: Any, share: float, context: Context) -> Any:
    """The inputs under Gaussian noise of `share` times the standard deviation of each example (steps.own_spread).

    Pictures and rows are moved themselves, texts at their token embeddings.
    """
    steps = Steps(model.gradient_inputs(inputs)[0], inputs, context)
    return moved(model, inputs, lambda leaf: leaf + share * steps.spread * steps.normal())
