"""Watching tensors change: what is kept of one interval between two records, gathered in place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from auditor.recorder.projection import Projection

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
else:
    Floats = Any

GRID = (0.05, 0.25, 0.5, 0.75, 0.95)
FLOOR = 1e-3
"""The denominator of a relative change is at least this share of the tensor's root mean square."""

SKETCHED = 2048
"""Elements of a tensor that its sketch reads; smaller tensors are read whole."""


@dataclass(frozen=True)
class Moved:
    """One interval of T tensors.

    norm, l1_norm: [T], at its start; change, l1_change: [T], of the change over it. elementwise: [T], mean of
    abs(change) / max(abs(value), FLOOR x rms) and quantiles: [T, 5], of the same ratio at GRID, both over the sketched
    elements. projection: [256], of the change of all trained tensors as one vector (projection.py).
    """

    norm: Floats
    change: Floats
    l1_norm: Floats
    l1_change: Floats
    elementwise: Floats
    quantiles: Floats
    projection: Floats


def unique_parameters(module: "torch.nn.Module") -> "dict[str, torch.nn.Parameter]":
    """Parameters by name, those that share storage once, under their first name; buffers are not parameters."""
    seen: set[tuple[int, int]] = set()
    found = {}
    for name, parameter in module.named_parameters():
        place = (parameter.data_ptr(), parameter.numel())
        if place not in seen:
            seen.add(place)
            found[name] = parameter
    return found


def sketch_rows(size: int) -> "torch.Tensor | None":
    """Which elements of a flat tensor the sketch reads: None for all, else 2,048 evenly spread ones.

    Their spacing is a fixed irrational share of the size, so that no row or column of a matrix is favoured.
    """
    import torch

    if size <= SKETCHED:
        return None
    places = torch.arange(SKETCHED, dtype=torch.float64) * 0.6180339887498949
    return ((places % 1.0) * size).long().clamp_(max=size - 1)


def relative_changes(before: "torch.Tensor", change: "torch.Tensor", rms: float) -> "torch.Tensor":
    """abs(change) / max(abs(before), FLOOR * rms) of flat elements; a tensor of zeros that changed gives large numbers.

    rms: of the whole tensor. Without the floor one near-zero element decides the mean (measured: up to 1,426 times the
    ratio of norms).
    """
    import torch

    return change.abs() / before.abs().clamp_min(max(FLOOR * rms, torch.finfo(before.dtype).tiny))


@dataclass
class Watch:
    """Follows float32 tensors through a run; `mark()` closes an interval. Holds one copy of them.

    trained: by name, False for tensors that are left alone; they are followed, but not projected.
    """

    tensors: "Mapping[str, torch.Tensor]"
    trained: Sequence[bool] = ()
    _before: "list[torch.Tensor]" = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._before = [tensor.detach().clone() for tensor in self.tensors.values()]
        self._sketch = [sketch_rows(tensor.numel()) for tensor in self.tensors.values()]
        kept = list(self.trained) or [True] * len(self._before)
        self._projection = Projection(
            {name: tensor.numel() for (name, tensor), keep in zip(self.tensors.items(), kept, strict=True) if keep}
        )

    def mark(self) -> Moved:
        """Close the interval that ends with the tensors as they are now."""
        import torch

        with torch.no_grad():
            return self._mark()

    def _mark(self) -> Moved:
        import torch

        now = [tensor.detach() for tensor in self.tensors.values()]
        before = self._before
        norms = [torch._foreach_norm(before, 2), torch._foreach_norm(before, 1)]
        torch._foreach_sub_(before, now)  # the change, negated
        norms += [torch._foreach_norm(before, 2), torch._foreach_norm(before, 1)]
        norm, l1_norm, change, l1_change = (torch.stack(tuple(row)).cpu().double().numpy() for row in norms)
        ratios = [self._ratios(place, now[place], before[place], float(norm[place])) for place in range(len(now))]
        projection = -self._projection.of(dict(zip(self.tensors, before, strict=True)))
        torch._foreach_copy_(before, now)
        grid = torch.tensor(GRID, dtype=torch.float32)
        return Moved(
            norm, change, l1_norm, l1_change,
            elementwise=torch.stack([ratio.mean() for ratio in ratios]).double().numpy(),
            quantiles=torch.stack([torch.quantile(ratio, grid) for ratio in ratios]).double().numpy(),
            projection=projection,
        )  # fmt: skip

    def _ratios(self, place: int, now: "torch.Tensor", gone: "torch.Tensor", norm: float) -> "torch.Tensor":
        rows = self._sketch[place]
        value, change = now.flatten(), gone.flatten()
        if rows is not None:
            there = rows.to(value.device)
            value, change = value[there], change[there]
        rms = norm / max(1, now.numel()) ** 0.5
        return relative_changes(value + change, change, rms).cpu().float()
