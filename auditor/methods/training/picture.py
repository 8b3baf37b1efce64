"""Records made small enough to show: thinned columns, short names, bands over seeds."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from auditor.methods.training.record import Floats, Ints


def thinned(count: int, at_most: int) -> Ints:
    """At most `at_most` of 0 ... count - 1, evenly spread, the first and the last among them."""
    if count <= at_most:
        return np.arange(count)
    return np.unique(np.linspace(0, count - 1, at_most).round().astype(np.int64))


def short_names(names: Sequence[str]) -> tuple[str, ...]:
    """Dotted names without ".weight" and without the leading and trailing parts that most of them share.

    No name is left beginning with a number that did not; names that would become equal are given in full.

    >>> short_names(["net.blocks.0.conv.weight", "net.blocks.1.conv.weight", "net.head.weight"])
    ('blocks.0', 'blocks.1', 'head')
    """
    full = [name.removesuffix(".weight").split(".") for name in names]
    short = full
    if len(full) > 1:
        short = [part[::-1] for part in _without_shared([part[::-1] for part in _without_shared(full, to_a_word=True)])]
    joined = tuple(".".join(part) for part in short)
    return joined if len(set(joined)) == len(joined) else tuple(".".join(part) for part in full)


def _without_shared(names: list[list[str]], to_a_word: bool = False) -> list[list[str]]:
    """Drop first parts, one at a time, while most names begin alike; to_a_word: no number may come first."""
    while True:
        first, count = Counter(name[0] for name in names).most_common(1)[0]
        alike = [name for name in names if name[0] == first and len(name) > 1]
        numbered = to_a_word and any(name[1].isdigit() for name in alike)
        if first.isdigit() or 2 * count <= len(names) or len(alike) < count or numbered:
            return names
        names = [name[1:] if name[0] == first else name for name in names]


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
