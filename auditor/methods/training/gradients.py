"""Gradients over a run: their trend, the layers they do not reach or blow up in, and how much of them is noise."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auditor.methods.training.record import Bools, Floats, Ints, Run

VANISHING, EXPLODING, JUMP = 1e-4, 1e4, 100.0
HISTORY = 3


def slope(steps: Floats, values: Floats) -> float:
    """Least-squares slope of values against steps; 0 when all steps are the same."""
    centred = steps - steps.mean()
    spread = float(centred @ centred)
    return float(centred @ (values - values.mean())) / spread if spread > 0 else 0.0


def residuals(steps: Floats, values: Floats) -> Floats:
    """What is left of the values around their least-squares line."""
    return np.asarray(values - values.mean() - slope(steps, values) * (steps - steps.mean()))


def log_norms(runs: tuple[Run, ...]) -> tuple[Floats, Floats]:
    """Steps and the mean over the runs of the log gradient norm; a run counts while it is finite and not zero."""
    longest = max(len(run.gradient_norm) for run in runs)
    table = np.full((len(runs), longest), np.nan)
    for row, run in zip(table, runs, strict=True):
        good = np.isfinite(run.gradient_norm) & (run.gradient_norm > 0)
        row[: len(good)][good] = np.log(run.gradient_norm[good])
    held = np.isfinite(table)
    kept = held.any(axis=0)
    means = np.where(held, table, 0.0).sum(axis=0)[kept] / held.sum(axis=0)[kept]
    return np.flatnonzero(kept).astype(np.float64) + 1, np.asarray(means, dtype=np.float64)


@dataclass(frozen=True)
class Layers:
    """The trained matrices of a run: rms gradient per element at each record, [R, M], and which are out of range."""

    names: tuple[str, ...]
    steps: Ints
    rms: Floats
    vanishing: Bools
    exploding: Bools

    @property
    def vanishing_count(self) -> int | None:
        """How many vanish; None without a record."""
        return int(self.vanishing.sum()) if self.rms.size else None

    @property
    def exploding_count(self) -> int | None:
        """How many explode; None without a record."""
        return int(self.exploding.sum()) if self.rms.size else None


def layers_of(run: Run) -> Layers:
    """The trained tensors of two or more dimensions: norm of the gradient / sqrt(size) at each record."""
    kept = np.flatnonzero((run.changes.dims >= 2) & run.changes.trained)
    rms = run.gradient[:, kept] / np.sqrt(run.changes.sizes[kept])
    names = tuple(run.changes.tensors[place] for place in kept)
    ends = [] if run.diverged_at is None else [run.diverged_at]
    steps = np.array([*run.record_steps[1:], *ends], dtype=np.int64)[: len(rms)]
    return Layers(names, steps, rms, vanishing(rms), exploding(rms))


def median_norm(run: Run) -> float | None:
    """The median gradient norm over the steps where it is finite; None if it never is."""
    finite = run.gradient_norm[np.isfinite(run.gradient_norm)]
    return float(np.median(finite)) if finite.size else None


def vanishing(rms: Floats) -> Bools:
    """[M] the layers whose rms gradient is below 1e-4 of the median layer's, or zero, in at least half of the records.

    Zero counts whatever the median is: where most layers have no gradient, the median has none either.
    """
    finite = np.isfinite(rms).all(axis=1)
    if not finite.any():
        return np.zeros(rms.shape[1], dtype=np.bool_)
    seen = rms[finite]
    middle = np.median(seen, axis=1, keepdims=True)
    return np.asarray(((seen < VANISHING * middle) | (seen == 0)).mean(axis=0) >= 0.5)


def exploding(rms: Floats) -> Bools:
    """[M] the layers whose rms gradient is at some record not finite or above 100 times its own running median (of
    the records before, three at least), or above 1e4 times the median layer's in at least half of the records."""
    found = ~np.isfinite(rms).all(axis=0)
    seen = np.where(np.isfinite(rms), rms, np.inf)
    for record in range(HISTORY, len(seen)):
        before = np.median(seen[:record], axis=0)
        found |= (seen[record] > JUMP * before) & (before > 0)
    if len(seen):
        middle = np.median(seen, axis=1, keepdims=True)
        found |= (seen > EXPLODING * middle).mean(axis=0) >= 0.5
    return np.asarray(found)


@dataclass(frozen=True)
class NoiseScale:
    """tr(S) / |G|^2 in examples; None when |G|^2 may be 0."""

    value: float | None
    signal: float
    noise: float


def noise_scale(run: Run) -> NoiseScale:
    """The simple gradient noise scale: B = tr(S) / |G|^2, the batch size at which noise and signal are equal.

    From pairs of disjoint batches of m rows: |G|^2 = mean g1 . g2 and tr(S) = m / 2 mean |g1 - g2|^2, both unbiased
    over the records. Not determined when mean g1 . g2 is within two standard errors of 0.
    McCandlish et al., An Empirical Model of Large-Batch Training (2018).
    """
    good = np.isfinite(run.agreement) & np.isfinite(run.disagreement)
    agreement, disagreement = run.agreement[good], run.disagreement[good]
    if len(agreement) < 2:
        return NoiseScale(None, 0.0, 0.0)
    signal, noise = float(agreement.mean()), float(disagreement.mean()) * run.noise_rows / 2
    error = float(agreement.std(ddof=1)) / np.sqrt(len(agreement))
    return NoiseScale(noise / signal if signal > 2 * error else None, signal, noise)


def columns(runs: Sequence[Run], layers: Sequence[Layers]) -> dict[str, list[float | None]]:
    """The numbers of each run by metric name; None: it cannot be said."""
    return {
        "vanishing_layers": [found.vanishing_count for found in layers],
        "exploding_layers": [found.exploding_count for found in layers],
        "gradient_norm": [median_norm(run) for run in runs],
        "noise_scale": [noise_scale(run).value for run in runs],
    }
