"""Long float32 vectors: dot products whose sums do not lose what they add."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float64]

CHUNK = 1 << 14
"""Elements summed in float32 before float64 takes over: over 11 million elements one float32 sum is off by 2.5e-4."""


KEPT = 0.5
"""The share of a vector's length that must be left for one pass of orthogonalization to be enough."""


def dots(rows: Tensor, vector: Tensor) -> Floats:
    """rows [j, n] . vector [n] -> float64 [j], in float32 within chunks and in float64 over them."""
    sums = torch.empty(-(-rows.shape[1] // CHUNK), rows.shape[0], device=rows.device)
    for total, piece, part in zip(sums, torch.split(rows, CHUNK, 1), torch.split(vector, CHUNK), strict=True):
        torch.mv(piece, part, out=total)
    return sums.sum(dim=0, dtype=torch.float64).cpu().numpy()


def norm(vector: Tensor) -> float:
    """The length of a vector."""
    return math.sqrt(dots(vector[None], vector)[0])


def subtract(vector: Tensor, rows: Tensor, amounts: Floats) -> None:
    """vector -= rows^T amounts, in place."""
    factors = torch.as_tensor(amounts, dtype=vector.dtype, device=vector.device)
    vector.addmv_(rows.t(), factors, alpha=-1)


def orthogonalize(vector: Tensor, rows: Tensor) -> Floats:
    """Take out of `vector`, in place, what lies in the span of orthonormal `rows`: once, and again where most of it
    was taken; twice is enough (Daniel, Gragg, Kaufman and Stewart, Mathematics of Computation 30, 1976).

    Returns rows . vector as it was.
    """
    before, found = norm(vector), dots(rows, vector)
    subtract(vector, rows, found)
    if norm(vector) < KEPT * before:
        again = dots(rows, vector)
        subtract(vector, rows, again)
        return found + again
    return found


def turn(rows: Tensor, turned: Floats) -> None:
    """rows [m, n] become turned [p, m] @ rows in their first p rows, in place, a chunk of columns at a time."""
    kept = torch.as_tensor(turned, dtype=rows.dtype, device=rows.device)
    for piece in torch.split(rows, 1 << 16, 1):
        piece[: len(kept)] = kept @ piece


def drawn(size: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """A vector of random signs; the generator is the processor's, so that a seed means the same on every device."""
    signs = torch.randint(0, 2, (size,), generator=generator, dtype=torch.int8)
    return signs.to(device).float().mul_(2).sub_(1)
