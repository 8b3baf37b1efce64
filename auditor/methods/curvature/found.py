"""What is found of a curvature: eigenvalues, trace and density, and the numbers read off them.

Light on purpose: plans name these classes without importing numpy or torch.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
else:
    Floats = Any

FULL = 2000
"""Below this many parameters the matrix is written down and everything is exact."""

SPARE = 13
"""Rows of Lanczos' basis beyond the wanted pairs: enough that most runs end before the first restart."""

NEGATIVE = 1e-3
"""Of the top eigenvalue: what lies less far below zero does not count as negative."""

CHECKED = 3
"""Pairs of products that tell whether they are those of a symmetric matrix."""

SKEWED = 1e-2
"""From here on products are not taken for those of a symmetric matrix. Rounding leaves about 1e-6, and 2e-4 of a net
whose loss is 1e-4."""

SAME = 1e-3
"""Of the top eigenvalue: what a probe sees less far above it is the same."""

CLEAR = 5.0
"""Standard deviations of the rest of the density above its mean, from which an eigenvalue stands clear of it."""


@dataclass(frozen=True)
class Settings:
    """What is asked. top, bottom: how many of the largest and of the smallest eigenvalues, by sign; tolerance: of their
    residuals; most: Lanczos products at most. probes: of the trace; deep, depth: how many of them also tell the
    density, by how many products. Fewer products clump what lies near zero, fewer probes miss what is rare."""

    top: int = 5
    bottom: int = 1
    tolerance: float = 1e-3
    most: int = 300
    probes: int = 10
    deep: int = 4
    depth: int = 96

    def products(self, size: int) -> int:
        """About how many products it takes, batches not counted."""
        if size < FULL:
            return size
        deep = min(self.deep, self.probes) * (self.depth - 1)
        return 4 * (self.top + self.bottom) + SPARE + deep + self.probes + 2 * CHECKED


@dataclass(frozen=True)
class Density:
    """A spectral density as point masses: nodes [s] and their weights [s]."""

    nodes: Floats
    weights: Floats

    def below(self, bound: float) -> float:
        """The mass below a bound."""
        return float(self.weights[self.nodes < bound].sum())

    def quantile(self, share: float) -> float:
        """The smallest node with at least this share of the mass at or below it."""
        order = self.nodes.argsort()
        reached = self.weights[order].cumsum() >= share * self.weights.sum() * (1 - 1e-9)
        return float(self.nodes[order][reached.argmax()])

    def moments(self) -> tuple[float, float]:
        """Mean and standard deviation."""
        mean = float(self.nodes @ self.weights / self.weights.sum())
        return mean, float(((self.nodes - mean) ** 2 @ self.weights / self.weights.sum()) ** 0.5)

    def curve(self, points: Floats, width: float) -> Floats:
        """Smoothed by a Gaussian of standard deviation `width`."""
        import numpy as np

        away = (points[:, None] - self.nodes) / width
        smooth: Floats = np.exp(-0.5 * away**2) @ self.weights / (width * (2 * np.pi) ** 0.5)
        return smooth


@dataclass(frozen=True)
class Spectrum:
    """What is known of one matrix of order `size`.

    values, residuals: the `top` largest eigenvalues first, then the smallest; an eigenvalue lies within its residual.
    errors: residuals over the eigenvalue (or a hundredth of the largest); converged: none above the tolerance.
    traces: one estimate a probe, a single exact one where the matrix was written down (`full`). density: of all, the
    reported eigenvalues first. alone: each batch's own largest eigenvalue. products: taken in all. vectors: of the
    length of the parameters held at once, beyond the graphs; graph_bytes: what the kept graphs hold; rebuilt: batches
    whose graph is built anew for each product. missed: an eigenvalue that a probe saw above the smallest of the top
    ones, or None: equal eigenvalues are found once. skew: |H - H^T| / |H| by Frobenius' norm, of the products as they
    came.
    """

    size: int
    top: int
    values: Floats
    residuals: Floats
    errors: Floats
    converged: bool
    traces: Floats
    density: Density
    alone: Floats
    products: float
    vectors: int
    graph_bytes: int
    rebuilt: int
    full: bool
    missed: float | None = None
    skew: float = 0.0

    @property
    def sharpness(self) -> float:
        """The largest eigenvalue."""
        return float(self.values[0])

    @property
    def is_zero(self) -> bool:
        """Whether nothing bends at all: every product was zero."""
        return not bool(self.values.any() or self.traces.any())

    @property
    def is_skewed(self) -> bool:
        """Whether the products cannot be second derivatives: those are symmetric."""
        return self.skew > SKEWED

    @property
    def is_bound(self) -> bool:
        """Whether the largest eigenvalue is only a lower bound."""
        return not self.converged or (self.missed is not None and self.missed > (1 + SAME) * self.sharpness)

    @property
    def rest(self) -> Density:
        """The density without the reported eigenvalues."""
        count = len(self.values)
        return Density(self.density.nodes[count:], self.density.weights[count:])

    def negative_share(self) -> float | None:
        """The mass of the density below -NEGATIVE x the largest eigenvalue; None unless that is above 0."""
        return self.density.below(-NEGATIVE * self.sharpness) if self.sharpness > 0 else None

    def batch_spread(self) -> float | None:
        """(largest - smallest of the batches' own largest eigenvalues) / that of the mean; None for one batch."""
        if not len(self.alone) or self.sharpness <= 0:
            return None
        return float(self.alone.max() - self.alone.min()) / self.sharpness

    def trace_relative_se(self) -> float | None:
        """The trace's standard error over its size: 0 where it is exact; None where it is 0."""
        trace, count = float(self.traces.mean()), len(self.traces)
        if trace == 0:
            return None
        return float(self.traces.std(ddof=1)) / count**0.5 / abs(trace) if count > 1 else 0.0

    def bulk_width(self) -> float | None:
        """The middle 90% of the rest's density, as a share of the largest eigenvalue."""
        if self.sharpness <= 0 or not len(self.rest.nodes):
            return None
        return (self.rest.quantile(0.95) - self.rest.quantile(0.05)) / self.sharpness

    def outliers(self) -> int | None:
        """How many of the top eigenvalues stand clear of the rest."""
        if not len(self.rest.nodes):
            return None
        mean, sd = self.rest.moments()
        return int((self.values[: self.top] > mean + CLEAR * sd).sum())
