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


def band(rows: Sequence[Floats]) -> tuple[Floats, Floats, Floats]:
    """Median, smallest and largest at each place over rows of any length; a row counts as far as it is finite."""
    table = np.full((len(rows), max(len(row) for row in rows)), np.nan)
    for place, row in zip(table, rows, strict=True):
        place[: len(row)] = np.where(np.isfinite(row), row, np.nan)
    table = table[:, np.isfinite(table).any(axis=0)]
    return np.nanmedian(table, axis=0), np.nanmin(table, axis=0), np.nanmax(table, axis=0)
