"""A random projection of all weights to 256 numbers, which keeps distances and angles up to a few percent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import shake_256
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

ROWS = 1024
BLOCK = ROWS * PRIME
"""Elements that are taken at once: few enough to stay in a processor's cache, enough to be worth the call."""

PLACES = 1 << 14


@cache
def signs(device: str) -> "torch.Tensor":
    """The fixed random signs, float32 (1.1 MB): every block of a tensor reads a stretch of its own."""
    import torch

    drawn = torch.randint(0, 2, (PLACES + BLOCK,), generator=torch.Generator().manual_seed(0x5EED), dtype=torch.int8)
    return (drawn.float() * 2 - 1).to(device)


def first(flat: "torch.Tensor", count: int) -> "torch.Tensor":
    """The first elements of a flat tensor; itself where it has no more (a view less on every step of a walk)."""
    return flat if flat.numel() == count else flat.narrow(0, 0, count)


@dataclass(frozen=True)
class Drawn:
    """What a tensor's name draws for each of its blocks: where in the signs it begins, and a sign for each of its rows.

    The rows' signs make the projection unbiased over names for every vector; stretches of one table alone are too few
    to draw from for vectors that repeat themselves.
    """

    starts: tuple[int, ...]
    rows: "torch.Tensor"

    def add(self, buckets: "torch.Tensor", part: "torch.Tensor", block: int, scratch: "torch.Tensor") -> None:
        """Add some blocks of the flat tensor, `block` being the first one's number, onto the [PRIME] buckets.

        scratch: as large as a block, or as the part where that is smaller.
        """
        import torch

        table, rows, total = signs(str(part.device)), self.rows.to(part), part.numel()
        for at in range(0, total, BLOCK):
            size, start, own = min(BLOCK, total - at), self.starts[block + at // BLOCK], rows[block + at // BLOCK]
            piece = part if size == total else part.narrow(0, at, size)
            signed = torch.mul(piece, table.narrow(0, start, size), out=first(scratch, size))
            whole = size // PRIME
            buckets.addmv_(first(signed, whole * PRIME).view(whole, PRIME).t(), first(own, whole))
            if whole * PRIME < size:
                rest = signed[whole * PRIME :]
                buckets[: rest.numel()].add_(rest * own[whole])


def drawn(name: str, size: int) -> Drawn:
    """The draws of the tensor of this name: the same in every run and every file."""
    import numpy as np
    import torch

    blocks = -(-size // BLOCK)
    bytes_of = [shake_256(f"{block}:{name}".encode()).digest(ROWS // 8 + 8) for block in range(blocks)]
    bits = np.unpackbits(np.frombuffer(b"".join(each[: ROWS // 8] for each in bytes_of), dtype=np.uint8))
    rows = torch.from_numpy(bits.reshape(blocks, ROWS).astype(np.float32) * 2 - 1)
    return Drawn(tuple(int.from_bytes(each[-8:], "big") % PLACES for each in bytes_of), rows)


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
    _drawn: dict[str, Drawn] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._drawn.update({name: drawn(name, size) for name, size in self.sizes.items()})

    def of(self, tensors: "Mapping[str, torch.Tensor]") -> Floats:
        """[256] of these tensors; those without a size here are left out."""
        import torch

        total = torch.zeros(PRIME, dtype=torch.float64)
        for name, draws in self._drawn.items():
            flat = tensors[name].reshape(-1)
            buckets = flat.new_zeros(PRIME)
            draws.add(buckets, flat, 0, flat.new_empty(min(len(flat), BLOCK)))
            total += buckets.cpu().double()
        return numbers(total)
