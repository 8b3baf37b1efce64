"""The cost of an answer: floating-point operations of one forward pass, an example."""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode


def forward_flops(forward: Callable[[Any], Any], inputs: Any, examples: int) -> float:
    """Operations of forward(inputs) divided by the examples in it; a multiplication and an addition count as two.

    Counted are matrix products, convolutions and attention, as torch's FlopCounterMode does; what is done element by
    element (normalizations, activations) is not. ValueError without examples.

    >>> forward_flops(torch.nn.Linear(10, 3), torch.zeros(4, 10), 4)
    60.0
    """
    if examples < 1:
        raise ValueError("forward_flops: expected at least one example")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        forward(inputs)
    return float(counter.get_total_flops()) / examples
