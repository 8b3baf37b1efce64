"""What several tasks on one trunk cost each other: gradients that pull apart, and gaps to training alone."""

from collections.abc import Sequence

import numpy as np

from auditor.methods.training.record import Floats, Joint, Run, TaskCurve

Curve = Run | TaskCurve
"""What holds the validation losses and right answers of one task."""


def conflicts(joints: Sequence[Joint], pair: int) -> tuple[list[float], int]:
    """The share of a pair's records at which the gradients have a negative cosine, of each run that has a record with a
    cosine; and how many records have none, since a gradient is zero."""
    columns = [joint.cosine[:, pair] for joint in joints]
    known = [column[np.isfinite(column)] for column in columns]
    shares = [float((column < 0).mean()) for column in known if column.size]
    return shares, sum(map(len, columns)) - sum(map(len, known))


def end_of(curve: Curve) -> float | None:
    """The accuracy at the last record whose loss is finite or, without classes, that loss; None where no loss is."""
    at = np.flatnonzero(np.isfinite(curve.validation_loss))
    return float(seen_of(curve)[at[-1]]) if at.size else None


def gaps(alone: Sequence[Curve], together: Sequence[Curve]) -> list[float] | None:
    """How much worse a task ends together with others than alone, by seed: accuracy lost, or loss gained.

    None where a run never had a finite loss.
    """
    sign = -1 if any(curve.accuracy() is None for curve in together) else 1
    pairs = [(end_of(one), end_of(other)) for one, other in zip(alone, together, strict=True)]
    known = [sign * (one - other) for one, other in pairs if one is not None and other is not None]
    return known if len(known) == len(pairs) else None


def seen_of(curve: Curve) -> Floats:
    """What is shown of a task's learning: its accuracy, or its loss without classes."""
    accuracy = curve.accuracy()
    return curve.validation_loss if accuracy is None else accuracy
