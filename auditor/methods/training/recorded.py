"""A run recorded in somebody's own training loop, as changes and curves."""

from collections.abc import Mapping, Sequence
from math import nan

import numpy as np

from auditor.methods.training.record import Bools, Changes, Curves, Floats, Ints, Series
from auditor.recorder.tensorboard import Events
from auditor.recorder.trace import Curve, Trace
from auditor.recorder.words import GRADIENT, LOSS, LR, series_of

MOVED = ("norm", "change", "l1_norm", "l1_change", "elementwise", "quantiles", "projection", "resolution")


def followed(trace: Trace) -> Bools:
    """[R] the intervals that changes can be made of.

    Where a run was resumed later than its last record, the steps between are missing. The interval after such a gap
    would seem longer than it is, so those that follow it are left out up to the first of the full length.
    """
    kept = np.ones(len(trace.steps), dtype=np.bool_)
    short = False
    for row in range(1, len(kept)):
        short = short or trace.begins[row] != trace.steps[row - 1]
        if short and trace.steps[row] - trace.begins[row] < trace.every:
            kept[row] = False
        else:
            short = False
    return kept


def holes(trace: Trace) -> list[tuple[int, int]]:
    """The stretches of steps, from and to, that are not followed."""
    kept = followed(trace)
    steps, begins = trace.steps[kept].tolist(), trace.begins[kept].tolist()
    return [(end, begin) for end, begin in zip(steps[:-1], begins[1:], strict=True) if end != begin]


def trace_changes(trace: Trace, names: Mapping[str, str]) -> Changes:
    """The changes over the intervals of a trace, the dense first ones among them; names: the model's names.

    The learning rate of an interval is the mean over the trained elements whose rate is known.
    """
    kept = followed(trace)
    weights = np.where(np.isfinite(trace.tensor_lr), trace.sizes * trace.trained, 0.0)[kept]
    whole = weights.sum(axis=1)
    rates = np.nan_to_num(trace.tensor_lr[kept])
    lr = np.divide((rates * weights).sum(axis=1), whole, out=np.full(len(whole), nan), where=whole > 0)
    return Changes(
        tensors=tuple(names[name] for name in trace.tensors), sizes=trace.sizes, dims=trace.dims, trained=trace.trained,
        steps=np.concatenate([trace.begins[kept][:1], trace.steps[kept]]), lr=lr,
        turn=np.full(trace.change[kept].shape, nan), **{name: getattr(trace, name)[kept] for name in MOVED},
    )  # fmt: skip


def trace_curves(trace: Trace) -> Curves:
    """The losses, learning rates, gradients and metrics of a trace."""
    kept = followed(trace)
    series = {LOSS: trace.loss} if len(trace.loss.steps) else {}
    if (known := np.isfinite(trace.lr).any(axis=1)).any():
        series[LR] = Curve(trace.steps[known], np.nanmean(trace.lr[known], axis=1))
    if (seen := ~np.isnan(trace.gradient).all(axis=1)).any():
        series[GRADIENT] = Curve(trace.steps[seen], np.sqrt(np.nansum(np.square(trace.gradient[seen]), axis=1)))
    return _curves(
        {**_by_series(trace.metrics, taken=tuple(series)), **series}, trace.steps[kept], trace.gradient[kept]
    )


def event_curves(events: Events) -> Curves:
    """The scalars of event files by their series, and the norm of each tensor of which histograms were written."""
    norms = {f"norm/{tag}": curve for tag, curve in events.norms.items()}
    return _curves({**_by_series(events.scalars, taken=()), **norms}, np.zeros(0, dtype=np.int64), np.zeros((0, 0)))


def _by_series(curves: Mapping[str, Curve], taken: Sequence[str]) -> dict[str, Curve]:
    """By the series that each name means; where several mean one, the longest is it, and others keep their names."""
    found: dict[str, Curve] = {}
    for name, curve in sorted(curves.items(), key=lambda item: (-len(item[1].steps), item[0])):
        series = series_of(name)
        found[f"metric/{name}" if series in found or series in taken else series] = curve
    return found


def _curves(series: Mapping[str, Curve], steps: Ints, gradient: Floats) -> Curves:
    return Curves({name: Series(curve.steps, curve.values) for name, curve in series.items()}, steps, gradient)


def resumes(trace: Trace) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The steps at which recording began anew; and of them those at which the optimizer held no state."""
    later = trace.segments[1:]
    cold = tuple(segment.start for segment in later if segment.optimizer_state is False)
    return tuple(segment.start for segment in later), cold
