"""One tensor followed through a series of checkpoints, stretch by stretch: its part of the changes."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from auditor.methods.training.record import Floats
from auditor.recorder.projection import BLOCK, PRIME, drawn, numbers
from auditor.recorder.watch import grid_quantiles, relative_changes, sketch_rows, sums

Span = tuple[str, int, int]
"""A stretch of a tensor: its name, the first element, the end."""

SPACING = {
    torch.float16: (10, -14), torch.bfloat16: (7, -126), torch.float8_e4m3fn: (3, -6), torch.float8_e5m2: (2, -14),
}  # fmt: skip
"""Bits of the fraction and the smallest exponent of the types whose rounding may hide a step."""


def rounding(stored: torch.Tensor) -> float:
    """Sum over elements of ulp^2 / 12, the variance of rounding to the stored type; 0 for float32 and wider."""
    if stored.dtype not in SPACING:
        return 0.0
    bits, least = SPACING[stored.dtype]
    plain = stored.float()
    exponents = torch.where(plain == 0, least, torch.frexp(plain).exponent - 1).clamp_min(least) - bits
    return float(torch.exp2(2.0 * exponents.double()).sum() / 12)


@dataclass
class Followed:
    """A tensor of `size` elements in `files` checkpoints, which see() gets in their order, stretch by stretch.

    own: [K, 3], sums of squares, of absolute values and of rounding of each checkpoint; moved: [K - 1, 3], sums of
    squares and absolute values of each change, and its inner product with the change before.
    """

    name: str
    size: int
    dims: int
    files: int
    own: Floats = field(init=False)
    moved: Floats = field(init=False)
    projection: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.own, self.moved = np.zeros((self.files, 3)), np.zeros((self.files - 1, 3))
        self.projection = np.zeros((self.files - 1, PRIME - 1))
        self._drawn, self._rows = drawn(self.name, self.size), sketch_rows(self.size)
        self._sketch: list[list[Any]] = [[] for _ in range(self.files)]
        self._last = self._change = torch.empty(0)
        self._ratios = np.zeros((0, 6))

    def see(self, file: int, start: int, stored: torch.Tensor) -> None:
        """A stretch, from the element `start` on, as this checkpoint stores it."""
        now = stored if stored.dtype == torch.float64 else stored.float()
        self._sketch[file].append(now[self._inside(start, len(now))].numpy())
        self.own[file, 2] += rounding(stored)
        scratch = torch.empty(min(BLOCK, len(now)), dtype=now.dtype)
        for part in torch.split(now, BLOCK):
            self.own[file, :2] += sums(part, scratch[: len(part)])
        if file:
            self._moved(file - 1, start // BLOCK, now, scratch)
        self._last = now

    def _moved(self, row: int, block: int, now: torch.Tensor, scratch: torch.Tensor) -> None:
        change = now - self._last
        buckets = now.new_zeros(PRIME)
        self._drawn.add(buckets, change, block, scratch)
        self.projection[row] += numbers(buckets.double())
        for part in torch.split(change, BLOCK):
            self.moved[row, :2] += sums(part, scratch[: len(part)])
        if row:
            before = torch.split(self._change, BLOCK)
            self.moved[row, 2] += sum(
                float(torch.dot(part, old)) for part, old in zip(torch.split(change, BLOCK), before, strict=True)
            )
        self._change = change

    def _inside(self, start: int, count: int) -> Any:
        if self._rows is None:
            return slice(None)
        return self._rows[(self._rows >= start) & (self._rows < start + count)] - start

    def forget(self, whole: bool) -> None:
        """Let go of the numbers of a stretch; after the last one (`whole`) of the sketch too."""
        self._last = self._change = torch.empty(0)
        if whole:
            values = np.stack([np.concatenate(parts) for parts in self._sketch])
            ratios = relative_changes(values[:-1], values[1:], np.sqrt(self.own[:-1, 0] / self.size))
            self._ratios = np.column_stack([grid_quantiles(ratios), _means(ratios)])
            self._sketch = []

    def constant(self) -> bool:
        """Whether all elements are equal in size in every checkpoint, as in untouched biases and scales."""
        squares, totals = self.own[:, 0] * self.size, np.square(self.own[:, 1])
        return bool(np.all(np.abs(squares - totals) <= 1e-5 * squares))

    def columns(self) -> dict[str, Floats]:
        """[K - 1] each ([K - 1, 5] quantiles), by their name in Changes."""
        squares, totals, turns = self.moved.T
        spread = self.own[:-1, 2] + self.own[1:, 2]
        return {
            "norm": np.sqrt(self.own[:-1, 0]), "l1_norm": self.own[:-1, 1],
            "change": np.sqrt(squares), "l1_change": totals,
            "elementwise": self._ratios[:, -1], "quantiles": self._ratios[:, :-1],
            "turn": np.append(np.nan, turns[1:]), "resolution": np.sqrt(spread),
        }  # fmt: skip


def _means(values: Floats) -> Floats:
    with np.errstate(all="ignore"):
        return np.asarray(values.mean(axis=1, dtype=np.float64))
