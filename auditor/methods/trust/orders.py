"""Orders: the order in which a map takes an example's parts, and the same map moved to the wrong places."""

import torch
from torch import Tensor

from auditor.methods.attribution.removal import Removal


def ranks(values: Tensor, own: Tensor, generator: torch.Generator) -> Tensor:
    """The place of each part when the largest value comes first, int64 [n, parts], 0 the foremost.

    Ties are broken at random, so that a map without any order is a random order and not a reading order. Parts that
    an example does not have (own is False) come last. Raises ValueError for a value that is not finite.

    >>> ranks(torch.tensor([[1.0, 3.0, 2.0]]), torch.tensor([[True, True, False]]), torch.Generator()).tolist()
    [[1, 0, 2]]
    """
    if not torch.isfinite(values[own]).all():
        raise ValueError("a map holds numbers that are not finite")
    shuffled = torch.rand(values.shape, generator=generator).argsort(dim=1)
    order = values.masked_fill(~own, -torch.inf).gather(1, shuffled).argsort(dim=1, descending=True, stable=True)
    return inverse(shuffled.gather(1, order))


def inverse(order: Tensor) -> Tensor:
    """The place of each item in each row's order, [n, parts]."""
    return torch.zeros_like(order).scatter_(1, order, torch.arange(order.shape[1]).expand_as(order))


def rolled(values: Tensor, own: Tensor, shape: tuple[int, ...], copies: int, generator: torch.Generator) -> Tensor:
    """Each map's values or ranks [n, parts] moved by random shifts that are never zero, [n, copies, parts].

    A map on a grid is rolled on the torus, which keeps its spatial structure; one over the places of a text is rolled
    along the tokens that are the text's own. An example of one part cannot be moved.
    """
    n, parts = values.shape
    sizes = own.sum(dim=1)
    drawn = torch.rand(n, copies, generator=generator)
    shifts = ((drawn * (sizes - 1).clamp(min=1)[:, None]).long() + 1)[:, :, None]
    at = torch.arange(parts).expand(n, copies, parts)
    if len(shape) == 2:
        rows, columns = shape
        down, across = shifts // columns, shifts % columns
        source = (at // columns - down) % rows * columns + (at % columns - across) % columns
        return values[:, None].expand(n, copies, parts).gather(2, source)
    mine = (~own).long().argsort(dim=1, stable=True)[:, None].expand(n, copies, parts)
    count = sizes[:, None, None]
    source = torch.where(at < count, (at - shifts) % count.clamp(min=1), at)
    moved = values[:, None].expand(n, copies, parts).gather(2, mine.gather(2, source))
    return torch.empty_like(moved).scatter_(2, mine, moved)


def misplaced(values: Tensor, removal: Removal, copies: int, generator: torch.Generator) -> Tensor:
    """Copies of each map [n, parts] in the wrong places, [n, copies, parts]: rolled; over columns, permuted."""
    own = removal.own.cpu()
    if isinstance(removal.inputs, dict) or len(removal.shape) == 2:
        return rolled(values, own, removal.shape, copies, generator)
    return values[:, None].expand(len(values), copies, -1).gather(2, scattered(own, copies, generator))


def scattered(own: Tensor, copies: int, generator: torch.Generator) -> Tensor:
    """Random orders without any structure, [n, copies, parts]: the null of maps over columns, shown for others."""
    n, parts = own.shape
    every = own[:, None].expand(n, copies, parts).reshape(n * copies, parts)
    return ranks(torch.zeros(every.shape), every, generator).reshape(n, copies, parts)
