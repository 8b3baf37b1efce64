"""Standings: the layers of a model by steadiness and importance, read off a trajectory and an importance."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from auditor.artifacts.importance import Effects, Importance
from auditor.artifacts.score_pages import Standing
from auditor.artifacts.trajectory import Trajectory
from auditor.errors import NotApplicable

if TYPE_CHECKING:
    from auditor.methods.importance.score import Direction, Layers, Shared, Weighting
else:
    Direction = Weighting = Layers = Shared = Any


@dataclass(frozen=True)
class Standings:
    """standing: with rates that are medians over the histories; steadiness, rank_stability: one a history whose layers
    moved. share_error: standard error of the effective share over examples, None if unknown, 0 if it is exact; blocks:
    on how many blocks it rests. notes: what was left out or had to be defined."""

    standing: Standing
    steadiness: tuple[float, ...]
    rank_stability: tuple[float, ...]
    share_error: float | None
    blocks: int
    notes: tuple[str, ...]


def standings(
    trajectory: Trajectory, importance: Importance, effects: Effects | None,
    direction: Direction, weighting: Weighting, alpha: float,
) -> Standings:  # fmt: skip
    """NotApplicable where no layer is known to both, or none moved, or nothing has any importance."""
    import numpy as np

    from auditor.methods.importance import score

    known = score.shared(trajectory.changes[0], importance.tensors)
    if not known.names:
        raise NotApplicable("the history and the model have no parameter name in common")
    read = [score.layers_of(part, known.history) for part in trajectory.changes]
    layers = [each for each in read if each is not None]
    steady = [found for each in layers if (found := each.steadiness()) is not None]
    if not steady or importance.effective_share is None:
        raise NotApplicable(
            "no parameter has any importance" if steady else "no layer moved in three intervals of the usual length"
        )
    totals = importance.first if weighting == "cross_validated" else importance.total
    summed = np.array([importance.total[list(at)].sum() for at in known.weighed])
    first = np.array([totals[list(at)].sum() for at in known.weighed])
    rate = np.median([each.rate for each in layers], axis=0)
    u, v = score.criteria(rate, summed, direction)
    chosen = alpha
    match weighting:
        case "entropy":
            chosen = score.entropy_weight(u, v)
        case "critic":
            chosen = score.critic_weight(u, v)
        case "cross_validated" if effects is not None:
            by_name = dict(zip(effects.groups, effects.effects.tolist(), strict=True))
            told = np.array([by_name[name] for name in known.names])
            chosen = score.predicting_weight(u, score.criteria(rate, first, direction)[1], told)
    agreed = [score.rank_stability(chosen, score.criteria(each.rate, summed, direction)[0], v) for each in layers]
    share, error, blocks = _share(importance)
    of_all = summed / summed.sum() if summed.sum() > 0 else summed
    standing = Standing(known.names, rate, of_all, u, v, chosen, float(np.median(steady)), share)
    notes = tuple(_notes(known, layers, standing, len(trajectory.changes) - len(layers)))
    return Standings(standing, tuple(steady), tuple(agreed), error, blocks, notes)


def _share(importance: Importance) -> tuple[float, float | None, int]:
    """The effective share within [0, 1], its standard error, and the blocks it rests on."""
    from auditor.statistics import moments

    if not len(importance.effective_told):
        plain = importance.effective_share or 0.0
        return plain, None if importance.read else 0.0, 0
    mean, sd, n = moments(importance.effective_told)
    return min(1.0, max(0.0, mean)), sd / n**0.5, n


def _notes(known: Shared, layers: list[Layers], standing: Standing, short: int) -> Iterator[str]:
    import numpy as np

    still = int((~np.any([each.moved for each in layers], axis=0)).sum())
    counted = (
        (known.unfollowed, "parameter tensors of the model are not in its history and are left out"),
        (known.unweighed, "tensors of the history are no parameters of the model under that name and are left out"),
        (known.vectors, "layers that own vectors alone (normalization) are left out"),
        (still, "layers never moved, or in fewer than three intervals: they have a rate, and no steadiness"),
        (short, "histories have fewer than two intervals of the usual length and are left out"),
    )
    yield from (f"{count} {words}." for count, words in counted if count)
    if len(known.names) < 2:
        yield "One layer alone has no rank: rank_stability is not measured."
        return
    for what, letter, values in (("rates", "u", standing.u), ("importances", "v", standing.v)):
        if not np.ptp(values):
            yield f"The {what} do not differ once the extremes are cut: {letter} is 0.5 for all layers."
