"""Faithfulness: does the score follow a map's parts when they are taken away, put back, or left alone?"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from auditor.methods.attribution.asked import Asked
from auditor.methods.attribution.perturb import Forwards
from auditor.methods.attribution.removal import Removal
from auditor.methods.trust.asking import Asks
from auditor.methods.trust.curves import CurveAsks, Orders
from auditor.methods.trust.naopc import (
    EXACT,
    beam_extreme,
    chain_extremes,
    group_means,
    groups_of,
    members,
    prefixes,
    subsets,
    sum_along,
)
from auditor.methods.trust.orders import ranks

ERASER = (0.01, 0.05, 0.1, 0.2, 0.5)
"""The shares of a text that comprehensiveness and sufficiency take away or keep (DeYoung et al. 2020)."""


@dataclass
class InProbability:
    """A model whose score is the softmax probability of the target, times a factor."""

    model: Asked
    factor: float = 1.0
    module: torch.nn.Module = field(init=False)
    reduced: bool = field(init=False)

    def __post_init__(self) -> None:
        """The network, and the precision it asks for, are the model's own."""
        self.module = self.model.module
        self.reduced = bool(getattr(self.model, "reduced", False))

    def logits(self, inputs: object) -> Tensor:
        """Probabilities, [n, outputs]."""
        return self.factor * self.model.logits(inputs).softmax(dim=1)

    def gradient_inputs(self, inputs: object) -> tuple[Tensor, object]:
        """As the model's own."""
        return self.model.gradient_inputs(inputs)


@dataclass(frozen=True)
class Answered:
    """What one batch gives under one fill: the raw curves, and NAOPC [m, n] with its range [n] (0: undefined)."""

    gone: Tensor
    deletion: Tensor
    insertion: Tensor
    deletion_null: Tensor
    insertion_null: Tensor
    random: Tensor
    naopc: Tensor
    naopc_range: Tensor


def answered(
    forwards: Forwards, removal: Removal, targets: Tensor, bare: Tensor, orders: Orders, chains: "Chains"
) -> Answered:
    """All curves of one batch under one fill, and NAOPC, in as few forwards as they need; bare: f(x) [n], known."""
    asks = Asks(removal, targets, bare)
    curve_asks = CurveAsks(asks, orders)
    column = asks.add(chains.asked(subsets(chains.groups))) if chains.is_exact else slice(0, 0)
    found = asks.answers(forwards)
    curves = curve_asks.curves(found)
    naopc, spread = chains.exact(found[:, column]) if chains.is_exact else chains.by_beam(forwards, asks)
    return Answered(
        gone=curves.deletion[0, :, -1],
        deletion=curves.deletion,
        insertion=curves.insertion,
        deletion_null=curves.deletion_null,
        insertion_null=curves.insertion_null,
        random=curves.random,
        naopc=naopc,
        naopc_range=spread,
    )


class Chains:
    """The groups of a batch's examples, the orders in which maps take them, and the range over all orders."""

    def __init__(self, removal: Removal, maps: Tensor, groups: int, generator: torch.Generator) -> None:
        """maps: [m, n, parts]; at most `groups` groups an example."""
        group = groups_of(removal, groups)
        self.groups, self.is_exact = groups, groups <= EXACT
        self.inside = members(group, groups)
        self.sizes = group.amax(dim=1) + 1
        real = torch.arange(groups) < self.sizes[:, None]
        self.orders = [ranks(group_means(each.cpu(), self.inside), real, generator) for each in maps]

    def asked(self, sets: Tensor) -> Tensor:
        """The parts of sets of groups, bool [n, k, parts]; sets: [k, groups] or [n, k, groups]."""
        wanted = sets.expand(len(self.inside), *sets.shape[-2:]).float()
        return torch.bmm(wanted, self.inside.float()) > 0

    def exact(self, table: Tensor) -> tuple[Tensor, Tensor]:
        """NAOPC [m, n] and the range of AOPC [n]; table: f(x without each subset of groups) [n, 2^groups]."""
        low, high = chain_extremes(table)
        every = (2**self.sizes - 1)[:, None]
        own = torch.stack([sum_along(table, order, self.sizes) for order in self.orders])
        return self._normalized(own, low.gather(1, every)[:, 0], high.gather(1, every)[:, 0])

    def by_beam(self, forwards: Forwards, asks: Asks, width: int = 5) -> tuple[Tensor, Tensor]:
        """As exact(), the extremes by beam search, and no nearer than the maps' own orders."""

        def scored(sets: Tensor) -> Tensor:
            further = Asks(asks.removal, asks.targets, asks.bare)
            further.add(self.asked(sets))
            return further.answers(forwards)

        groups = self.groups
        real = (torch.arange(groups) < self.sizes[:, None]).float()
        own = torch.stack([(scored(prefixes(order)) * real).sum(dim=1) for order in self.orders])
        low = beam_extreme(scored, self.sizes, groups, width, 1).minimum(own.amin(dim=0))
        high = beam_extreme(scored, self.sizes, groups, width, -1).maximum(own.amax(dim=0))
        return self._normalized(own, low, high)

    def _normalized(self, own: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """A small sum of scores is a large AOPC: (AOPC - lowest) / (highest - lowest) = (high - sum) / (high - low)."""
        spread = high - low
        found = torch.where(spread > 0, (high - own) / torch.where(spread > 0, spread, 1.0), 0.0)
        return found.clamp(0, 1), spread / self.sizes.clamp(min=1)


@dataclass(frozen=True)
class Eraser:
    """Comprehensiveness and sufficiency [m, n] of maps and of the same maps rolled, in probability."""

    comprehensiveness: Tensor
    sufficiency: Tensor
    comprehensiveness_null: Tensor
    sufficiency_null: Tensor


def eraser(
    forwards: Forwards,
    removal: Removal,
    targets: Tensor,
    bare: Tensor,
    orders: Orders,
    shares: Sequence[float] = ERASER,
) -> Eraser:
    """DeYoung et al. (2020): mean over shares q of p(x) - p(x without its foremost q), and p(x) - p(these alone).

    forwards: of the model InProbability; bare: p(x) [n]. A share takes at least one part.
    """
    asks = Asks(removal, targets, bare)
    sizes = removal.own.sum(dim=1).cpu()[:, None]
    counts = (sizes * torch.tensor(shares) - 1e-6).ceil().long().clamp(min=1)[:, :, None]
    inner = orders.nulls.shape[2]
    moved = orders.nulls[:, :, torch.arange(len(shares)) % inner, 0]
    columns = [
        (asks.add(each[:, None] < counts), asks.add(each[:, None] >= counts),
         asks.add(null < counts), asks.add(null >= counts))
        for each, null in zip(orders.maps, moved, strict=True)
    ]  # fmt: skip
    found = asks.answers(forwards)
    lost = [[bare.cpu() - found[:, column].mean(dim=1) for column in each] for each in columns]
    return Eraser(*(torch.stack(each) for each in zip(*lost, strict=True)))
