"""The order of the data: endless batches of row numbers from one generator, which can stop and go on."""

from typing import Any

import torch


class Order:
    """Full batches from a fresh permutation each epoch; the rest of an epoch is left out."""

    def __init__(self, rows: int, batch_size: int, generator: torch.Generator) -> None:
        self.rows, self.size, self.generator = rows, min(rows, batch_size), generator
        self._epoch: list[int] = []
        self._place = 0

    def draw(self) -> list[int]:
        """The rows of the next batch."""
        if self._place + self.size > len(self._epoch):
            self._epoch, self._place = torch.randperm(self.rows, generator=self.generator).tolist(), 0
        self._place += self.size
        return self._epoch[self._place - self.size : self._place]

    def state(self) -> dict[str, Any]:
        """Where it stands."""
        return {"epoch": self._epoch, "place": self._place, "generator": self.generator.get_state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self._epoch, self._place = state["epoch"], state["place"]
        self.generator.set_state(state["generator"])
