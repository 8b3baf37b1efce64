"""Watching tensors change: what is kept of one interval between two records, gathered in one walk through them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from auditor.recorder.projection import BLOCK, PRIME, drawn, first, numbers
from auditor.recorder.small import Small, side_by_side

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


def relative_changes(before: Floats, now: Floats, rms: Floats | float) -> Floats:
    """[..., L] abs(now - before) / max(abs(before), FLOOR * rms); zeros that changed give large numbers.

    rms: [...], of the whole tensors; for those that are all zero it is that of what these elements have become. Without
    the floor one near-zero element decides the mean (measured: up to 1,426 times the ratio of norms).
    """
    import numpy as np

    with np.errstate(all="ignore"):
        become = np.sqrt(np.square(now, dtype=np.float64).sum(axis=-1) / max(1, now.shape[-1]))
        rms = np.where(np.asarray(rms) == 0, become, rms)
        floor = np.asarray(np.maximum(FLOOR * rms, np.finfo(before.dtype).tiny), dtype=before.dtype)
        return np.asarray(np.abs(now - before) / np.maximum(np.abs(before), floor[..., None]))


def grid_quantiles(values: Floats) -> Floats:
    """[..., 5] of [..., L], quantiles at GRID by linear interpolation; NaN for a row with a NaN, or of nothing."""
    import numpy as np

    *rows, length = values.shape
    if not length:
        return np.full((*rows, len(GRID)), np.nan)
    ordered = np.sort(values, axis=-1)
    places = np.array(GRID) * (length - 1)
    low = places.astype(np.int64)
    share = places - low
    below, above = (ordered[..., at].astype(np.float64) for at in (low, np.minimum(low + 1, length - 1)))
    with np.errstate(invalid="ignore"):
        found = np.where(share > 0, below * (1 - share) + above * share, below)
    return np.where(np.isnan(ordered[..., -1:]), np.nan, found)  # sorting puts them last


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
    between marks. Beside the copy: 8 kB a tensor for its sketch, 12 bytes an element of small tensors, and 2 MB for the
    walk.
    """

    tensors: "Mapping[str, torch.Tensor]"
    trained: Sequence[bool] = ()
    _before: "dict[int, torch.Tensor]" = field(init=False, repr=False)

    def __post_init__(self) -> None:
        import numpy as np
        import torch

        now = [(name, tensor.detach()) for name, tensor in self.tensors.items()]
        self.trained = list(self.trained) or [True] * len(now)
        if len(self.trained) != len(now):
            raise ValueError(f"found {len(self.trained)} marks of what is trained for {len(now)} tensors")
        self._sizes = np.array([tensor.numel() for _, tensor in now], dtype=np.int64)
        large = [place for place, size in enumerate(self._sizes) if size > SKETCHED]
        self._few = [place for place, size in enumerate(self._sizes) if size <= SKETCHED]
        sizes = {now[place][1].numel() for place in large}
        self._rows = {size: rows for size in sizes if (rows := sketch_rows(size)) is not None}
        self._drawn = {place: drawn(now[place][0], now[place][1].numel()) for place in large}
        with torch.no_grad():
            self._before = {place: _wide(now[place][1]).reshape(-1).clone() for place in large}
            self._small = Small.of({now[place][0]: now[place][1] for place in self._few})
            self._sums = np.zeros((len(now), 2))
            self._sums[self._few] = self._small.sums(self._small.values.astype(np.float64))
            for place, flat in self._before.items():
                self._sums[place] = _sums_of(flat)
            self._sketch = self._sketched()

    def mark(self) -> Moved:
        """Close the interval that ends with the tensors as they are now."""
        import numpy as np
        import torch

        with torch.no_grad(), np.errstate(all="ignore"):
            return self._mark()

    def _mark(self) -> Moved:
        import numpy as np
        import torch

        now = [tensor.detach() for tensor in self.tensors.values()]
        self._check(now)
        started, sketch, scratch = self._sums, self._sketch, Scratch()
        changed, self._sums = np.zeros_like(started), np.zeros_like(started)
        values, asked = side_by_side([now[place] for place in self._few]), [self.trained[place] for place in self._few]
        changed[self._few], self._sums[self._few], own = self._small.mark(values, asked)
        buckets = torch.from_numpy(own)
        for place in self._before:
            changed[place], self._sums[place] = self._walked(place, now[place], buckets, scratch)
        self._sketch = self._sketched()
        elementwise, quantiles = np.full(len(now), np.nan), np.full((len(now), len(GRID)), np.nan)
        rms = np.sqrt(started[:, 0] / np.maximum(1, self._sizes))
        for places, before in sketch.items():
            ratios = relative_changes(before, self._sketch[places], rms[list(places)])
            if ratios.size:
                elementwise[list(places)] = ratios.mean(axis=1, dtype=np.float64)
            quantiles[list(places)] = grid_quantiles(ratios)
        return Moved(
            norm=np.sqrt(started[:, 0]), change=np.sqrt(changed[:, 0]), l1_norm=started[:, 1], l1_change=changed[:, 1],
            elementwise=elementwise, quantiles=quantiles, projection=numbers(buckets),
        )  # fmt: skip

    def _check(self, now: "Sequence[torch.Tensor]") -> None:
        for name, tensor, size in zip(self.tensors, now, self._sizes, strict=True):
            if tensor.numel() != size:
                held = f"{tensor.numel():,} elements now, and had {size:,} when recording began"
                raise ValueError(f"tensor {name} has {held}")

    def _walked(self, place: int, now: "torch.Tensor", buckets: "torch.Tensor", scratch: "Scratch") -> tuple[Any, Any]:
        """One tensor, stretch by stretch: sums of its change and of itself; its copy is brought up to date."""
        import torch

        before, draws = self._before[place], self._drawn[place]
        now, size, stretch = now.reshape(-1), before.numel(), _stretch(before)
        own, (gone, signed) = before.new_zeros(PRIME), scratch(before)
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
        return _total(changes), _total(selves)

    def _sketched(self) -> "dict[tuple[int, ...], NDArray[Any]]":
        """[K, L] the elements that the sketches read, of the tensors at K places that read as many."""
        import numpy as np

        by_size: dict[int, list[int]] = {}
        for at, size in enumerate(self._small.sizes.tolist()):
            by_size.setdefault(size, []).append(at)
        values, begins = self._small.values, self._small.begins
        found = {
            tuple(self._few[at] for at in each): values[begins[each][:, None] + np.arange(size)]
            for size, each in by_size.items()
        }
        if self._before:
            read = side_by_side([flat[self._rows[flat.numel()].to(flat.device)] for flat in self._before.values()])
            found[tuple(self._before)] = read.reshape(-1, SKETCHED)
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


def _sums_of(flat: "torch.Tensor") -> tuple[float, float]:
    """Both sums of a tensor."""
    parts = [flat[at : at + _stretch(flat)] for at in range(0, flat.numel(), _stretch(flat))]
    return _total([sums(part, part.clone()) for part in parts])


def _stretch(flat: "torch.Tensor") -> int:
    """Elements of a stretch of the walk: what stays in a processor's cache; elsewhere, few launches count for more."""
    return BLOCK if flat.device.type == "cpu" else 16 * BLOCK


def _total(parts: Sequence[tuple[Any, Any]]) -> tuple[float, float]:
    """The sums of stretches as one."""
    return float(sum(float(square) for square, _ in parts)), float(sum(float(one) for _, one in parts))
