"""Update: how many directions the change of a matrix has."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from auditor.methods.training.record import Floats

WHOLE = 512
SKETCH, BEYOND, ROUNDS = 64, 16, 4


@dataclass(frozen=True)
class Update:
    """The change D of a tensor of two or more dimensions, as a matrix [first, all others].

    norm: |D|_F; relative: |D|_F / |parent|_F, inf for a parent of zeros. stable_rank: |D|_F^2 / |D|_2^2, between 1 and
    the rank: few means that few directions carry the change. rank: the singular values above what rounding of the
    stored numbers alone gives, or None where they are too many to tell. spectrum: the largest, descending.
    """

    norm: float
    relative: float
    stable_rank: float
    rank: int | None
    spectrum: Floats


def update(child: Tensor, parent: Tensor, seed: int = 0) -> Update | None:
    """How the child's tensor differs from the parent's of equal shape; None without a difference, or without finite
    numbers.

    Up to 512 rows or columns all singular values are computed. Larger ones are sketched: 80 random directions, refined
    by four power iterations (Halko, Martinsson and Tropp, SIAM Review 53, 2011), which give the largest values, and the
    rank where what is left of D is rounding. The rounding of each of two stored numbers is at most eps / 2 of it; a
    matrix of such errors has a spectral norm of about eps rms(parent) (sqrt(rows) + sqrt(columns)) / sqrt(6), and what
    is below that with a factor of 2.5 is no direction.
    """
    before, after = _matrix(parent), _matrix(child)
    change = after - before
    norm = float(change.norm())
    if not norm > 0 or norm == float("inf"):
        return None
    held = float(before.norm())
    rows, columns = change.shape
    eps = max(torch.finfo(each.dtype).eps for each in (child, parent))
    floor = eps * held / (rows * columns) ** 0.5 * (rows**0.5 + columns**0.5)
    values, left = _all(change) if min(rows, columns) <= WHOLE else _largest(change, seed)
    rank = int((values > floor).sum()) if left <= floor * min(rows, columns) ** 0.5 else None
    relative = norm / held if held > 0 else float("inf")
    return Update(norm, relative, (norm / float(values[0])) ** 2, rank, values[:SKETCH])


def _matrix(tensor: Tensor) -> Tensor:
    return tensor.reshape(tensor.shape[0], -1).to(torch.float64 if tensor.numel() <= 1 << 24 else torch.float32)


def _all(change: Tensor) -> tuple[Floats, float]:
    return torch.linalg.svdvals(change).double().numpy(), 0.0


def _largest(change: Tensor, seed: int) -> tuple[Floats, float]:
    """The largest singular values, and the norm of what their directions leave."""
    draw = torch.Generator().manual_seed(seed)
    probes = torch.randn(change.shape[1], SKETCH + BEYOND, generator=draw, dtype=torch.float64).to(change.dtype)
    basis = torch.linalg.qr(change @ probes).Q
    for _ in range(ROUNDS):
        basis = torch.linalg.qr(change @ torch.linalg.qr(change.T @ basis).Q).Q
    inside = basis.T @ change
    left = float((change - basis @ inside).norm())
    values = torch.linalg.svdvals(inside).double().numpy()
    return np.asarray(values), left
