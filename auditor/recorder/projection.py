"""A random projection of all weights to 256 numbers, which keeps distances and angles up to a few percent."""

from collections.abc import Mapping, Sequence
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
    """The fixed random signs, float32 (1.3 MB): every block of a tensor reads a stretch of its own."""
    import torch

    drawn = torch.randint(0, 2, (SIGNS + BLOCK,), generator=torch.Generator().manual_seed(0x5EED), dtype=torch.int8)
    return (drawn.float() * 2 - 1).to(device)


def offsets(name: str, size: int) -> tuple[int, ...]:
    """Where in the signs each block of the tensor of this name begins: the same in every run and every file."""
    blocks = -(-size // BLOCK)
    return tuple(_drawn(f"{block}:{name}") % SIGNS for block in range(blocks))


def _drawn(text: str) -> int:
    return int.from_bytes(sha256(text.encode()).digest()[:8], "big")


def add_signed(total: "torch.Tensor", part: "torch.Tensor", starts: Sequence[int]) -> None:
    """Add whole blocks of a flat tensor, each under its stretch of signs, onto the [BLOCK] elements of `total`."""
    import torch

    drawn = signs(str(part.device))
    for start, piece in zip(starts, torch.split(part, BLOCK), strict=True):
        size = len(piece)
        total[:size].addcmul_(piece, drawn[start : start + size])


def folded(total: "torch.Tensor") -> "torch.Tensor":
    """[PRIME], float64, on the CPU: the elements of such a total by their bucket."""
    whole = len(total) - len(total) % PRIME
    sums = total[:whole].view(-1, PRIME).sum(0).cpu().double()
    sums[: len(total) - whole] += total[whole:].cpu().double()
    return sums


def numbers(buckets: "torch.Tensor") -> Floats:
    """[256] of [PRIME] buckets: the last goes to the first."""
    kept = buckets[:NUMBERS].clone()
    kept[0] += buckets[NUMBERS]
    return kept.numpy()


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
        self._starts.update({name: offsets(name, size) for name, size in self.sizes.items()})

    def of(self, tensors: "Mapping[str, torch.Tensor]") -> Floats:
        """[256] of these tensors; those without a size here are left out."""
        import torch

        buckets = torch.zeros(PRIME, dtype=torch.float64)
        for name, starts in self._starts.items():
            flat = tensors[name].reshape(-1)
            total = torch.zeros(min(len(flat), BLOCK), dtype=flat.dtype, device=flat.device)
            add_signed(total, flat, starts)
            buckets += folded(total)
        return numbers(buckets)
