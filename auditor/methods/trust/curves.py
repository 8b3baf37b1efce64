"""Curves: the score while parts are taken away or put back in a map's order, and in the same order moved elsewhere."""

from dataclasses import dataclass

import torch
from torch import Tensor

from auditor.methods.attribution.removal import Removal
from auditor.methods.trust.asking import Asks
from auditor.methods.trust.orders import misplaced, ranks, scattered


@dataclass(frozen=True)
class Orders:
    """The orders of one batch under m maps.

    counts: int64 [n, points + 1], parts taken at each point, from none to all. maps: ranks [m, n, parts]. nulls: ranks
    [m, n, points - 1, copies, parts]: every inner point draws rolled copies of its own, since copies that differ from
    point to point tell more of the mean null curve than as many whole curves. random: [n, points - 1, parts].
    """

    counts: Tensor
    maps: Tensor
    nulls: Tensor
    random: Tensor


def counts_of(own: Tensor, points: int) -> Tensor:
    """How many of its parts each example has lost at each point, [n, points + 1], rounded.

    >>> counts_of(torch.ones(1, 6, dtype=torch.bool), 4).tolist()
    [[0, 2, 3, 5, 6]]
    """
    return (own.sum(dim=1)[:, None] * torch.arange(points + 1) / points + 0.5).floor().long()


def orders_of(removal: Removal, maps: Tensor, points: int, nulls: int, generator: torch.Generator) -> Orders:
    """maps: [m, n, parts]. nulls: at least so many rolled copies of each map, spread over the inner points."""
    own = removal.own.cpu()
    n, parts = own.shape
    inner = points - 1
    copies = -(-nulls // inner)
    placed = torch.stack([ranks(each.cpu(), own, generator) for each in maps])
    moved = [misplaced(each, removal, inner * copies, generator) for each in placed]
    return Orders(
        counts=counts_of(own, points),
        maps=placed,
        nulls=torch.stack(moved).reshape(len(maps), n, inner, copies, parts),
        random=scattered(own, inner, generator),
    )


@dataclass(frozen=True)
class Curves:
    """Raw scores: deletion, insertion and their nulls [m, n, points + 1], random (deletion) [n, points + 1]."""

    deletion: Tensor
    insertion: Tensor
    deletion_null: Tensor
    insertion_null: Tensor
    random: Tensor


class CurveAsks:
    """What the curves of one batch ask for, and the curves once it is answered."""

    def __init__(self, asks: Asks, orders: Orders) -> None:
        self._asks, self._copies = asks, orders.nulls.shape[3]
        n, parts = asks.removal.own.shape
        inner = orders.counts[:, 1:-1, None]
        spread = inner[:, :, None].expand(n, inner.shape[1], self._copies, 1).flatten(1, 2)
        moved = orders.nulls.flatten(2, 3)
        self._all = asks.add(torch.ones(n, 1, parts, dtype=torch.bool))
        self._deletion = [asks.add(each[:, None] < inner) for each in orders.maps]
        self._insertion = [asks.add(each[:, None] >= inner) for each in orders.maps]
        self._deletion_null = [asks.add(each < spread) for each in moved]
        self._insertion_null = [asks.add(each >= spread) for each in moved]
        self._random = asks.add(orders.random < inner)

    def curves(self, found: Tensor) -> Curves:
        """found: the answers to all that was asked."""
        full, gone = self._asks.bare.float().cpu()[:, None], found[:, self._all]

        def whole(column: slice, start: Tensor, end: Tensor) -> Tensor:
            middle = found[:, column]
            averaged = middle.reshape(len(middle), -1, self._copies).mean(2) if column in nulls else middle
            return torch.cat([start, averaged, end], dim=1)

        nulls = [*self._deletion_null, *self._insertion_null]
        return Curves(
            deletion=torch.stack([whole(each, full, gone) for each in self._deletion]),
            insertion=torch.stack([whole(each, gone, full) for each in self._insertion]),
            deletion_null=torch.stack([whole(each, full, gone) for each in self._deletion_null]),
            insertion_null=torch.stack([whole(each, gone, full) for each in self._insertion_null]),
            random=whole(self._random, full, gone),
        )
