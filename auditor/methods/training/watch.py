"""Watching tensors change: the norms and relative changes between records, gathered in place."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from auditor.methods.training.record import FLOOR, GRID, Changes

SKETCHED = 2048


def unique_parameters(module: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """Parameters by name, those that share storage once, under their first name; buffers are not parameters."""
    seen: set[tuple[int, int]] = set()
    found = {}
    for name, parameter in module.named_parameters():
        place = (parameter.data_ptr(), parameter.numel())
        if place not in seen:
            seen.add(place)
            found[name] = parameter
    return found


def sketch_rows(size: int) -> torch.Tensor | None:
    """Which elements of a flat tensor the quantile sketch reads: None for all, else 2,048 evenly spread ones.

    Their spacing is a fixed irrational share of the size, so that no row or column of a matrix is favoured.
    """
    if size <= SKETCHED:
        return None
    places = torch.arange(SKETCHED, dtype=torch.float64) * 0.6180339887498949
    return ((places % 1.0) * size).long().clamp_(max=size - 1)


def relative_changes(before: torch.Tensor, change: torch.Tensor) -> torch.Tensor:
    """abs(change) / max(abs(before), FLOOR * rms(before)), flat; a tensor of zeros that changed gives large numbers.

    Without the floor one near-zero element decides the mean (measured: up to 1,426 times the ratio of norms).
    """
    floor = FLOOR * before.square().mean().sqrt()
    tiny = torch.finfo(before.dtype).tiny
    return (change.abs() / before.abs().clamp_min(max(float(floor), tiny))).flatten()


@dataclass
class Watch:
    """Follows tensors through a run; `mark(step, lr)` closes an interval.

    Holds one copy of the tensors. Norms are taken by in-place foreach operations: about 1% of a training step when
    called every tenth step.
    """

    names: Sequence[str]
    tensors: Sequence[torch.Tensor]
    trained: Sequence[bool]
    start: int = 0
    steps: list[int] = field(init=False)
    rows: list[torch.Tensor] = field(init=False, default_factory=list)
    quantiles: list[torch.Tensor] = field(init=False, default_factory=list)
    lrs: list[float] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.steps = [self.start]
        self._before = [tensor.detach().clone() for tensor in self.tensors]
        self._sketch = [sketch_rows(tensor.numel()) for tensor in self.tensors]
        self._grid = torch.tensor(GRID, dtype=torch.float32)

    @torch.no_grad()
    def mark(self, step: int, lr: float) -> None:
        """Close the interval that ends after `step`, made at the mean learning rate `lr`."""
        now = [tensor.detach() for tensor in self.tensors]
        before = self._before
        norms = [torch._foreach_norm(before, 2), torch._foreach_norm(before, 1)]
        torch._foreach_sub_(before, now)
        norms += [torch._foreach_norm(before, 2), torch._foreach_norm(before, 1)]
        ratios = [relative_changes(value + gone, gone) for value, gone in zip(now, before, strict=True)]
        norms.append(tuple(ratio.mean() for ratio in ratios))
        torch._foreach_copy_(before, now)
        self.rows.append(torch.stack([torch.stack(tuple(row)).cpu().double() for row in norms]))
        self.quantiles.append(
            torch.stack(tuple(self._quantiles(*pair) for pair in zip(ratios, self._sketch, strict=True)))
        )
        self.steps.append(step)
        self.lrs.append(lr)

    def _quantiles(self, ratio: torch.Tensor, sketch: torch.Tensor | None) -> torch.Tensor:
        chosen = ratio.cpu() if sketch is None else ratio.cpu()[sketch]
        return torch.quantile(chosen.float(), self._grid).double()

    def changes(self) -> Changes:
        """All intervals closed so far."""
        count = len(self.tensors)
        rows = torch.stack(self.rows).numpy() if self.rows else np.zeros((0, 5, count))
        sketches = torch.stack(self.quantiles).numpy() if self.quantiles else np.zeros((0, count, len(GRID)))
        return Changes(
            tensors=tuple(self.names),
            sizes=np.array([tensor.numel() for tensor in self.tensors], dtype=np.int64),
            dims=np.array([tensor.dim() for tensor in self.tensors], dtype=np.int64),
            trained=np.array(self.trained, dtype=np.bool_),
            steps=np.array(self.steps, dtype=np.int64),
            norm=rows[:, 0],
            l1_norm=rows[:, 1],
            change=rows[:, 2],
            l1_change=rows[:, 3],
            elementwise=rows[:, 4],
            quantiles=sketches,
            lr=np.array(self.lrs, dtype=np.float64),
        )
