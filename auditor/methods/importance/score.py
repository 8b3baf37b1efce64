"""Score: steadiness and importance of each layer joined into one ranking, and what the weight between them does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from auditor.methods.training.rates import stability, steady_part, tensor_rates
from auditor.methods.training.record import Bools, Changes, Floats

Direction = Literal["stable", "as_published"]
Weighting = Literal["fixed", "entropy", "critic", "cross_validated"]
EDGE, STEP, FAR = 0.05, 0.05, 0.2
MIDDLE = 0.5


def owners(names: Sequence[str]) -> dict[str, list[int]]:
    """Places of the tensors by the module that owns them, in the order of first sight.

    >>> owners(["a.weight", "a.bias", "b.conv.weight", "scale"])
    {'a': [0, 1], 'b.conv': [2], 'scale': [3]}
    """
    found: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        found.setdefault(name.rpartition(".")[0] or name, []).append(place)
    return found


@dataclass(frozen=True)
class Layers:
    """G layers in one history. rate: [G], median relative change over an interval; unsteady: [G], the MAD of
    log(rate / learning rate), NaN where a layer moved in fewer than three intervals."""

    rate: Floats
    unsteady: Floats

    @property
    def moved(self) -> Bools:
        """[G] which of them have a steadiness."""
        return np.isfinite(self.unsteady)

    def steadiness(self) -> float | None:
        """S = median over the layers that moved of exp(-unsteady): 1 follows the learning rate perfectly; None if none
        moved."""
        return float(np.median(np.exp(-self.unsteady[self.moved]))) if self.moved.any() else None


def layers_of(changes: Changes, groups: Sequence[Sequence[int]]) -> Layers | None:
    """The tensors of each group (places in `changes`) taken as one vector. None with fewer than two usual intervals."""
    part = steady_part(changes)
    if len(part.change) < 2:
        return None
    rates, unsteady = [], []
    for group in groups:
        column = tensor_rates(_as_one(part, list(group)), "l2")[:, 0]
        rates.append(float(np.median(column)))
        found = stability(column, part.lr)
        unsteady.append(np.nan if found is None else found)
    return Layers(np.array(rates), np.array(unsteady))


def _as_one(changes: Changes, group: list[int]) -> Changes:
    """Tensors joined into one: norms of the concatenation."""
    norm, change = (np.sqrt(np.square(each[:, group]).sum(axis=1))[:, None] for each in (changes.norm, changes.change))
    return replace(changes, norm=norm, change=change)


def scaled(values: Floats) -> Floats:
    """Values from 0 to 1: winsorized at the 5th and 95th percentile, then (x - min) / (max - min).

    Values that do not differ say nothing of any order: all become 0.5.
    """
    low, high = np.quantile(values, [EDGE, 1 - EDGE])
    if not high > low:
        return np.full(len(values), MIDDLE)
    return np.asarray((values.clip(low, high) - low) / (high - low))


def criteria(rate: Floats, importance: Floats, direction: Direction) -> tuple[Floats, Floats]:
    """u, v in [0, 1], [G]: of the rate (stable: a slow layer scores high; as_published: a fast one), and of the share
    of the importance."""
    moved, total = scaled(rate), float(importance.sum())
    share = importance / total if total > 0 else np.zeros(len(importance))
    return (1 - moved if direction == "stable" else moved), scaled(share)


def joined(alpha: float, u: Floats, v: Floats) -> Floats:
    """alpha u + (1 - alpha) v."""
    return np.asarray(alpha * u + (1 - alpha) * v)


def entropy_weight(u: Floats, v: Floats) -> float:
    """The weight of u by the entropy weight method: d_u / (d_u + d_v), d = 1 - H(x / sum x) / log G.

    A criterion that is spread more unequally weighs more; 0.5 where neither differs. Shannon (1948); Hwang and Yoon,
    Multiple attribute decision making (1981).
    """
    spread = [_divergence(each) for each in (u, v)]
    return spread[0] / sum(spread) if sum(spread) > 0 else MIDDLE


def _divergence(values: Floats) -> float:
    total = float(values.sum())
    if len(values) < 2 or total <= 0 or np.ptp(values) == 0:
        return 0.0
    share = values[values > 0] / total
    return max(0.0, 1 + float(share @ np.log(share)) / float(np.log(len(values))))


def critic_weight(u: Floats, v: Floats) -> float:
    """The weight of u by CRITIC, C_j = sd_j sum_k (1 - r_jk) (Diakoulaki et al., Computers & OR 22, 1995).

    With two criteria the conflict 1 - r is common to both, so the weight is a ratio of spreads: sd_u / (sd_u + sd_v).
    """
    spread = float(u.std()), float(v.std())
    return spread[0] / sum(spread) if sum(spread) > 0 else MIDDLE


def predicting_weight(u: Floats, v: Floats, effects: Floats) -> float:
    """The alpha on a grid of 0.05 whose score orders the layers most like `effects` do (Kendall's tau); of equal ones
    that nearest to 0.5."""
    grid = np.linspace(0, 1, round(1 / STEP) + 1)
    agreement = np.array([kendall(joined(alpha, u, v), effects) for alpha in grid])
    best = grid[agreement >= agreement.max() - 1e-12]
    return float(best[np.argmin(np.abs(best - MIDDLE))])


def rank_stability(alpha: float, u: Floats, v: Floats) -> float:
    """The smaller Kendall tau between the order at alpha and those at alpha - 0.2 and alpha + 0.2 (within [0, 1])."""
    near = (max(0.0, alpha - FAR), min(1.0, alpha + FAR))
    return min(kendall(joined(alpha, u, v), joined(other, u, v)) for other in near)


def kendall(a: Floats, b: Floats) -> float:
    """Kendall's tau-b: (pairs ordered alike - pairs ordered against) / sqrt(pairs not tied in a x pairs not tied in b).

    1 if neither has any order, 0 if one alone has. Kendall, Biometrika 33 (1945).

    >>> kendall(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0]))
    0.3333333333333333
    """
    first, second = (np.sign(np.round(x[:, None] - x[None], 12)) for x in (a, b))
    untied = float(np.abs(first).sum()), float(np.abs(second).sum())
    if not any(untied):
        return 1.0
    return float((first * second).sum() / np.sqrt(untied[0] * untied[1])) if all(untied) else 0.0


def overall(alpha: float, steadiness: float, effective_share: float) -> float:
    """alpha S + (1 - alpha) (1 - N_eff / N), in [0, 1]."""
    return alpha * steadiness + (1 - alpha) * (1 - effective_share)


@dataclass(frozen=True)
class Shared:
    """Layers that both sides know. names: [G]; history: places of their tensors in the changes; weighed: places in the
    importance. unfollowed, unweighed: tensors that only the importance, or only the history, names; vectors: layers
    left out because they own vectors alone."""

    names: tuple[str, ...]
    history: tuple[tuple[int, ...], ...]
    weighed: tuple[tuple[int, ...], ...]
    unfollowed: int
    unweighed: int
    vectors: int


def shared(changes: Changes, tensors: Sequence[str]) -> Shared:
    """Tensors are matched by name, and grouped by the module that owns them.

    Layers of vectors alone (normalization) are left out where any layer owns a matrix: they start near 0 or 1 and move
    at rates of their own.
    """
    places: Mapping[str, int] = {name: place for place, name in enumerate(changes.tensors)}
    both = [name for name in tensors if name in places]
    weighed = {name: place for place, name in enumerate(tensors)}
    groups = {owner: [both[at] for at in members] for owner, members in owners(both).items()}
    solid = {owner: names for owner, names in groups.items() if any(changes.dims[places[name]] >= 2 for name in names)}
    kept = solid or groups
    return Shared(
        tuple(kept),
        tuple(tuple(places[name] for name in names) for names in kept.values()),
        tuple(tuple(weighed[name] for name in names) for names in kept.values()),
        len(tensors) - len(both), len(places) - len(both), len(groups) - len(kept),
    )  # fmt: skip
