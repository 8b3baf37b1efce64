"""The phases, the order and the path of one history."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from auditor.methods.training.order import Exchange, exchanges, records_compared
from auditor.methods.training.path import distances, efficiency, plane, points
from auditor.methods.training.phases import SHORTEST, change_points
from auditor.methods.training.rates import decidable, model_rates, moving, steady_part
from auditor.methods.training.record import Changes, Curves, Floats, Ints, Run, Series

FADED = 0.01
"""Intervals at either end whose rate is below this share of the largest: a warm-up from nothing, or a decay to it."""

LOSSES = ("train_loss", "validation_loss", "loss")
FEWEST_RECORDS = 4


@dataclass(frozen=True)
class Learning:
    """One history. steps: [R] ends of its even intervals; rates: [R] of the whole model; lr_known: whether phases are
    those of rate / learning rate; starts: steps at which phases after the first begin, None if there are too few
    intervals; exchanges: pairs of steps that stand in each other's place, with the share of the path saved, None
    without projections, without a path and where rounding may be all of it; efficiency: of the path, None if not
    measured; flat: [N, 2] the path in a plane, shown: the share of its variance; path_steps: [N]."""

    steps: Ints
    rates: Floats
    lr_known: bool
    starts: tuple[int, ...] | None
    exchanges: tuple[tuple[int, int, float], ...] | None
    efficiency: float | None
    flat: Floats
    shown: float
    path_steps: Ints

    def value(self, metric: str) -> float | None:
        """A number by the name of its metric; None if it is not measured."""
        exchanged = None if self.exchanges is None else float(len(self.exchanges))
        phases = None if self.starts is None else float(len(self.starts) + 1)
        return {"order_inversions": exchanged, "path_efficiency": self.efficiency, "phases": phases}[metric]


def learning(changes: Changes, losses: Mapping[str, Series]) -> Learning:
    """All of it. losses: curves by name, of which the first of LOSSES shares its change points with the rate."""
    even = steady_part(changes)
    rates = model_rates(even, "l2") if len(even.change) else np.zeros(0)
    known = bool(rates.size and (np.isfinite(even.lr) & (even.lr > 0)).all())
    at = points(changes)
    path_steps = changes.steps[: len(at)]
    flat, shown = plane(at)
    return Learning(
        even.steps[1:], rates, known, _starts(even, rates, known, losses), _exchanged(changes, at),
        efficiency(at, changes.steps), flat, shown, path_steps,
    )  # fmt: skip


def _exchanged(changes: Changes, at: Floats) -> tuple[tuple[int, int, float], ...] | None:
    """None for few records, for records that are all alike, and where each change may be rounding alone."""
    if len(at) < FEWEST_RECORDS or not at.any() or not decidable(changes)[:, moving(changes)].any():
        return None
    steps = changes.steps
    places = records_compared(len(at))
    found: tuple[Exchange, ...] = exchanges(distances(at[places]))
    return tuple((int(steps[places[each.first]]), int(steps[places[each.second]]), each.saved) for each in found)


def _starts(even: Changes, rates: Floats, known: bool, losses: Mapping[str, Series]) -> tuple[int, ...] | None:
    """Steps at which new phases begin."""
    fast = np.flatnonzero(rates > FADED * rates.max(initial=0.0))
    if len(fast) < 2 * SHORTEST:
        return None
    part = slice(int(fast[0]), int(fast[-1]) + 1)
    kept = np.flatnonzero(rates[part] > 0) + part.start
    logs = np.log(rates[kept]) - (np.log(even.lr[kept]) if known else 0.0)
    ends = even.steps[1:][kept]
    places = records_compared(len(kept))
    tracks = [logs[places], *_loss_track(ends[places], losses)]
    return tuple(int(ends[places[start] - 1]) for start in change_points(np.array(tracks)))


def _loss_track(steps: Ints, losses: Mapping[str, Series]) -> list[Floats]:
    """The log of the first loss that is finite and above 0 and covers these steps, at them; none without one."""
    for name in LOSSES:
        found = losses.get(name)
        if found is None or len(found.steps) < 2 * SHORTEST or name == "loss":
            continue
        if np.isfinite(found.values).all() and (found.values > 0).all() and set(steps) <= set(found.steps.tolist()):
            return [np.log(np.interp(steps, found.steps, found.values))]
    return []


def losses_of(run: Run | None, curves: Curves | None) -> dict[str, Series]:
    """The losses that a history knows, by name, up to the first that is not finite."""
    found: dict[str, Series] = {}
    if run is not None:
        seen = run.record_steps
        found = {"train_loss": Series(seen, run.train_loss), "validation_loss": Series(seen, run.validation_loss)}
        found["loss"] = Series(run.steps(), run.loss)
    elif curves is not None:
        found = {name: curves.series[name] for name in LOSSES if name in curves.series}
    return {name: cut for name, series in found.items() if len((cut := _finite(series)).steps)}


def _finite(series: Series) -> Series:
    bad = np.flatnonzero(~np.isfinite(series.values))
    end = int(bad[0]) if bad.size else len(series.values)
    return Series(series.steps[:end], series.values[:end])
