"""Records made small enough to show: thinned columns, short names, bands over seeds."""

from collections.abc import Sequence
from itertools import takewhile

import numpy as np

from auditor.methods.training.record import Floats, Ints


def thinned(count: int, at_most: int) -> Ints:
    """At most `at_most` of 0 ... count - 1, evenly spread, the first and the last among them."""
    if count <= at_most:
        return np.arange(count)
    return np.unique(np.linspace(0, count - 1, at_most).round().astype(np.int64))


def short_names(names: Sequence[str]) -> tuple[str, ...]:
    """Dotted names without the parts they all begin with and without a final ".weight".

    >>> short_names(["net.block.0.weight", "net.block.1.weight", "net.head.bias"])
    ('block.0', 'block.1', 'head.bias')
    """
    parts = [name.removesuffix(".weight").split(".") for name in names]
    alike = takewhile(lambda level: len(set(level)) == 1, zip(*parts, strict=False))
    shared = sum(1 for _ in alike) if len(parts) > 1 else 0
    return tuple(".".join(part[min(shared, len(part) - 1) :]) for part in parts)


def band(histories: Sequence[tuple[Ints | Floats, Floats]]) -> tuple[Floats, Floats, Floats, Floats]:
    """Steps, and the median, smallest and largest value at each, over (steps, values) histories of any length.

    A history counts at a step as far as it has a finite value there; steps without any are left out.
    """
    steps = np.unique(np.concatenate([np.asarray(at, dtype=np.float64) for at, _ in histories]))
    table = np.full((len(histories), len(steps)), np.nan)
    for row, (at, values) in zip(table, histories, strict=True):
        row[np.searchsorted(steps, at)] = np.where(np.isfinite(values), values, np.nan)
    kept = np.isfinite(table).any(axis=0)
    seen = table[:, kept]
    return steps[kept], np.nanmedian(seen, axis=0), np.nanmin(seen, axis=0), np.nanmax(seen, axis=0)
