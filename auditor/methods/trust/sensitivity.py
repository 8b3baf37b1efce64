"""Sensitivity: how far a map moves when the input moves a little."""

from typing import Any

import torch
from torch import Tensor

from auditor.methods.attribution.asked import Asked, moved
from auditor.methods.attribution.method import Context, Method
from auditor.methods.attribution.steps import Steps

FLOOR = 0.01
"""Share of the median map norm below which a norm is not divided by."""


def largest_changes(
    method: Method, model: Asked, inputs: Any, targets: Tensor, context: Context, draws: int, radius: float
) -> tuple[Tensor, Tensor]:
    """max over `draws` nudges d of norm(A(x + d) - A(x)), and norm(A(x)), one value an example each, [n].

    A is the method's map at its native resolution for the same target. A nudge is uniform in [-radius, radius] times
    the standard deviation of the example (steps.own_spread); text is moved at its token embeddings. NaN for an example
    that no nudge can move, as its values are all equal. ValueError for a map that is not finite.
    """
    steps = Steps(model.gradient_inputs(inputs)[0], inputs, context)
    own = method.maps(model, inputs, targets, context).values.flatten(1)
    largest = torch.zeros_like(own[:, 0])
    for _ in range(draws):
        nudge = radius * steps.spread * steps.uniform()
        nudged = moved(model, inputs, nudge.add)
        other = method.maps(model, nudged, targets, context).values.flatten(1)
        largest = torch.maximum(largest, (other - own).norm(dim=1))
    if not torch.isfinite(largest).all():
        raise ValueError("a map holds numbers that are not finite")
    moves = steps.spread.flatten(1).amax(dim=1) > 0
    return torch.where(moves.to(largest.device), largest, torch.nan), own.norm(dim=1)


def max_sensitivity(largest: Tensor, size: Tensor) -> Tensor:
    """largest / max(size, floor) of all examples at once, [n]; floor is a hundredth of the median size above 0.

    So an almost empty map cannot divide by nothing. NaN where the map itself is zero everywhere: it has no direction
    to keep. More draws find larger changes: their number is part of the definition.
    Yeh et al., "On the (in)fidelity and sensitivity of explanations" (2019).

    >>> max_sensitivity(torch.tensor([1.0, 1.0, 2.0, 0.0]), torch.tensor([2.0, 2.0, 0.0002, 0.0])).round().tolist()
    [0.0, 0.0, 100.0, nan]
    """
    floor = torch.clamp(FLOOR * size[size > 0].median(), min=torch.finfo(size.dtype).tiny)
    return torch.where(size > 0, largest / torch.maximum(size, floor), torch.nan)
