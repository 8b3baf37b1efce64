"""Matches: for each row the most similar row of another set, among the rows that may be compared with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.int64]
"""One number a row. Only rows of different keys are compared: labels to find conflicts, places to leave a row out."""


@dataclass(frozen=True)
class Matches:
    """For each row: `row`, the place of its match in the other set (-1 without one), and its similarity in [0, 1]."""

    row: NDArray[np.int64]
    similarity: NDArray[np.float64]

    @property
    def found(self) -> NDArray[np.bool_]:
        """Which rows have a match."""
        return self.row >= 0

    def better(self, other: "Matches") -> "Matches":
        """Row by row the more similar match of two; on a tie this one's."""
        mine = self.similarity >= other.similarity
        return Matches(
            np.where(mine, self.row, other.row).astype(np.int64),
            np.where(mine, self.similarity, other.similarity).astype(np.float64),
        )


def nothing(n: int) -> Matches:
    """n rows without a match."""
    return Matches(np.full(n, -1, dtype=np.int64), np.zeros(n))


def comparable(keys: Keys | None, others: Keys | None) -> Any:
    """The matrix that says which pairs may be compared; None stands for all of them."""
    return None if keys is None or others is None else keys[:, None] != others[None, :]


def same(
    mine: Sequence[str], others: Sequence[str], keys: Keys | None = None, other_keys: Keys | None = None
) -> Matches:
    """Rows of equal digest: similarity 1.

    >>> same(["a", "b"], ["b", "c"]).row.tolist()
    [-1, 0]
    >>> same(["a", "a"], ["a", "a"], np.array([0, 1]), np.array([0, 1])).row.tolist()
    [1, 0]
    """
    places: dict[str, dict[int, int]] = {}
    for place, digest in enumerate(others):
        kept = places.setdefault(digest, {})
        if len(kept) < 2:  # two of different keys are enough: one of them differs from whoever asks
            kept.setdefault(place if other_keys is None else int(other_keys[place]), place)
    found = nothing(len(mine))
    for row, digest in enumerate(mine):
        key = None if keys is None else int(keys[row])
        place = next((place for other, place in places.get(digest, {}).items() if other != key), -1)
        found.row[row], found.similarity[row] = place, float(place >= 0)
    return found
