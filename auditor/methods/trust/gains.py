"""Gains: how much better a map's curve is than that of the same map in the wrong places, example by example."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Numbers = NDArray[np.floating[Any]]
LEAST = 0.1
"""Examples whose score moves by less than this share of its standard deviation, when all is removed, are left out."""


def areas(curves: Numbers, fractions: Floats) -> Floats:
    """The area under curves [..., n, points] over the share of parts [n, points], by the trapezoid rule.

    >>> areas(np.array([[1.0, 0.5, 0.0]]), np.array([[0.0, 0.25, 1.0]])).tolist()
    [0.375]
    """
    middle = (curves[..., 1:].astype(np.float64) + curves[..., :-1]) / 2
    found: Floats = (middle * np.diff(fractions, axis=-1)).sum(axis=-1)
    return found


def moves(full: Numbers, gone: Numbers) -> Flags:
    """Which examples can be judged: |f(x) - f(x_ref)| is at least a tenth of the sd of f(x) under every fill.

    full: f(x) [n]; gone: f(x_ref) [fills, n]. Without spread in f(x) any change counts.
    """
    spread = float(np.std(full.astype(np.float64), ddof=1)) if len(full) > 1 else 0.0
    size = np.abs(full - gone).min(axis=0)
    kept: Flags = (size >= LEAST * spread) & (size > 0)
    return kept


def on_scale(curves: Numbers, full: Numbers, gone: Numbers, normalized: bool = True) -> Floats:
    """Raw curves [..., fills, n, points] as they are shown: (f - f(x_ref)) / |f(x) - f(x_ref)|, or f itself.

    Divided by the size of the difference: for an example whose score rises when all is removed a map is still good if
    its foremost parts lower the score.
    """
    raw = curves.astype(np.float64)
    if not normalized:
        return raw
    span = np.abs(full.astype(np.float64) - gone)
    found: Floats = (raw - gone[..., None]) / np.where(span > 0, span, 1.0)[..., None]
    return found


def worse(values: Floats, better: int = 1) -> int:
    """The fill under which the mean over the examples is worse; values [fills, n], better: 1 up, -1 down."""
    return int(np.argmin(better * values.mean(axis=1)))
