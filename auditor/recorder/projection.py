"""A random projection of all weights to 256 numbers, which keeps distances and angles up to a few percent."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
else:
    Floats = Any

NUMBERS = 256
PRIME = 257
"""Elements go round a prime number of buckets, so that no row or column of a matrix falls into a few of them."""

BLOCK = NUMBERS * PRIME
SIGNS = 1 << 18


@cache
def signs(device: str) -> "torch.Tensor":
    """The fixed random signs, float32: every block of a tensor reads a stretch of its own."""
    import torch

    drawn = torch.randint(0, 2, (SIGNS + BLOCK,), generator=torch.Generator().manual_seed(0x5EED), dtype=torch.int8)
    return (drawn.float() * 2 - 1).to(device)


def offsets(name: str, size: int) -> Iterator[int]:
    """Where in the signs each block of the tensor of this name begins: the same in every run and every file."""
    for block in range(-(-size // BLOCK)):
        yield int.from_bytes(sha256(f"{block}:{name}".encode()).digest()[:8], "big") % SIGNS


@dataclass(frozen=True)
class Projection:
    """P of a vector x that is made of named tensors: P x = sum over elements i of s_i x_i e_b(i), a count sketch.

    s_i are random signs, b(i) the bucket of element i of 256. E[P x . P y] = x . y, with a standard error of about
    norm(x) norm(y) / 16. sizes: elements by name. Charikar, Chen & Farach-Colton, Finding Frequent Items in Data
    Streams (2002).
    """

    sizes: Mapping[str, int]
    _starts: dict[str, tuple[int, ...]] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._starts.update({name: tuple(offsets(name, size)) for name, size in self.sizes.items()})

    def of(self, tensors: "Mapping[str, torch.Tensor]") -> Floats:
        """[256] of these tensors; those without a size here are left out."""
        import torch

        total = torch.zeros(PRIME, dtype=torch.float64)
        for name, starts in self._starts.items():
            total += self._tensor(tensors[name].flatten(), starts)
        total[0] += total[-1]
        return total[:NUMBERS].numpy()

    def _tensor(self, flat: "torch.Tensor", starts: tuple[int, ...]) -> "torch.Tensor":
        import torch

        total = torch.zeros(PRIME, dtype=torch.float64)
        drawn = signs(str(flat.device))
        for block, start in enumerate(starts):
            part = flat[block * BLOCK : (block + 1) * BLOCK]
            signed = part * drawn[start : start + len(part)]
            whole = len(signed) - len(signed) % PRIME
            total += signed[:whole].view(-1, PRIME).sum(0).cpu().double()
            total[: len(signed) - whole] += signed[whole:].cpu().double()
        return total
