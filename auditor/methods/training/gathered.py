"""Gathering intervals, one by one, into the changes of a history."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import torch

from auditor.methods.training.record import Changes, Floats
from auditor.recorder.projection import NUMBERS
from auditor.recorder.watch import GRID, Moved


@dataclass
class Gathered:
    """The intervals of one history so far, over tensors of these names, sizes and dimensions.

    start: the step of the first record. trained: as in Changes.
    """

    tensors: Sequence[str]
    sizes: Sequence[int]
    dims: Sequence[int]
    trained: Sequence[bool]
    start: int = 0
    steps: list[int] = field(init=False)
    lrs: list[float] = field(init=False, default_factory=list)
    moved: list[Moved] = field(init=False, default_factory=list)
    turns: list[Floats | None] = field(init=False, default_factory=list)
    resolutions: list[Floats | None] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.steps = [self.start]

    def add(
        self, step: int, lr: float, moved: Moved, turn: Floats | None = None, resolution: Floats | None = None
    ) -> None:
        """The interval that ends after `step`. turn: None if unknown; resolution: None for float32."""
        self.steps.append(step)
        self.lrs.append(lr)
        self.moved.append(moved)
        self.turns.append(turn)
        self.resolutions.append(resolution)

    def state(self) -> dict[str, Any]:
        """All of them as lists of tensors, for Scratch."""
        moved = [{each.name: torch.from_numpy(getattr(one, each.name)) for each in fields(one)} for one in self.moved]
        rows = {
            name: [None if row is None else torch.from_numpy(row) for row in getattr(self, name)]
            for name in ("turns", "resolutions")
        }
        return {"steps": list(self.steps), "lrs": list(self.lrs), "moved": moved, **rows}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.steps, self.lrs = list(state["steps"]), list(state["lrs"])
        self.moved = [Moved(**{name: row.numpy() for name, row in one.items()}) for one in state["moved"]]
        for name in ("turns", "resolutions"):
            setattr(self, name, [None if row is None else row.numpy() for row in state[name]])

    def changes(self) -> Changes:
        """All of them."""
        count = len(self.tensors)
        shapes = {"quantiles": (count, len(GRID)), "projection": (NUMBERS,)}
        columns = {
            each.name: np.array([getattr(one, each.name) for one in self.moved], dtype=np.float64).reshape(
                len(self.moved), *shapes.get(each.name, (count,))
            )
            for each in fields(Moved)
        }
        return Changes(
            tensors=tuple(self.tensors),
            sizes=np.array(self.sizes, dtype=np.int64),
            dims=np.array(self.dims, dtype=np.int64),
            trained=np.array(self.trained, dtype=np.bool_),
            steps=np.array(self.steps, dtype=np.int64),
            lr=np.array(self.lrs, dtype=np.float64),
            turn=_rows(self.turns, count, np.nan),
            resolution=_rows(self.resolutions, count, 0.0),
            **columns,
        )


def _rows(rows: Sequence[Floats | None], count: int, missing: float) -> Floats:
    filled = [np.full(count, missing) if row is None else row for row in rows]
    return np.array(filled, dtype=np.float64).reshape(len(rows), count)
