"""Tensors too small to be walked one by one: they are taken side by side, as one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from auditor.recorder.projection import PRIME, drawn, signs

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
else:
    Floats = Any


@dataclass
class Small:
    """Flat tensors in a row; each has a place of its own in `begins`.

    values: their elements when an interval began. signs, buckets: of the projection, by element.
    """

    sizes: "NDArray[np.int64]"
    begins: "NDArray[np.int64]"
    values: "NDArray[Any]"
    signs: "NDArray[np.float32]"
    buckets: "NDArray[np.int64]"

    @staticmethod
    def of(tensors: "Mapping[str, torch.Tensor]") -> "Small":
        """These tensors."""
        import numpy as np

        sizes = np.array([tensor.numel() for tensor in tensors.values()], dtype=np.int64)
        table = signs("cpu").numpy()
        each = [_signs_of(name, tensor.numel(), table) for name, tensor in tensors.items()]
        begins = np.cumsum(sizes) - sizes
        buckets = (np.arange(sizes.sum()) - np.repeat(begins, sizes)) % PRIME
        return Small(sizes, begins, side_by_side(list(tensors.values())), np.concatenate([[], *each]), buckets)

    def mark(self, now: "NDArray[Any]", trained: Sequence[bool]) -> tuple[Floats, Floats, Floats]:
        """[K, 2] square and absolute sums of each tensor's change, the same of the tensors now, and [PRIME] buckets."""
        import numpy as np

        change = now.astype(np.float64) - self.values
        kept = self.signs * np.repeat(np.array(trained, dtype=np.float64), self.sizes)
        projected = np.where(kept != 0, change * kept, 0.0)
        self.values = now
        buckets = np.bincount(self.buckets, projected, PRIME).astype(np.float64)
        return self.sums(change), self.sums(now.astype(np.float64)), buckets

    def sums(self, values: Floats) -> Floats:
        """[K, 2] square and absolute sums of each tensor."""
        import numpy as np

        found = np.zeros((len(self.sizes), 2))
        held = np.flatnonzero(self.sizes)
        if held.size:
            found[held, 0] = np.add.reduceat(np.square(values), self.begins[held])
            found[held, 1] = np.add.reduceat(np.abs(values), self.begins[held])
        return found


def _signs_of(name: str, size: int, table: "NDArray[np.float32]") -> "NDArray[np.float32]":
    """The signs of a tensor of at most one block."""
    import numpy as np

    draws = drawn(name, size)
    if not draws.starts:
        return table[:0]
    rows = np.repeat(draws.rows[0].numpy()[: -(-size // PRIME)], PRIME)[:size]
    return np.asarray(table[draws.starts[0] : draws.starts[0] + size] * rows)


def side_by_side(tensors: "Sequence[torch.Tensor]") -> "NDArray[Any]":
    """The elements of tensors in a row, on the CPU, in float32 or float64."""
    import torch

    if not tensors:
        return torch.zeros(0).numpy()
    where = tensors[0].device
    whole = torch.cat([tensor.detach().reshape(-1).to(where) for tensor in tensors])
    return (whole if whole.dtype == torch.float64 else whole.float()).cpu().numpy()
