"""Everything of one curvature: eigenpairs, trace, density and batches from one Lanczos run, or from the full matrix."""

from dataclasses import dataclass

import numpy as np
import torch

from auditor.methods.curvature.density import Density, assembled, probe
from auditor.methods.curvature.lanczos import SPARE, Operator, Pairs, Wanted, lanczos
from auditor.methods.curvature.products import Products
from auditor.methods.curvature.vectors import Floats

FULL = 2000
"""Below this many parameters the matrix is written down and everything is exact."""

LARGE, FEW = 20_000, 2
"""From LARGE parameters on, the density of one probe hardly differs from that of another: FEW go to full depth."""

WORKING = 4
"""Vectors of the length of the parameters beyond the basis: two of the recurrence, a product and its sum."""

BATCH_TOLERANCE, BATCH_PRODUCTS = 3e-2, 30
"""Of one batch alone; the error of an eigenvalue is the square of its residual over the gap, so well below 1%."""


@dataclass(frozen=True)
class Settings:
    """wanted: eigenpairs. probes: of the trace; depth: products of a probe of the density. batches: whether each batch
    alone is asked for its largest eigenvalue, to within 1%."""

    wanted: Wanted
    probes: int = 10
    depth: int = 32
    batches: bool = True

    def deep(self, size: int) -> int:
        """How many probes go to full depth."""
        return min(self.probes, FEW) if size >= LARGE else self.probes

    def products(self, size: int) -> int:
        """About how many products it takes, batches not counted."""
        if size < FULL:
            return size
        deep = self.deep(size)
        return 3 * self.wanted.pairs + SPARE + deep * self.depth + self.probes - deep


@dataclass(frozen=True)
class Spectrum:
    """What is known of one matrix of order `size`.

    values, residuals, errors, converged: as in Pairs, the `top` largest first, then the smallest. traces: one estimate
    a probe, a single exact one where the matrix was written down (`full`). alone: each batch's own largest eigenvalue.
    products: taken in all. vectors: of the length of the parameters held at once, beyond the graphs; graph_bytes: what
    the kept graphs hold; rebuilt: batches whose graph is built anew for each product.
    missed: an eigenvalue seen by a probe above the smallest of the top ones, or None: equal eigenvalues are found once.
    """

    size: int
    top: int
    values: Floats
    residuals: Floats
    errors: Floats
    converged: bool
    traces: Floats
    density: Density
    rest: Density
    alone: Floats
    products: float
    vectors: int
    graph_bytes: int
    rebuilt: int
    full: bool
    missed: float | None = None


def spectrum(operator: Products, settings: Settings, seed: int) -> Spectrum:
    """The spectrum of a curvature; all randomness comes from `seed`."""
    generator = torch.Generator().manual_seed(seed)
    if operator.size < FULL:
        return _full(operator, settings, generator)
    pairs = lanczos(operator, settings.wanted, generator)
    deep = settings.deep(operator.size)
    probes = [probe(operator, pairs, generator, settings.depth if at < deep else 1) for at in range(settings.probes)]
    density = assembled(pairs, probes[:deep], operator.size)
    count = len(pairs.values)
    rest = Density(density.nodes[count:], density.weights[count:])
    wanted = settings.wanted.within(operator.size)
    return Spectrum(
        operator.size, wanted.top, pairs.values, pairs.residuals, pairs.errors, pairs.converged,
        traces=np.array([each.trace for each in probes]), density=density, rest=rest,
        alone=_alone(operator, settings, generator, pairs.basis[0]), products=operator.count,
        vectors=len(pairs.basis) + WORKING, graph_bytes=operator.graph_bytes, rebuilt=operator.rebuilt, full=False,
        missed=_missed(pairs, rest, wanted),
    )  # fmt: skip


def full_matrix(operator: Operator) -> Floats:
    """The matrix, column by column, by products with unit vectors; float64 [n, n], as it came (not symmetrized)."""
    unit = torch.zeros(operator.size, device=operator.device)
    columns = np.empty((operator.size, operator.size))
    for place in range(operator.size):
        unit[place] = 1.0
        columns[place] = operator(unit).double().cpu().numpy()
        unit[place] = 0.0
    return columns


def _full(operator: Products, settings: Settings, generator: torch.Generator) -> Spectrum:
    """Everything exact; the residual is what rounding left unsymmetric, a bound on what it can move an eigenvalue."""
    matrix = full_matrix(operator)
    wanted = settings.wanted.within(operator.size)
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    order = wanted.order(operator.size)[: wanted.pairs]
    residuals = np.full(wanted.pairs, float(np.linalg.norm(matrix - matrix.T)) / 2)
    shares = np.full(operator.size, 1 / operator.size)
    first = torch.as_tensor(vectors[:, -1].copy(), dtype=torch.float32, device=operator.device)
    return Spectrum(
        operator.size, wanted.top, values[order], residuals, residuals / wanted.scale(values)[order], converged=True,
        traces=np.array([values.sum()]), density=Density(values, shares),
        rest=Density(np.delete(values, order), np.delete(shares, order)),
        alone=_alone(operator, settings, generator, first), products=operator.count,
        vectors=2 * operator.size, graph_bytes=operator.graph_bytes, rebuilt=operator.rebuilt, full=True,
    )  # fmt: skip


def _alone(operator: Products, settings: Settings, generator: torch.Generator, start: torch.Tensor) -> Floats:
    """The largest eigenvalue of each batch, from the mean's own eigenvector on; nothing where there is one batch."""
    if not settings.batches or len(operator.parts) < 2:
        return np.zeros(0)
    wanted = Wanted(1, tolerance=BATCH_TOLERANCE, most=BATCH_PRODUCTS)
    each = (lanczos(operator.alone(place), wanted, generator, start) for place in range(len(operator.parts)))
    return np.array([pairs.values[0] for pairs in each])


def _missed(pairs: Pairs, rest: Density, wanted: Wanted) -> float | None:
    least, seen = pairs.values[wanted.top - 1], float(rest.nodes.max(initial=-np.inf))
    return seen if pairs.converged and seen > least + 10 * wanted.tolerance * abs(least) else None
