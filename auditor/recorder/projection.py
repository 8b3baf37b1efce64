"""A random projection of all weights to 256 numbers, which keeps distances and angles up to a few percent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha512
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


@dataclass(frozen=True)
class Drawn:
    """What a tensor's name draws for each of its blocks: where in the signs it begins, and 256 signs of its rows.

    The rows' signs make the projection unbiased over names for every vector; stretches of one table alone are too few
    to draw from for vectors that repeat themselves.
    """

    starts: tuple[int, ...]
    rows: "torch.Tensor"

    def add(self, buckets: "torch.Tensor", part: "torch.Tensor", block: int, scratch: "torch.Tensor") -> None:
        """Add some blocks of the flat tensor, `block` being the first one's number, onto the [PRIME] buckets.

        scratch: of the size of a block, or of the part where that is smaller.
        """
        import torch

        table, rows = signs(str(part.device)), self.rows.to(part)
        for number, piece in enumerate(torch.split(part, BLOCK) if len(part) else (), start=block):
            start, size = self.starts[number], len(piece)
            signed = torch.mul(piece, table[start : start + size], out=scratch[:size])
            whole = size // PRIME
            buckets.addmv_(signed[: whole * PRIME].view(whole, PRIME).t(), rows[number, :whole])
            if whole * PRIME < size:
                rest = signed[whole * PRIME :]
                buckets[: len(rest)].add_(rest * rows[number, whole])


def drawn(name: str, size: int) -> Drawn:
    """The draws of the tensor of this name: the same in every run and every file."""
    import numpy as np
    import torch

    blocks = -(-size // BLOCK)
    bytes_of = [sha512(f"{block}:{name}".encode()).digest() for block in range(blocks)]
    bits = np.unpackbits(np.frombuffer(b"".join(each[:32] for each in bytes_of), dtype=np.uint8))
    rows = torch.from_numpy(bits.reshape(blocks, NUMBERS).astype(np.float32) * 2 - 1)
    return Drawn(tuple(int.from_bytes(each[32:40], "big") % SIGNS for each in bytes_of), rows)


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
