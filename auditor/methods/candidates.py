"""Candidates: scores of several models on the same examples, told apart pair by pair, and what may be said of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.methods.training.curves import finite_part, steps_to_target
from auditor.methods.training.record import Run
from auditor.methods.two_way import TwoWay, hierarchical, two_way

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

ROUNDING = 1e-6
"""Losses nearer than this, relative to the larger (or to 1), are equal: single precision tells no more."""

MORE = 4
"""Examples that a difference of right answers counts in its variance beside its own."""

SLACK = 0.1
"""A result within this share of the best counts as as good, for the tolerance of a learning rate."""


@dataclass(frozen=True)
class Scores:
    """One candidate's scores, a row a seed: loss float64 [K, n], right bool [K, n] (None where there are no classes).

    A loss that is not finite is infinite, and its answer wrong. diverged: how many of the seeds did not end well.
    """

    loss: Floats
    right: Bools | None
    diverged: int = 0

    @property
    def finite(self) -> bool:
        """Whether all losses are."""
        return bool(np.isfinite(self.loss).all())

    @property
    def table(self) -> Floats:
        """What ranks candidates, higher being better: right answers, without classes the loss with its sign turned."""
        return -self.loss if self.right is None else self.right.astype(np.float64)

    def less(self, other: "Scores", groups: Sequence[str]) -> TwoWay:
        """The mean difference of both tables. Of right answers four examples more, two won and two lost, are in its
        variance: where few answers differ, those that are lacking by luck lack in their spread too. After Agresti and
        Min, Simple improved confidence intervals for comparing matched proportions, Statistics in Medicine 24 (2005).
        """
        found = gap(self.table, other.table, groups)
        if self.right is None or found.variance == 0:
            return found
        return replace(found, variance=found.variance + MORE / self.table.shape[1] ** 2)


def paired(one: NDArray[Any], other: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Two tables with the same rows: a single row beside several is repeated, else both keep the first that both have.

    So seed k is beside seed k; a model that is one and the same whatever the seed is beside each.
    """
    rows = max(len(one), len(other)) if 1 in (len(one), len(other)) else min(len(one), len(other))
    first, second = (np.repeat(each, rows, axis=0) if len(each) == 1 else each[:rows] for each in (one, other))
    return first, second


def wins(one: Scores, other: Scores) -> Floats:
    """[K, n]: 1 where the first has the lower loss, 0 where the other has, 1/2 where they are equal to rounding.

    Its mean estimates P(loss < loss') + P(loss = loss') / 2 over a fresh seed and example.
    """
    mine, theirs = paired(one.loss, other.loss)
    with np.errstate(invalid="ignore"):
        off = mine - theirs
        near = ROUNDING * np.maximum(1.0, np.maximum(np.abs(mine), np.abs(theirs)))
    tied = (mine == theirs) | (np.abs(off) <= np.where(np.isfinite(near), near, 0.0))
    return np.where(tied, 0.5, (mine < theirs).astype(np.float64))


def gap(one: NDArray[Any], other: NDArray[Any], groups: Sequence[str]) -> TwoWay:
    """The mean difference of two tables of scores, over seeds and examples (two_way)."""
    first, second = paired(np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64))
    return two_way(first - second, groups)


@dataclass(frozen=True)
class Apart:
    """One number of a pair. drawn: its bootstrap distribution, None where Student's interval is its interval. bound:
    "lower" or "upper" where a run diverged, whose last finite weights look better than it was; "" otherwise."""

    name: str
    found: TwoWay
    drawn: tuple[float, ...] | None = None
    bound: str = ""


def apart(own: Scores, other: Scores, groups: Sequence[str], seed: int) -> list[Apart]:
    """Superiority of a model over another, and the differences of accuracy and loss where both have them.

    What is higher for a better model is an upper bound where its own training diverged, a lower one where the other's
    did; the difference of losses is the other way round.
    """
    won = wins(own, other)
    up = "upper" if own.diverged else "lower" if other.diverged else ""
    mean = two_way(won, groups)
    found = [Apart("superiority", mean, None if mean.few_seeds else hierarchical(won, groups, seed, (0.0, 1.0)), up)]
    if own.right is not None and other.right is not None:
        found.append(Apart("accuracy_difference", own.less(other, groups), bound=up))
    if own.finite and other.finite:
        down = "upper" if other.diverged else "lower" if own.diverged else ""
        found.append(Apart("loss_difference", gap(own.loss, other.loss, groups), bound=down))
    return found


@dataclass(frozen=True)
class Standing:
    """What can be said of the best. best: the name with the highest mean score; beaten: those that it beats, equal:
    those that it cannot be told from (with too few seeds or units it beats nobody), each with the difference; lost:
    those that diverged; confidence: of each pair."""

    best: str
    beaten: Mapping[str, TwoWay]
    equal: Mapping[str, TwoWay]
    lost: tuple[str, ...]
    confidence: float


def standing(tables: Mapping[str, Scores], groups: Sequence[str], confidence: float) -> Standing | None:
    """The best candidate against each other; None where none ended well.

    The best is chosen by looking. A candidate is wrongly said not to be the best only if it is the true best, so all
    its comparisons, one less than there are candidates, are to hold at once: each is held to 1 - (1 - confidence) /
    (candidates - 1). Hsu, Annals of Statistics 12 (1984), multiple comparisons with the best, by Bonferroni.
    """
    lost = tuple(name for name, each in tables.items() if each.diverged or not _finite(each))
    left = {name: each for name, each in tables.items() if name not in lost}
    if not left:
        return None
    each_at = 1 - (1 - confidence) / max(1, len(left) - 1)
    best = max(left, key=lambda name: float(left[name].table.mean()))
    gaps = {name: left[best].less(each, groups) for name, each in left.items() if name != best}
    beaten = {name: found for name, found in gaps.items() if found.decides and found.interval(each_at)[0] > 0}
    equal = {name: found for name, found in gaps.items() if name not in beaten}
    return Standing(best, beaten, equal, lost, each_at)


def _finite(scores: Scores) -> bool:
    return bool(np.isfinite(scores.table).all())


@dataclass(frozen=True)
class Tolerance:
    """Decades of learning rate that do as well as the best: at least `inner`, at most `outer` (None where the grid
    ends before the result is worse). inside, unsure: the rates of the grid that surely do, and that may. decides: as of
    TwoWay."""

    inner: float
    outer: float | None
    best: float
    inside: tuple[float, ...]
    unsure: tuple[float, ...]
    decides: bool


def lr_tolerance(losses: Mapping[float, Floats | None], groups: Sequence[str], confidence: float) -> Tolerance | None:
    """The stretch of learning rates around the best whose mean loss is at most 1.1 times the lowest.

    losses: [K, n] by learning rate, None for one that diverged. A rate is surely within if the interval of
    loss - 1.1 x the best's loss, over seeds and examples and corrected for the number of rates, ends below 0, surely
    not if it begins above. None with fewer than two rates or where the lowest loss is not above 0.
    """
    grid = sorted(losses)
    kept = {rate: table for rate in grid if (table := losses[rate]) is not None and np.isfinite(table).all()}
    if len(grid) < 2 or not kept:
        return None
    best = min(kept, key=lambda rate: float(kept[rate].mean()))
    if kept[best].mean() <= 0:
        return None
    at = 1 - (1 - confidence) / max(1, len(grid) - 1)
    verdicts = {rate: _within(kept.get(rate), kept[best], groups, at) if rate != best else 1 for rate in grid}
    place = grid.index(best)
    down, up = grid[: place + 1][::-1], grid[place:]
    ends = [_reach(side, verdicts) for side in (down, up)]
    inner = np.log10(ends[1][0] / ends[0][0])
    outer = float(np.log10(ends[1][1] / ends[0][1])) if all(end[1] for end in ends) else None
    inside = tuple(rate for rate in grid if ends[0][0] <= rate <= ends[1][0])
    unsure = tuple(rate for rate in grid if verdicts[rate] == 0)
    return Tolerance(float(inner), outer, best, inside, unsure, two_way(kept[best], groups).decides)


def _within(table: Floats | None, best: Floats, groups: Sequence[str], confidence: float) -> int:
    """1: surely within, -1: surely not, 0: not known."""
    if table is None:
        return -1
    low, high = gap(table, (1 + SLACK) * best, groups).interval(confidence)
    return 1 if high < 0 else -1 if low > 0 else 0


def _reach(side: Sequence[float], verdicts: Mapping[float, int]) -> tuple[float, float]:
    """From the best outward: the last rate up to which all are surely within, and the first that surely is not (0)."""
    stop = next((at for at, rate in enumerate(side) if verdicts[rate] < 1), len(side))
    outside = next((rate for rate in side if verdicts[rate] < 0), 0.0)
    return side[stop - 1], outside


@dataclass(frozen=True)
class Race:
    """Steps to one loss that every candidate reaches: target, the common horizon, and by name (steps, reached)."""

    target: float
    horizon: float
    times: Mapping[str, tuple[tuple[float, bool], ...]]


def race(candidates: Mapping[str, Sequence[Run]]) -> Race | None:
    """The time of each seed to the worst of the candidates' minima; None unless two candidates learned something.

    A candidate's minimum is the mean over its seeds of the lowest validation loss. Candidates with a seed that
    diverged, or that never fell below the loss before step 1, set no target. Times beyond the shortest run of all are
    censored there, so that all are watched equally long.
    """
    lowest = {name: float(np.mean(found)) for name, runs in candidates.items() if (found := _lowest(runs))}
    if len(lowest) < 2:
        return None
    target = max(lowest.values())
    horizon = float(min(run.followed for runs in candidates.values() for run in runs))
    times = {name: tuple(_time(run, target, horizon) for run in runs) for name, runs in candidates.items()}
    return Race(target, horizon, times)


def _lowest(runs: Sequence[Run]) -> list[float]:
    """The lowest loss of each run; nothing where one diverged or did not fall."""
    found = []
    for run in runs:
        _, losses = finite_part(run.record_steps, run.validation_loss)
        if run.diverged or not len(losses) or losses.min() >= losses[0]:
            return []
        found.append(float(losses.min()))
    return found


def _time(run: Run, target: float, horizon: float) -> tuple[float, bool]:
    read = steps_to_target(run.record_steps, run.validation_loss, run.followed, target)
    return min(read.value, horizon), read.reached and read.value <= horizon
