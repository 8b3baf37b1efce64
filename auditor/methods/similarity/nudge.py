"""Nudge: the least that counts as another input, against which a change of explanations is measured."""

from typing import Any

import torch
from torch import Tensor

from auditor.methods.attribution.asked import Asked, moved


def nudged(model: Asked, inputs: Any, share: float, seed: int) -> Any:
    """The inputs under Gaussian noise of `share` times the standard deviation of each example's own values.

    Pictures and rows are moved themselves, texts at their token embeddings.
    """

    def change(leaf: Tensor) -> Tensor:
        noise = torch.randn(leaf.shape, generator=torch.Generator().manual_seed(seed)).to(leaf)
        spread = leaf.flatten(1).std(dim=1).reshape(-1, *[1] * (leaf.ndim - 1))
        return leaf + share * spread * noise

    return moved(model, inputs, change)
