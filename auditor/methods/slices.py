"""Slices: parts of a data set by value or by a tree's rule, and the one where a model is most surely weak."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.integer[Any]]
Bools = NDArray[np.bool_]
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Partition:
    """The rows of a data set in slices: `code` [n] is the slice of each row, an index of `names`."""

    names: tuple[str, ...]
    code: NDArray[np.int64]


Family = tuple[Partition, ...]
"""Partitions of one kind, of which one slice is chosen."""


def by_class(kind: str, code: Ints, classes: Sequence[str]) -> Family:
    """One slice a class, named "kind: class"; code: the class of each row."""
    return (Partition(tuple(f"{kind}: {name}" for name in classes), code.astype(np.int64)),)


def by_value(kind: str, values: Sequence[str]) -> Partition:
    """One slice a value, named "kind: value".

    >>> by_value("site", ["b", "a", "b"])
    Partition(names=('site: a', 'site: b'), code=array([1, 0, 1]))
    """
    names, code = np.unique(np.asarray(values, dtype=str), return_inverse=True)
    return Partition(tuple(f"{kind}: {name}" for name in names.tolist()), code.ravel().astype(np.int64))


def by_tree(
    values: Doubles, names: Sequence[str], hit: Bools, rows: Ints, smallest: int, depth: int, seed: int
) -> Family:
    """The nodes of a small decision tree that separates errors from hits, grown on some rows and applied to all.

    values: float64 [n, k] with a name a column. smallest: rows a node must hold. One partition for each depth of the
    tree, since a weak part that is split further is seen more surely as a whole. Breiman et al., Classification and
    regression trees (1984); after Chung et al., Slice Finder, ICDE 2019.
    """
    from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier(max_depth=depth, min_samples_leaf=smallest, random_state=seed % 2**32)
    grown = tree.fit(values[rows], hit[rows]).tree_
    rules, seen = _rules(grown, names), values.astype(np.float32)  # the tree compares in float32
    node, found = np.zeros(len(values), dtype=np.int64), []
    for _ in range(grown.max_depth):
        below = seen[np.arange(len(seen)), np.maximum(grown.feature[node], 0)] <= grown.threshold[node]
        child = np.where(below, grown.children_left[node], grown.children_right[node])
        node = np.where(grown.children_left[node] < 0, node, child)
        nodes, code = np.unique(node, return_inverse=True)
        said = tuple(f"found: {rules[index]}" for index in nodes.tolist())
        found.append(Partition(said, code.ravel().astype(np.int64)))
    return tuple(found)


def _rules(tree: Any, names: Sequence[str]) -> dict[int, str]:
    """The path to each node in words; of several bounds on one side of a trait the tightest."""
    found: dict[int, str] = {}
    waiting: list[tuple[int, dict[tuple[str, str], float]]] = [(0, {})]
    while waiting:
        node, bounds = waiting.pop()
        found[node] = " and ".join(f"{n} {s} {b:.4g}" for (n, s), b in bounds.items())
        if tree.children_left[node] < 0:
            continue
        name, at = names[tree.feature[node]], float(tree.threshold[node])
        waiting.append((int(tree.children_left[node]), {**bounds, (name, "<="): at}))
        waiting.append((int(tree.children_right[node]), {**bounds, (name, ">"): at}))
    return found


def weakest(family: Sequence[Partition], hit: Bools, rows: Ints, smallest: int) -> tuple[Partition, int] | None:
    """The slice that is most surely weak on `rows`: the largest sqrt(n_s) (accuracy of all - accuracy of s).

    That is the score statistic of "s is as good as all", up to a factor: a weak part counts as a whole, rather than
    the corner of it that chance made worse. Of the slices of a family with at least `smallest` of these rows and some
    rows beside them; None if there is none. Given as its partition and its code there.
    """
    found: list[tuple[float, int, int]] = []
    for place, partition in enumerate(family if len(rows) else ()):
        size = np.bincount(partition.code[rows], minlength=len(partition.names))
        good = np.bincount(partition.code[rows], weights=hit[rows], minlength=len(partition.names))
        kept = np.flatnonzero((size >= smallest) & (size < len(rows)))
        lack = np.sqrt(size[kept]) * (hit[rows].mean() - good[kept] / size[kept])
        found.extend((-float(value), place, int(k)) for value, k in zip(lack, kept, strict=True))
    if not found:
        return None
    _, place, k = min(found)
    return family[place], k
