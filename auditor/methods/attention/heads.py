"""Heads: whether what a head attends to depends on who asks, how spread it is, and how alike heads are."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

FEWEST = 2
"""Queries to compare."""


@dataclass(frozen=True)
class Seen:
    """Which tokens can be compared: queries and keys, bool [n, t]; before: keys that each query may see, [n, t, t]."""

    queries: Tensor
    keys: Tensor
    before: Tensor

    @property
    def usable(self) -> Tensor:
        """Whether an example has enough queries to compare, bool [n]."""
        return self.queries.sum(dim=1) >= FEWEST


def is_causal(weights: Sequence[Tensor], own: Tensor) -> bool:
    """Whether no token of any example attends to a later one in any layer.

    own: bool [n, t], False on padding, which says nothing: a query to the left of a text sees no key and attends alike
    to all. A batch of single tokens is not causal, as far as one can see.
    """
    pairs = (own[:, :, None] & own[:, None, :]).triu(1)
    return bool(pairs.any()) and not any((layer * pairs[:, None]).any() for layer in weights)


def comparable(own: Tensor, causal: bool) -> Seen:
    """own: bool [n, t], False on padding.

    Without a mask all own tokens ask, and see all own keys. In a causal model a later token sees more, and rows
    would differ for that alone: there the later half of the tokens ask, over the keys that all of these see.
    """
    place = own.cumsum(dim=1) - 1
    middle = (own.sum(dim=1) // 2)[:, None]
    both = own[:, :, None] & own[:, None, :]
    before = both & (place[:, None, :] <= place[:, :, None]) if causal else both
    if not causal:
        return Seen(own, own, before)
    return Seen(own & (place >= middle), own & (place <= middle), before)


def query_dependence(weights: Tensor, seen: Seen) -> Tensor:
    """How much what a head attends to depends on the query, [n, heads]: 0 if every query attends alike.

    The mean over queries of the total variation distance between a query's weights and the mean query's,
    1/2 sum_k |A_qk - mean_q A_qk|, over the keys of `seen`, on which rows are scaled to add up to 1. Queries with
    nothing on those keys are left out. Entropy cannot tell this: a head may look at one token from everywhere.
    """
    rows = weights * seen.keys[:, None, None, :].to(weights.dtype)
    mass = rows.sum(dim=-1, keepdim=True)
    counted = (seen.queries[:, None, :, None] & (mass > 1e-6)).to(weights.dtype)
    shares = rows / mass.clamp_min(1e-6)
    number = counted.sum(dim=2, keepdim=True).clamp_min(1)
    middle = (shares * counted).sum(dim=2, keepdim=True) / number
    distance = (shares - middle).abs().sum(dim=-1, keepdim=True) / 2
    found: Tensor = ((distance * counted).sum(dim=2, keepdim=True) / number)[..., 0, 0]
    return found


def entropy(weights: Tensor, seen: Seen) -> Tensor:
    """The mean entropy of a head's rows, as a share of that of even attention over the keys seen, [n, heads].

    1 even, 0 all on one key. Only queries that see at least two keys count.
    """
    allowed = seen.before[:, None].to(weights.dtype)
    rows = weights * allowed
    bits = -(rows * rows.clamp_min(torch.finfo(rows.dtype).tiny).log()).sum(dim=-1)
    keys = seen.before.sum(dim=-1)
    counted = (keys >= 2)[:, None].to(weights.dtype)
    even = keys.clamp_min(2).to(weights.dtype).log()[:, None]
    found: Tensor = (bits / even * counted).sum(dim=-1) / counted.sum(dim=-1).clamp_min(1)
    return found


def redundancy(weights: Tensor, own: Tensor) -> Tensor:
    """How alike a layer's heads attend, [n]: 1 minus the mean total variation distance over pairs of heads and queries.

    1 if all heads of the layer attend alike; raises ValueError for a single head, which is like no other.
    """
    heads = weights.shape[1]
    if heads < 2:
        raise ValueError("a single head cannot be compared with another")
    inside = own[:, None].to(weights.dtype)
    total = torch.zeros(len(weights), dtype=weights.dtype, device=weights.device)
    for head in range(heads - 1):
        apart = (weights[:, head : head + 1] - weights[:, head + 1 :]).abs().sum(dim=-1) / 2
        total += ((apart * inside).sum(dim=-1) / inside.sum(dim=-1)).sum(dim=1)
    return 1 - total / (heads * (heads - 1) / 2)


def first_order_effect(weights: Tensor, gradients: Tensor) -> Tensor:
    """What silencing each head would take from the target's logit, to first order, [n, heads]: sum over A * dA.

    A head's output is linear in its weights, so this is the derivative of the logit along the head's own strength.
    Michel, Levy and Neubig, "Are sixteen heads really better than one?" (2019).
    """
    found: Tensor = (weights * gradients).sum(dim=(2, 3))
    return found
