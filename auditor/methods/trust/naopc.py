"""NAOPC: where a map's order stands between the worst and the best of all orders of an example's groups of parts.

AOPC(order) = 1/g sum_{k=1..g} (f(x) - f(x without its first k groups)); NAOPC = (AOPC - lowest) / (highest - lowest)
over all orders. Edin et al., "Normalized AOPC" (ACL 2025). With up to 10 groups the extremes are exact: a chain over
all 2^g subsets; above, a beam search over orders.
"""

from collections.abc import Callable
from math import isqrt

import torch
from torch import Tensor

from auditor.methods.attribution.removal import Removal

EXACT = 10
Scored = Callable[[Tensor], Tensor]
"""From groups taken away, bool [n, k, groups], to scores [n, k]."""


def groups_of(removal: Removal, groups: int) -> Tensor:
    """The group of each part, int64 [n, parts], -1 for parts that an example does not have.

    Blocks of a grid; runs of neighbouring tokens or columns, of one each where there are no more than groups.
    """
    own = removal.own.cpu()
    if len(removal.shape) == 2:
        rows, columns = removal.shape
        down = next(each for each in range(isqrt(groups), 0, -1) if groups % each == 0)
        across = groups // down
        block = torch.arange(rows)[:, None] * down // rows * across + torch.arange(columns) * across // columns
        return block.flatten().expand(own.shape)
    sizes = own.sum(dim=1, keepdim=True)
    place = own.long().cumsum(dim=1) - 1
    return torch.where(own, place * sizes.clamp(max=groups) // sizes.clamp(min=1), -1)


def members(group: Tensor, groups: int) -> Tensor:
    """Which parts belong to which group, bool [n, groups, parts]."""
    return group[:, None] == torch.arange(groups)[:, None]


def group_means(values: Tensor, inside: Tensor) -> Tensor:
    """The mean of a map [n, parts] over each group, [n, groups]; zero for empty groups."""
    weight = inside.to(values.dtype)
    return (weight * values[:, None]).sum(dim=2) / weight.sum(dim=2).clamp(min=1)


def subsets(groups: int) -> Tensor:
    """All subsets of the groups, bool [2^groups, groups]; bit k of a subset's number is group k.

    >>> subsets(2).int().tolist()
    [[0, 0], [1, 0], [0, 1], [1, 1]]
    """
    return (torch.arange(2**groups)[:, None] >> torch.arange(groups)) & 1 == 1


def chain_extremes(table: Tensor) -> tuple[Tensor, Tensor]:
    """The lowest and highest sum of scores along a chain of growing subsets up to each subset, [n, 2^g] each.

    table: f(x without each subset) [n, 2^g]. low[S] = table[S] + min over k in S of low[S without k], low[none] = 0.
    """
    groups = table.shape[1].bit_length() - 1
    low, high = torch.zeros_like(table), torch.zeros_like(table)
    every = subsets(groups)
    for size in range(1, groups + 1):
        of_size = (every.sum(dim=1) == size).nonzero()[:, 0]
        before = of_size[:, None] - 2 ** every[of_size].nonzero()[:, 1].reshape(-1, size)
        low[:, of_size] = table[:, of_size] + low[:, before].amin(dim=2)
        high[:, of_size] = table[:, of_size] + high[:, before].amax(dim=2)
    return low, high


def sum_along(table: Tensor, order: Tensor, sizes: Tensor) -> Tensor:
    """The sum of scores while an example's groups go in one order, [n]; order: ranks [n, groups]; sizes: groups [n]."""
    number = torch.zeros(len(table), dtype=torch.int64)
    total = torch.zeros(len(table), dtype=table.dtype)
    for step in range(order.shape[1]):
        number = number + 2 ** (order == step).long().argmax(dim=1)
        total = total + torch.where(step < sizes, table.gather(1, number[:, None])[:, 0], 0.0)
    return total


def prefixes(order: Tensor) -> Tensor:
    """The groups taken after each step of one order, bool [n, groups, groups]; order: ranks [n, groups]."""
    return order[:, None] <= torch.arange(order.shape[1])[:, None]


def beam_extreme(scored: Scored, sizes: Tensor, groups: int, width: int, sign: int) -> Tensor:
    """The lowest (sign 1) or highest (sign -1) sum of scores along an order that a beam search finds, [n].

    scored: scores of sets of groups. sizes: how many groups each example has; the first ones are its own.
    """
    n = len(sizes)
    beams = torch.zeros(n, 1, groups, dtype=torch.bool)
    sums = torch.zeros(n, 1)
    best = torch.zeros(n)
    codes = 2 ** torch.arange(groups, dtype=torch.float64)
    for step in range(int(sizes.max())):
        grown = beams[:, :, None] | torch.eye(groups, dtype=torch.bool)
        legal = ~beams & (torch.arange(groups) < sizes[:, None, None]) & torch.isfinite(sums)[:, :, None]
        grown, legal = grown.flatten(1, 2), legal.flatten(1)
        found = sums.repeat_interleave(groups, dim=1) + sign * scored(grown & legal[:, :, None])
        found = found.masked_fill(~legal, torch.inf)
        order = found.argsort(dim=1, stable=True)
        found, grown = found.gather(1, order), grown.gather(1, order[:, :, None].expand_as(grown))
        number = (grown * codes).sum(dim=2)
        again = torch.tril(number[:, :, None] == number[:, None], diagonal=-1).any(dim=2)
        kept = found.masked_fill(again, torch.inf).argsort(dim=1, stable=True)[:, :width]
        sums = found.masked_fill(again, torch.inf).gather(1, kept)
        beams = grown.gather(1, kept[:, :, None].expand(-1, -1, groups))
        best = torch.where(sizes == step + 1, sums[:, 0], best)
    return sign * best
