"""Everything of one curvature: eigenpairs, trace, density and batches from one Lanczos run, or from the full matrix."""

import numpy as np
import torch

from auditor.methods.curvature.density import assembled, probe
from auditor.methods.curvature.found import CHECKED, FULL, Density, Floats, Settings, Spectrum
from auditor.methods.curvature.lanczos import Operator, Pairs, Wanted, lanczos
from auditor.methods.curvature.products import Products
from auditor.methods.curvature.vectors import dots, drawn, norm

WORKING = 4
"""Vectors of the length of the parameters beyond the basis: two of the recurrence, a product and its sum."""

BATCH_TOLERANCE, BATCH_PRODUCTS = 3e-2, 30
"""Of one batch alone; the error of an eigenvalue is the square of its residual over the gap, so well below 1%."""

ASIDE = 0.1
"""How far beside the mean's eigenvector the search in one batch starts."""


def spectrum(operator: Products, settings: Settings, seed: int) -> Spectrum:
    """The spectrum of a curvature; all randomness comes from `seed`."""
    generator = torch.Generator().manual_seed(seed)
    if operator.size < FULL:
        return _full(operator, wanted_of(settings, operator.size), generator)
    wanted = wanted_of(settings, operator.size)
    pairs = lanczos(operator, wanted, generator)
    depths = [settings.depth if at < settings.deep else 1 for at in range(settings.probes)]
    probes = [probe(operator, pairs, generator, depth) for depth in depths]
    density = assembled(pairs, probes[: settings.deep], operator.size)
    return Spectrum(
        operator.size, wanted.top, pairs.values, pairs.residuals, pairs.errors, pairs.converged,
        traces=np.array([each.trace for each in probes]), density=density,
        alone=_alone(operator, generator, pairs.basis[0]), products=operator.count,
        vectors=len(pairs.basis) + WORKING, graph_bytes=operator.graph_bytes, rebuilt=operator.rebuilt, full=False,
        missed=_missed(pairs, density, wanted), skew=_skew(operator, generator),
    )  # fmt: skip


def wanted_of(settings: Settings, size: int) -> Wanted:
    """The eigenpairs of the settings, no more than the matrix has."""
    return Wanted(settings.top, settings.bottom, settings.tolerance, settings.most).within(size)


def full_matrix(operator: Operator) -> Floats:
    """The matrix, column by column, by products with unit vectors; float64 [n, n], as it came (not symmetrized)."""
    unit = torch.zeros(operator.size, device=operator.device)
    columns = np.empty((operator.size, operator.size))
    for place in range(operator.size):
        unit[place] = 1.0
        columns[place] = operator(unit).double().cpu().numpy()
        unit[place] = 0.0
    return columns


def _full(operator: Products, wanted: Wanted, generator: torch.Generator) -> Spectrum:
    """Everything exact; the residual is what rounding left unsymmetric, a bound on what it can move an eigenvalue."""
    matrix = full_matrix(operator)
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    order = wanted.order(operator.size)[: wanted.pairs]
    residuals = np.full(wanted.pairs, float(np.linalg.norm(matrix - matrix.T)) / 2)
    shares = np.full(operator.size, 1 / operator.size)
    first = torch.as_tensor(vectors[:, -1].copy(), dtype=torch.float32, device=operator.device)
    return Spectrum(
        operator.size, wanted.top, values[order], residuals, residuals / wanted.scale(values)[order], converged=True,
        traces=np.array([values.sum()]), density=Density(np.append(values[order], np.delete(values, order)), shares),
        alone=_alone(operator, generator, first), products=operator.count,
        vectors=2 * operator.size, graph_bytes=operator.graph_bytes, rebuilt=operator.rebuilt, full=True,
        skew=_share(float(np.linalg.norm(matrix - matrix.T)), float(np.linalg.norm(matrix))),
    )  # fmt: skip


def _alone(operator: Products, generator: torch.Generator, start: torch.Tensor) -> Floats:
    """The largest eigenvalue of each batch; nothing where there is one batch. From beside the mean's own eigenvector
    on, since a batch may have that one too, as one of its smaller ones."""
    if len(operator.parts) < 2:
        return np.zeros(0)
    wanted = Wanted(1, tolerance=BATCH_TOLERANCE, most=BATCH_PRODUCTS)
    aside = start / norm(start) + ASIDE * drawn(operator.size, generator, operator.device) / operator.size**0.5
    each = (lanczos(operator.alone(place), wanted, generator, aside) for place in range(len(operator.parts)))
    return np.array([pairs.values[0] for pairs in each])


def _skew(operator: Operator, generator: torch.Generator) -> float:
    """|H - H^T| / |H| by Frobenius: root mean squares of a.Hb - b.Ha and of |Ha| over random signs a and b."""
    off, long = 0.0, 0.0
    for _ in range(CHECKED):
        one, other = (drawn(operator.size, generator, operator.device) for _ in range(2))
        first, second = operator(one), operator(other)
        off += float(dots(other[None], first)[0] - dots(one[None], second)[0]) ** 2 / CHECKED
        long += (norm(first) ** 2 + norm(second) ** 2) / (2 * CHECKED)
    return _share(off**0.5, long**0.5)


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


def _missed(pairs: Pairs, density: Density, wanted: Wanted) -> float | None:
    """The largest node of the probes, if it lies clearly above the smallest of the top eigenvalues."""
    least, seen = pairs.values[wanted.top - 1], float(density.nodes[len(pairs.basis) :].max(initial=-np.inf))
    return seen if pairs.converged and seen > least + 10 * wanted.tolerance * abs(least) else None
