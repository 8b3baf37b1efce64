"""The spectral density and the trace by random probes, on what the eigenpairs leave."""

from dataclasses import dataclass

import numpy as np
import torch

from auditor.methods.curvature.found import Density
from auditor.methods.curvature.lanczos import ROUNDING, Operator, Pairs
from auditor.methods.curvature.vectors import dots, drawn, norm, orthogonalize


@dataclass(frozen=True)
class Probed:
    """One probe: its unbiased estimate of the trace, and its density (weights sum to 1) of what the basis leaves."""

    trace: float
    rest: Density


def probe(operator: Operator, pairs: Pairs, generator: torch.Generator, depth: int) -> Probed:
    """`depth` products on a vector z of random signs, without its part in the span of Lanczos' basis Q.

    Trace: tr(Q^T H Q) + z'Hz' with z' = z - Q Q^T z, from the first product; Hutchinson, Communications in Statistics
    19 (1990), on what is left, as in Meyer et al., Hutch++ (SOSA 2021). Density: Gauss quadrature of the tridiagonal
    matrix that Lanczos makes of z', nodes its eigenvalues, weights the squared first entries of its eigenvectors;
    Golub and Welsch (1969), Ghorbani, Krishnan and Xiao (ICML 2019).
    """
    trace, room = float(pairs.ritz.sum()), operator.size - len(pairs.basis)
    vector = drawn(operator.size, generator, operator.device)
    orthogonalize(vector, pairs.basis)
    length = norm(vector)
    if room == 0 or length <= ROUNDING * operator.size**0.5:
        return Probed(trace, Density(np.zeros(0), np.zeros(0)))
    vector.div_(length)
    diagonal, beside, before = list[float](), list[float](), None
    for step in range(min(depth, room)):
        found = operator(vector)
        diagonal.append(float(dots(vector[None], found)[0]))
        found.sub_(vector, alpha=diagonal[-1])
        if before is not None:
            found.sub_(before, alpha=beside[-1])
        orthogonalize(found, pairs.basis)
        left = norm(found)
        if left <= ROUNDING * max(map(abs, diagonal + beside)) or step + 1 == min(depth, room):
            break
        beside.append(left)
        before, vector = vector, found.div_(left)
    return Probed(trace + length**2 * diagonal[0], _quadrature(diagonal, beside))


def _quadrature(diagonal: list[float], beside: list[float]) -> Density:
    matrix = np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1)
    nodes, vectors = np.linalg.eigh(matrix)
    return Density(nodes, vectors[0] ** 2)


def assembled(pairs: Pairs, probes: list[Probed], size: int) -> Density:
    """Each value of the basis with 1/n, the reported ones first, and the mean of the probes' densities with the rest
    of the mass."""
    inside = np.concatenate([pairs.values, pairs.ritz[len(pairs.values) :]])
    held = [each.rest for each in probes if len(each.rest.nodes)]
    share = (size - len(inside)) / size / max(1, len(held))
    nodes = np.concatenate([inside, *(each.nodes for each in held)])
    weights = np.concatenate([np.full(len(inside), 1 / size), *(share * each.weights for each in held)])
    return Density(nodes, weights / weights.sum())
