"""The path of the weights: where it stood at each record, how straight it ran, and what it looks like in a plane."""

import numpy as np

from auditor.methods.training.record import Changes, Floats, Ints

GAPS = 16


def points(changes: Changes) -> Floats:
    """[R + 1, 256] the projected weights at each record, from the start: sums of the projected changes.

    Up to the first interval that is not finite; [R + 1, 0] for a history without projections.
    """
    kept = np.asarray(np.isfinite(changes.projection).all(axis=1) & np.isfinite(changes.change).all(axis=1))
    end = len(kept) if kept.all() else int(np.argmin(kept))
    start = np.zeros((1, changes.projection.shape[1]))
    return np.concatenate([start, np.cumsum(changes.projection[:end], axis=0)])


def distances(at: Floats) -> Floats:
    """[N, N] between points, each known to about one part in 22 (a projection to 256 numbers)."""
    squares = np.square(at).sum(axis=1)
    return np.asarray(np.sqrt(np.maximum(squares[:, None] + squares - 2 * at @ at.T, 0.0)))


def even_records(steps: Ints, gaps: int = GAPS) -> Ints | None:
    """Places of the gaps + 1 records nearest to equal gaps in steps, first and last among them; None if two of these
    places fall on one record."""
    wanted = np.linspace(steps[0], steps[-1], gaps + 1)
    nearest = np.abs(steps[:, None] - wanted).argmin(axis=0)
    return nearest if len(steps) > gaps and (np.diff(nearest) > 0).all() else None


def efficiency(at: Floats, steps: Ints) -> float | None:
    """norm(end - start) / sum of the norms over 16 gaps of equal length: 1 straight, .25 a random walk, 0 a circle.

    A random walk measures 1 / sqrt(16) at any spacing of its records, since its gaps grow as the square root of their
    length. None for fewer than 16 intervals, records that leave a gap without an end of its own, or no movement.
    """
    places = even_records(steps[: len(at)]) if at.shape[1] else None
    if places is None:
        return None
    walked = float(np.linalg.norm(np.diff(at[places], axis=0), axis=1).sum())
    return float(np.linalg.norm(at[-1] - at[0])) / walked if walked > 0 else None


def plane(at: Floats) -> tuple[Floats, float]:
    """[N, 2] the points on their two principal axes, and the share of their variance that these hold."""
    centred = at - at.mean(axis=0)
    left, spread, _ = np.linalg.svd(centred, full_matrices=False)
    total = float(np.square(spread).sum())
    flat = np.zeros((len(at), 2))
    flat[:, : min(2, len(spread))] = left[:, :2] * spread[:2]
    return flat, float(np.square(spread[:2]).sum()) / total if total > 0 else 1.0
