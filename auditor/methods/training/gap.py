"""The gap between data that were not trained on and those that were, example by example."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.methods.classification import log_softmax_at

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scored:
    """One side: the loss of each example, whether its class was missed (None for a regression), and its group ("")."""

    losses: Floats
    missed: NDArray[np.bool_] | None
    groups: tuple[str, ...]

    @property
    def errors(self) -> int:
        """How many classes were missed."""
        return 0 if self.missed is None else int(self.missed.sum())


def scored(logits: NDArray[Any], labels: NDArray[Any], targets: NDArray[Any] | None, groups: Sequence[str]) -> Scored:
    """Cross-entropy and errors of classes; squared errors of a regression, which has `targets`."""
    if targets is not None:
        return Scored((logits[:, 0].astype(np.float64) - targets) ** 2, None, tuple(groups))
    return Scored(-log_softmax_at(logits, labels), logits.argmax(axis=1) != labels, tuple(groups))


@dataclass(frozen=True)
class Gap:
    """Both sides one after the other: `fresh` is True for examples that were not trained on."""

    test: Scored
    train: Scored

    @cached_property
    def fresh(self) -> NDArray[np.bool_]:
        """[n] which rows are of the test side."""
        return np.arange(len(self.test.losses) + len(self.train.losses)) < len(self.test.losses)

    @property
    def groups(self) -> tuple[str, ...]:
        """The unit of each row where either side has groups, a row without one being its own; else nothing."""
        if not self.test.groups and not self.train.groups:
            return ()
        sides = (("test", self.test), ("train", self.train))
        return tuple(
            f"{side}: {rows.groups[row] if rows.groups else row}"
            for side, rows in sides
            for row in range(len(rows.losses))
        )

    @property
    def units(self) -> int:
        """The groups, or examples, of the smaller side: what either estimate is worth."""
        return min(len(set(side.groups)) if side.groups else len(side.losses) for side in (self.test, self.train))

    def loss(self, rows: NDArray[Any]) -> float:
        """Mean loss of the test rows among these less that of the training rows."""
        return _difference(self._losses, self.fresh, rows)

    def error(self, rows: NDArray[Any]) -> float:
        """The same of the share that is missed."""
        return _difference(self._missed, self.fresh, rows)

    @cached_property
    def _losses(self) -> Floats:
        return np.concatenate([self.test.losses, self.train.losses])

    @cached_property
    def _missed(self) -> Floats:
        if self.test.missed is None or self.train.missed is None:
            raise ValueError("a regression misses no class")
        return np.concatenate([self.test.missed, self.train.missed]).astype(np.float64)


def _difference(values: Floats, fresh: NDArray[np.bool_], rows: NDArray[Any]) -> float:
    """NaN where a draw has no row of one side."""
    drawn, inside = values[rows], fresh[rows].astype(np.float64)
    count = float(inside.sum())
    if not 0 < count < len(inside):
        return np.nan
    own = float(drawn @ inside)
    return own / count - (float(drawn.sum()) - own) / (len(inside) - count)
