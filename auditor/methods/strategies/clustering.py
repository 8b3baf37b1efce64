"""Groups of maps: spectral clustering with the number of groups read off the gap of eigenvalues."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

NEIGHBOURS, MOST = 10, 8

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Groups:
    """labels: int64 [n], 0 ... count - 1. eigenvalues: the smallest of the graph's normalized Laplacian."""

    labels: NDArray[np.int64]
    count: int
    eigenvalues: Floats


def spectral(rows: Floats, seed: int) -> Groups:
    """Groups of rows [n, d] by their direction; 1 to 8 of them, where the gap of eigenvalues is widest.

    The graph joins each row with its ten nearest by cosine; L = 1 - D^(-1/2) A D^(-1/2); the rows of the first k
    eigenvectors are grouped by k-means. Lapuschkin et al., Unmasking Clever Hans predictors, Nature Communications 10
    (2019); von Luxburg, A tutorial on spectral clustering (2007).
    """
    n = len(rows)
    if n < 2 * NEIGHBOURS:
        return Groups(np.zeros(n, dtype=np.int64), 1, np.zeros(1))
    graph = _graph(rows)
    scale = 1 / np.sqrt(graph.sum(axis=1))
    values, vectors = np.linalg.eigh(np.eye(n) - scale[:, None] * graph * scale[None, :])
    count = int(np.argmax(np.diff(values[: MOST + 1]))) + 1
    if count == 1:
        return Groups(np.zeros(n, dtype=np.int64), 1, values[: MOST + 1])
    from sklearn.cluster import KMeans

    place = vectors[:, :count]
    place = place / np.maximum(np.linalg.norm(place, axis=1, keepdims=True), 1e-12)
    labels: Any = KMeans(count, n_init=4, random_state=seed % 2**32).fit_predict(place)
    return Groups(labels.astype(np.int64), count, values[: MOST + 1])


def _graph(rows: Floats) -> Floats:
    """The symmetric graph of nearest neighbours by cosine, with a loop at rows that have none."""
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    alike = unit @ unit.T
    np.fill_diagonal(alike, -np.inf)
    nearest = np.argsort(-alike, axis=1, kind="stable")[:, :NEIGHBOURS]
    graph = np.zeros_like(alike)
    np.put_along_axis(graph, nearest, 1.0, axis=1)
    found: Floats = np.maximum(graph, graph.T)
    return found
