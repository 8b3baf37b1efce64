"""Watching tensors change: what is kept of one interval between two records, gathered in one walk through them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from auditor.recorder.projection import BLOCK, PRIME, drawn, first, numbers

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

SAFE = (1e-30, 1e30)
"""Sums of squares in float32 that have neither lost nor gained by its range."""


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


def relative_changes(before: Floats, now: Floats, rms: float) -> Floats:
    """abs(now - before) / max(abs(before), FLOOR * rms) of elements; zeros that changed give large numbers.

    rms: of the whole tensor. Without the floor one near-zero element decides the mean (measured: up to 1,426 times the
    ratio of norms).
    """
    import numpy as np

    with np.errstate(all="ignore"):
        floor = max(FLOOR * rms, float(np.finfo(before.dtype).tiny))
        return np.asarray(np.abs(now - before) / np.maximum(np.abs(before), floor))


def grid_quantiles(values: Floats) -> Floats:
    """[5], the quantiles at GRID by linear interpolation; all NaN where a value is NaN or there is none."""
    import numpy as np

    if not values.size or np.isnan(values).any():
        return np.full(len(GRID), np.nan)
    ordered = np.sort(values).astype(np.float64)
    places = np.array(GRID) * (len(ordered) - 1)
    low = places.astype(np.int64)
    high = np.minimum(low + 1, len(ordered) - 1)
    share = places - low
    with np.errstate(invalid="ignore"):
        return np.where(share > 0, ordered[low] * (1 - share) + ordered[high] * share, ordered[low])


def sums(flat: "torch.Tensor", scratch: "torch.Tensor") -> tuple[Any, Any]:
    """Sum of squares and of absolute values of a stretch, numbers on the CPU and else float64 tensors not yet read.

    scratch: of the same size, may be `flat` itself, which then holds its absolute values afterwards.
    """
    import torch

    if flat.device.type != "cpu":
        square = torch.linalg.vector_norm(flat, 2, dtype=torch.float64).square()
        return square, torch.linalg.vector_norm(flat, 1, dtype=torch.float64)
    square = float(torch.dot(flat, flat))
    kept = flat.double() if not SAFE[0] < square < SAFE[1] else None
    total = float(torch.abs(flat, out=scratch).sum())
    if kept is None or total == 0:
        return square, total
    return float(kept.square().sum()), float(kept.abs().sum())


@dataclass
class Watch:
    """Follows tensors through a run; `mark()` closes an interval. Holds one copy of them, in float32 or wider.

    trained: by place, False for tensors that are left alone; they are followed, but not projected. It may be changed
    between marks. Beside the copy: 8 kB a tensor for its sketch, and 2 MB for the walk.
    """

    tensors: "Mapping[str, torch.Tensor]"
    trained: Sequence[bool] = ()
    _before: "list[torch.Tensor]" = field(init=False, repr=False)

    def __post_init__(self) -> None:
        import torch

        now = [tensor.detach() for tensor in self.tensors.values()]
        self.trained = list(self.trained) or [True] * len(now)
        if len(self.trained) != len(now):
            raise ValueError(f"found {len(self.trained)} marks of what is trained for {len(now)} tensors")
        self._drawn = [drawn(name, tensor.numel()) for name, tensor in self.tensors.items()]
        self._rows = {size: sketch_rows(size) for size in {tensor.numel() for tensor in now}}
        with torch.no_grad():
            self._before = [_wide(tensor).reshape(-1).clone() for tensor in now]
            self._sketch = self._sketched(self._before)
            self._norms = [_norms(flat) for flat in self._before]

    def mark(self) -> Moved:
        """Close the interval that ends with the tensors as they are now."""
        import torch

        with torch.no_grad():
            return self._mark()

    def _mark(self) -> Moved:
        import numpy as np
        import torch

        buckets = torch.zeros(PRIME, dtype=torch.float64)
        rows, scratch = [], Scratch()
        for place, tensor in enumerate(self.tensors.values()):
            rows.append(self._walked(place, tensor.detach(), buckets, scratch))
        started, self._norms = self._norms, [_total(after) for _, after in rows]
        changed = [_total(change) for change, _ in rows]
        sketch, self._sketch = self._sketch, self._sketched(self._before)
        ratios = [
            relative_changes(before, now, norm / max(1, flat.numel()) ** 0.5)
            for before, now, flat, (norm, _) in zip(sketch, self._sketch, self._before, started, strict=True)
        ]
        norm, l1_norm = np.array(started, dtype=np.float64).reshape(-1, 2).T
        change, l1_change = np.array(changed, dtype=np.float64).reshape(-1, 2).T
        return Moved(
            norm, change, l1_norm, l1_change,
            elementwise=np.array([_mean(ratio) for ratio in ratios]),
            quantiles=np.array([grid_quantiles(ratio) for ratio in ratios]).reshape(-1, len(GRID)),
            projection=numbers(buckets),
        )  # fmt: skip

    def _walked(
        self, place: int, now: "torch.Tensor", buckets: "torch.Tensor", scratch: "Scratch"
    ) -> tuple[list[Any], list[Any]]:
        """One tensor, stretch by stretch: sums of its change and of itself; its copy is brought up to date."""
        import torch

        before, draws = self._before[place], self._drawn[place]
        now, size = now.reshape(-1), before.numel()
        if now.numel() != size:
            name = list(self.tensors)[place]
            raise ValueError(f"tensor {name} has {now.numel():,} elements now, and had {size:,} when recording began")
        own, stretch = before.new_zeros(PRIME), _stretch(before)
        gone, signed = scratch(before)
        changes, selves = [], []
        for at in range(0, size, stretch):
            count = min(stretch, size - at)
            old, new = before.narrow(0, at, count), now.narrow(0, at, count).to(before)
            moved = torch.sub(new, old, out=first(gone, count))
            if self.trained[place]:
                draws.add(own, moved, at // BLOCK, signed)
            changes.append(sums(moved, moved))
            selves.append(sums(old.copy_(new), moved))
        buckets += own.cpu().double()
        return changes, selves

    def _sketched(self, flats: "Sequence[torch.Tensor]") -> "list[NDArray[Any]]":
        """The elements of each tensor that its sketch reads, copied to the CPU."""
        found = []
        for flat in flats:
            rows = self._rows[flat.numel()]
            found.append((flat.clone() if rows is None else flat[rows.to(flat.device)]).cpu().numpy())
        return found


class Scratch(dict[tuple["torch.device", "torch.dtype"], Any]):
    """Two stretches of working memory for each device and dtype, so that none is allocated on the walk."""

    def __call__(self, flat: "torch.Tensor") -> Any:
        """Those that suit a tensor."""
        key = (flat.device, flat.dtype)
        if key not in self:
            self[key] = (flat.new_empty(_stretch(flat)), flat.new_empty(BLOCK))
        return self[key]


def _wide(tensor: "torch.Tensor") -> "torch.Tensor":
    import torch

    return tensor if tensor.dtype == torch.float64 else tensor.float()


def _norms(flat: "torch.Tensor") -> tuple[float, float]:
    """The two norms of a tensor."""
    parts = [flat[at : at + _stretch(flat)] for at in range(0, flat.numel(), _stretch(flat))]
    return _total([sums(part, part.clone()) for part in parts])


def _stretch(flat: "torch.Tensor") -> int:
    """Elements of a stretch of the walk: what stays in a processor's cache; elsewhere, few launches count for more."""
    return BLOCK if flat.device.type == "cpu" else 16 * BLOCK


def _total(parts: Sequence[tuple[Any, Any]]) -> tuple[float, float]:
    """The two norms of the sums of stretches."""
    return float(sum(float(square) for square, _ in parts)) ** 0.5, float(sum(float(one) for _, one in parts))


def _mean(values: Floats) -> float:
    import numpy as np

    with np.errstate(all="ignore"):
        return float(values.mean(dtype=np.float64)) if values.size else float("nan")
