"""Attention as attribution: rollout and gradient-weighted attention as maps over tokens or patches."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from auditor.errors import NotApplicable
from auditor.methods.attention.rollout import as_map, attention_rollout, gradient_attention, read_positions
from auditor.methods.attention.watching import Attentions, attentions_of
from auditor.methods.attribution.asked import Asked
from auditor.methods.attribution.method import Context, Maps, own_tokens, without_padding


def own_of(found: Attentions, inputs: Any) -> Tensor:
    """Which tokens are an example's own, bool [n, t]; NotApplicable where attention is not over the text's tokens."""
    own, (examples, _, tokens, _) = own_tokens(inputs), found.weights[0].shape
    if own is None:
        return torch.ones(examples, tokens, dtype=torch.bool, device=found.weights[0].device)
    if own.shape[1] != tokens:
        raise NotApplicable(f"attention is over {tokens} tokens, and the text has {own.shape[1]}: they were changed")
    return own


def on_places(values: Tensor, grid: tuple[int, int] | None, inputs: Any) -> Tensor:
    """Values of tokens [n, t] where a map has them: patches as [n, rows, columns] without prefix tokens, tokens as
    they are, zero on padding."""
    if isinstance(inputs, Mapping):
        return without_padding(values, inputs)
    if grid is None:
        raise NotApplicable("the model has no grid of patches, so its tokens have no place in the input")
    return values[:, -grid[0] * grid[1] :].reshape(-1, *grid)


@dataclass(frozen=True)
class AttentionRollout:
    """Rollout, read at the tokens that the model's head reads; it has no parameters."""

    name: ClassVar[str] = "attention_rollout"
    signed: ClassVar[bool] = False

    def maps(self, model: Asked, inputs: Any, targets: Tensor, context: Context) -> Maps:
        """One forward; the backward only tells which tokens are read."""
        found = attentions_of(model, inputs, targets)
        own = own_of(found, inputs)
        rolled = as_map(attention_rollout(found.weights, own), read_positions(found.gradients[-1], own))
        return Maps(on_places(rolled, found.grid, inputs))


@dataclass(frozen=True)
class GradientAttention:
    """Gradient-weighted attention, read at the tokens that the model's head reads; it has no parameters."""

    name: ClassVar[str] = "gradient_attention"
    signed: ClassVar[bool] = False

    def maps(self, model: Asked, inputs: Any, targets: Tensor, context: Context) -> Maps:
        """One forward and one backward."""
        found = attentions_of(model, inputs, targets)
        own = own_of(found, inputs)
        rolled = gradient_attention(found.weights, found.gradients, own)
        return Maps(on_places(as_map(rolled, read_positions(found.gradients[-1], own)), found.grid, inputs))
