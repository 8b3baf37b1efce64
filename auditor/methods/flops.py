"""The cost of an answer: floating-point operations of one forward pass, an example."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


def forward_flops(forward: Callable[[Any], Any], inputs: Any, examples: int) -> float:
    """Operations of forward(inputs) divided by the examples in it; a multiplication and an addition count as two.

    Counted are products of matrices and convolutions, those within attention and recurrent layers too, as torch's
    FlopCounterMode does; what is done element by element (normalizations, activations) is not. ValueError without
    examples.

    >>> forward_flops(torch.nn.Linear(10, 3), torch.zeros(4, 10), 4)
    60.0
    """
    if examples < 1:
        raise ValueError("forward_flops: expected at least one example")
    with torch.no_grad(), _in_plain_steps(), FlopCounterMode(display=False) as counter:
        forward(inputs)
    return float(counter.get_total_flops()) / examples


@contextmanager
def _in_plain_steps() -> Iterator[None]:
    """Without kernels that do a whole layer at once: the counter knows none of those for attention, transformer layers
    and recurrent nets, and takes them for nothing."""
    backends: Any = torch.backends
    before = backends.mha.get_fastpath_enabled(), backends.mkldnn.enabled, backends.cudnn.enabled
    try:
        _whole_layers(False, False, False)
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        _whole_layers(*before)


def _whole_layers(attention: bool, mkldnn: bool, cudnn: bool) -> None:
    backends: Any = torch.backends
    backends.mha.set_fastpath_enabled(attention)
    backends.mkldnn.enabled = mkldnn
    backends.cudnn.enabled = cudnn
