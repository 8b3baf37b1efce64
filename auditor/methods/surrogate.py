"""Surrogate: small decision trees that say what a model says, their rules in words, and agreement beyond chance."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Leaf:
    """One leaf of a tree: its number in the tree, the way there in words, and the class it says."""

    number: int
    way: str
    says: int


@dataclass(frozen=True)
class Principal:
    """Principal components of a training table: rows x -> (x - mean) @ directions; shares of its variance."""

    mean: NDArray[np.float64]
    directions: NDArray[np.float64]
    shares: NDArray[np.float64]

    def of(self, table: Table) -> NDArray[np.float64]:
        """The components of any rows."""
        found: NDArray[np.float64] = (table.astype(np.float64) - self.mean) @ self.directions
        return found


def principal(table: Table, count: int) -> Principal:
    """The first `count` principal components, fewer where the table has fewer; the largest loading of each is positive.

    >>> found = principal(np.array([[1.0, 0.0], [-1.0, 0.0], [3.0, 0.1], [-3.0, -0.1]]), 1)
    >>> bool(found.shares[0] > 0.99), bool(found.directions[0, 0] > 0)
    (True, True)
    """
    mean = table.astype(np.float64).mean(axis=0)
    _, sizes, directions = np.linalg.svd(table - mean, full_matrices=False)
    kept = min(count, int((sizes > 1e-9 * max(float(sizes.max(initial=0.0)), 1e-300)).sum()))
    largest = directions[np.arange(len(directions)), np.abs(directions).argmax(axis=1)]
    turned = (directions * np.sign(largest)[:, None])[:kept].T
    return Principal(mean, turned, sizes[:kept] ** 2 / max(float((sizes**2).sum()), 1e-300))


def grown(table: Table, said: NDArray[np.int64], depth: int, seed: int) -> Any:
    """A decision tree (Gini, at least two examples a leaf) that says what the model said; scikit-learn's."""
    from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier(max_depth=depth, min_samples_leaf=2, random_state=seed % 2**32)
    return tree.fit(table, said)


def leaves(tree: Any, names: Sequence[str]) -> list[Leaf]:
    """The leaves of a grown tree from left to right, with the conditions on the way to each."""
    parts, found = tree.tree_, []
    waiting: list[tuple[int, tuple[str, ...]]] = [(0, ())]
    while waiting:
        node, way = waiting.pop()
        left, right = int(parts.children_left[node]), int(parts.children_right[node])
        if left < 0:
            says = int(tree.classes_[parts.value[node][0].argmax()])
            found.append(Leaf(node, " and ".join(way) or "always", says))
            continue
        name, cut = names[parts.feature[node]], f"{parts.threshold[node]:.4g}"
        waiting.append((right, (*way, f"{name} > {cut}")))
        waiting.append((left, (*way, f"{name} <= {cut}")))
    return found


def kappa(one: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    """Cohen's kappa of two columns of labels: agreement beyond what their frequencies give; NaN if both are constant.

    Cohen, Educational and Psychological Measurement 20 (1960).

    >>> kappa(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0]))
    0.5
    """
    top = int(max(one.max(), other.max())) + 1
    chance = float(np.bincount(one, minlength=top) @ np.bincount(other, minlength=top)) / len(one) ** 2
    return float(((one == other).mean() - chance) / (1 - chance)) if chance < 1 else float("nan")
