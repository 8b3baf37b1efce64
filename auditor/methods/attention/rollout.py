"""Rollout: what reaches a token from each input token through all layers of attention."""

from collections.abc import Sequence

import torch
from torch import Tensor

READ = 1e-6
"""A query is read by the head if its gradient is at least this share of the largest: padding and others have none."""


def attention_rollout(weights: Sequence[Tensor], own: Tensor | None = None) -> Tensor:
    """Attention rollout, [n, t, t]: row q holds the share of each input token in token q after the last layer.

    R = A'_L ... A'_1 with A'_l = (mean over heads of A_l + I) / 2, rows adding up to 1. weights: one tensor a layer,
    [n, heads, t, t], the first layer first. own: bool [n, t], False on padding, which neither gives nor takes.
    Abnar and Zuidema, "Quantifying attention flow in transformers" (2020).

    >>> uniform = torch.full((1, 1, 2, 2), 0.5)
    >>> attention_rollout([uniform]).tolist()
    [[[0.75, 0.25], [0.25, 0.75]]]
    """
    rolled = _identity(weights)
    for layer in weights:
        mixed = _on_own(layer.mean(dim=1), own)
        share = mixed / mixed.sum(dim=-1, keepdim=True).clamp_min(torch.finfo(mixed.dtype).tiny)
        rolled = (share @ rolled + rolled) / 2
    return rolled


def gradient_attention(weights: Sequence[Tensor], gradients: Sequence[Tensor], own: Tensor | None = None) -> Tensor:
    """Gradient-weighted attention, rolled through the layers, [n, t, t]: row q is the input tokens' relevance for q.

    R = I, then for each layer R <- R + mean over heads of relu(A * dA) R, with dA = d f(x)[target] / d A; what is
    returned is R - I, so a token is not relevant to itself just for being there. This is the rule for self-attention
    of Chefer, Gur and Wolf, "Generic attention-model explainability" (2021), not their earlier method with
    layer-wise relevance propagation. weights, gradients and own as for attention_rollout.
    """
    identity = _identity(weights)
    rolled = identity
    for layer, slope in zip(weights, gradients, strict=True):
        rolled = rolled + _on_own(torch.relu(layer * slope).mean(dim=1), own) @ rolled
    return rolled - identity


def read_positions(gradient: Tensor, own: Tensor | None = None) -> Tensor:
    """Which tokens the model's head reads, bool [n, t], told from the gradient at the last layer's weights.

    Behind the last attention no token sees another: only the queries that the head reads have a gradient there. So
    the first token of BERT, the last one of a decoder and all tokens under a mean are found without a convention. An
    example whose gradient is zero everywhere counts all its own tokens as read.
    """
    size = gradient.abs().sum(dim=(1, 3))
    inside = torch.ones_like(size, dtype=torch.bool) if own is None else own.bool()
    size = size * inside
    top = size.amax(dim=1, keepdim=True)
    return torch.where(top > 0, size >= READ * top, inside) & inside


def as_map(rolled: Tensor, read: Tensor) -> Tensor:
    """The mean of the rows that are read, [n, t]: one value an input token."""
    share = read.to(rolled.dtype)
    found: Tensor = (share[:, None] @ rolled).squeeze(1) / share.sum(dim=1, keepdim=True)
    return found


def _identity(weights: Sequence[Tensor]) -> Tensor:
    if not weights:
        raise ValueError("expected at least one layer of attention weights")
    first = weights[0]
    eye = torch.eye(first.shape[-1], dtype=first.dtype, device=first.device)
    return eye.expand(len(first), -1, -1)


def _on_own(mixed: Tensor, own: Tensor | None) -> Tensor:
    """Without what padding gives or takes."""
    if own is None:
        return mixed
    inside = own.to(mixed.dtype)
    return mixed * inside[:, :, None] * inside[:, None, :]
