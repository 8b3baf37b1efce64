"""Which rows are used, and in which order: both drawn from digests, so that nothing else can change them."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence

from auditor.spec.options import Sample


def permuted(count: int, seed: str) -> tuple[int, ...]:
    """0 ... count - 1 in the order of sha256(seed, index): a uniform permutation that no library version changes.

    >>> sorted(permuted(5, "a"))
    [0, 1, 2, 3, 4]
    """

    def place(index: int) -> bytes:
        return hashlib.sha256(f"{seed}:{index}".encode()).digest()

    return tuple(sorted(range(count), key=place))


def sampled(labels: Sequence[str], sample: Sample | None, seed: str) -> tuple[int, ...]:
    """The rows used, ascending: all, or the first n of the permutation; stratified: the shares of the classes kept.

    A smaller sample is part of a larger one of the same data (stratified: class by class, up to rounding).
    """
    if sample is None or sample.n >= len(labels):
        return tuple(range(len(labels)))
    order = permuted(len(labels), seed)
    if not sample.stratify:
        return tuple(sorted(order[: sample.n]))
    quota = shares(Counter(labels), sample.n)
    taken: Counter[str] = Counter()
    rows = []
    for row in order:
        if taken[labels[row]] < quota[labels[row]]:
            taken[labels[row]] += 1
            rows.append(row)
    return tuple(sorted(rows))


def shares(counts: Counter[str], n: int) -> dict[str, int]:
    """n rows shared among the classes in proportion to their counts, by largest remainder.

    >>> shares(Counter(a=60, b=30, c=10), 10)
    {'a': 6, 'b': 3, 'c': 1}
    """
    total = sum(counts.values())
    quota = {name: n * count // total for name, count in counts.items()}
    left = n - sum(quota.values())
    by_remainder = sorted(counts, key=lambda name: (-(n * counts[name] % total), name))
    for name in by_remainder[:left]:
        quota[name] += 1
    return quota


def split(labels: Sequence[str], part: str, seed: str, test_share: float = 0.3) -> tuple[int, ...]:
    """The rows of "all", "train" or "test", ascending: in each class the first 30% of the permutation are the test."""
    if part == "all":
        return tuple(range(len(labels)))
    by_class: dict[str, list[int]] = defaultdict(list)
    for row in permuted(len(labels), seed):
        by_class[labels[row]].append(row)
    chosen: list[int] = []
    for rows in by_class.values():
        cut = round(test_share * len(rows))
        chosen.extend(rows[:cut] if part == "test" else rows[cut:])
    return tuple(sorted(chosen))
