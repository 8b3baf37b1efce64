"""Lanczos: the outermost eigenpairs of a symmetric operator from its products with vectors."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from auditor.methods.curvature.found import SPARE
from auditor.methods.curvature.vectors import Floats, dots, norm, orthogonalize, turn

FLOOR = 1e-2
"""A pair's residual is measured against its own eigenvalue, or this share of the largest if that is more."""

ROUNDING = 1e-6
"""What is left of a float32 vector of length 1 when everything has been taken out of it, generously."""


class Operator(Protocol):
    """A symmetric matrix, known by its products with float32 vectors [size]."""

    @property
    def size(self) -> int:
        """Its order."""

    @property
    def device(self) -> torch.device:
        """Where its vectors are."""

    def __call__(self, vector: Tensor) -> Tensor:
        """The product, as a new vector."""


@dataclass(frozen=True)
class Wanted:
    """The `top` largest and the `bottom` smallest eigenvalues, by sign and not by size; residuals of `tolerance` times
    the eigenvalue (see FLOOR); at most `most` products, verification not counted."""

    top: int
    bottom: int = 0
    tolerance: float = 1e-3
    most: int = 300

    def within(self, size: int) -> "Wanted":
        """No more pairs than the matrix has."""
        top = min(self.top, size)
        return Wanted(top, min(self.bottom, size - top), self.tolerance, self.most)

    @property
    def pairs(self) -> int:
        """How many."""
        return self.top + self.bottom

    def order(self, count: int) -> list[int]:
        """Of `count` values in ascending order: the largest first, then the smallest, then the rest from above."""
        top, bottom = min(self.top, count), min(self.bottom, max(0, count - self.top))
        places = list(range(count))[::-1]
        return [*places[:top], *places[count - bottom :][::-1], *places[top : count - bottom]]

    def scale(self, values: Floats) -> Floats:
        """What residuals are measured against; 1 for a matrix of zeros."""
        largest = float(np.abs(values).max(initial=0.0))
        return np.maximum(np.abs(values), FLOOR * largest) if largest > 0 else np.ones_like(values)


@dataclass(frozen=True)
class Pairs:
    """Eigenpairs, each verified by a product of its own.

    values [k]: Rayleigh quotients u . Hu: the largest first, then the smallest; residuals [k]: |Hu - value u|, so an
    eigenvalue lies within that distance. errors [k]: residuals over their scale; converged: none above the tolerance.
    basis [m, n]: orthonormal Ritz vectors, the k reported first, and ritz [m] their values in the Lanczos run.
    """

    values: Floats
    residuals: Floats
    errors: Floats
    converged: bool
    basis: Tensor
    ritz: Floats
    steps: int

    @property
    def reported(self) -> Tensor:
        """The vectors of the reported pairs [k, n]."""
        return self.basis[: len(self.values)]


def lanczos(operator: Operator, wanted: Wanted, generator: torch.Generator, start: Tensor | None = None) -> Pairs:
    """The outermost eigenpairs by Lanczos' method with full re-orthogonalization and thick restarts.

    Ends when beta |s_i|, the residual that the recurrence claims, is small enough for every wanted pair, or after
    `wanted.most` products; then every pair is verified by one product more. Float32 vectors, float64 sums. Equal
    eigenvalues are found once. Wu and Simon, SIAM Journal on Matrix Analysis 22 (2000).
    """
    wanted = wanted.within(operator.size)
    run = Run(operator, wanted, generator)
    run.first(start)
    while not run.done():
        run.step()
    return run.verified()


class Run:
    """One run in progress: `held` orthonormal rows of the basis, and the matrix seen in them."""

    def __init__(self, operator: Operator, wanted: Wanted, generator: torch.Generator) -> None:
        self.operator, self.wanted, self.generator = operator, wanted, generator
        self.rows = min(operator.size, wanted.pairs + SPARE)
        self.basis = torch.empty(self.rows, operator.size, device=operator.device)
        self.seen = np.zeros((self.rows, self.rows))
        self.held, self.steps, self.rest = 0, 0, 0.0
        self.next: Tensor | None = None

    def first(self, start: Tensor | None) -> None:
        """Begin with a given vector, or at random."""
        self.next = self._random() if start is None else start / norm(start)

    def _random(self) -> Tensor:
        drawn = torch.randn(self.operator.size, generator=self.generator).to(self.operator.device)
        orthogonalize(drawn, self.basis[: self.held])
        return drawn / norm(drawn)

    def step(self) -> None:
        """One product: one row more, after a restart where there is no room."""
        assert self.next is not None
        if self.held == self.rows:
            self._restart()
        at = self.held
        self.basis[at] = self.next
        self.held += 1
        found = self.operator(self.basis[at])
        column = orthogonalize(found, self.basis[: self.held])
        self.seen[: self.held, at] = self.seen[at, : self.held] = column
        self.rest, self.steps = norm(found), self.steps + 1
        if self.held == self.operator.size:
            self.rest, self.next = 0.0, None
        elif self.rest <= ROUNDING * float(np.abs(self.seen).max()):
            self.rest, self.next = 0.0, self._random()
        else:
            self.next = found.div_(self.rest)

    def ritz(self) -> tuple[Floats, Floats]:
        """Values and, as columns, vectors of the matrix as seen so far, in the order of `Wanted.order`."""
        values, vectors = np.linalg.eigh(self.seen[: self.held, : self.held])
        order = self.wanted.order(self.held)
        return values[order], vectors[:, order]

    def done(self) -> bool:
        """Whether every wanted pair's claimed residual is small enough, or no product is left."""
        if self.next is None or self.steps >= self.wanted.most:
            return True
        if self.held < self.wanted.pairs:
            return False
        values, vectors = self.ritz()
        claimed = self.rest * np.abs(vectors[-1])
        scale = self.wanted.scale(values)
        return bool((claimed <= 0.9 * self.wanted.tolerance * scale)[: self.wanted.pairs].all())

    def _restart(self) -> None:
        values, vectors = self.ritz()
        kept = self.wanted.pairs + (self.rows - self.wanted.pairs) // 2
        turn(self.basis[: self.held], vectors[:, :kept].T)
        self.seen[:] = 0.0
        self.seen[range(kept), range(kept)] = values[:kept]
        self.held = kept

    def verified(self) -> Pairs:
        """The Ritz pairs, and one product for each that is reported."""
        ritz, vectors = self.ritz()
        turn(self.basis[: self.held], vectors.T)
        count = min(self.wanted.pairs, self.held)
        values, residuals = np.zeros(count), np.zeros(count)
        for place, row in enumerate(self.basis[:count]):
            found, square = self.operator(row), norm(row) ** 2
            values[place] = dots(row[None], found)[0] / square
            residuals[place] = norm(found.sub_(row, alpha=values[place])) / square**0.5
        errors = residuals / self.wanted.scale(ritz)[:count]
        converged = bool((errors <= self.wanted.tolerance).all()) and count == self.wanted.pairs
        return Pairs(values, residuals, errors, converged, self.basis[: self.held], ritz, self.steps)
