"""What is found of a loss landscape: rises around a model, and losses along straight lines between weights.

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

ROUNDING = 1e-9
"""Of a loss: differences below it are none."""


@dataclass(frozen=True)
class Around:
    """The loss around a model.

    own: the loss of the model as it is; centre: with its BatchNorm statistics measured anew, as everywhere else here.
    rises: [D], one a direction, how much the loss rises at the radius; not finite where the loss is not; [0] where no
    weight has a direction. at: [G], the coordinates of the grid; surface: [G, G] the loss at at[i] times the second
    direction plus at[j] times the first.
    """

    own: float
    centre: float
    rises: Floats
    at: Floats
    surface: Floats


@dataclass(frozen=True)
class Lane:
    """Losses [P] at equally spaced points of the straight line between two sets of weights, both ends among them."""

    name: str
    losses: Floats

    def at(self) -> Floats:
        """[P] the share of the way."""
        import numpy as np

        return np.linspace(0.0, 1.0, len(self.losses))

    def excess(self) -> Floats:
        """[P] the loss less that on the straight line from the first loss to the last: L(a) - (1 - a) L(0) - a L(1)."""
        first, last = float(self.losses[0]), float(self.losses[-1])
        found: Floats = self.losses - (first + self.at() * (last - first))
        found[[0, -1]] = found[[0, -1]] * 0.0  # rounding at the ends; what is not finite stays so
        return found

    def barrier(self) -> float | None:
        """The largest excess, at least 0 (the ends); of the finite ones, which are then a lower bound. None where an
        end is not finite: there is no straight line then. Frankle et al., ICML 2020."""
        excess = self.excess()
        return float(excess[_finite(excess)].max()) if self.has_ends() else None

    def depth(self) -> float | None:
        """As barrier, between the ends alone: below 0 where the loss stays below the straight line. None as there, or
        where no loss between the ends is finite."""
        inner = self.excess()[1:-1]
        known = inner[_finite(inner)]
        return float(known.max()) if self.has_ends() and len(known) else None

    def has_ends(self) -> bool:
        """Whether the loss is finite at both ends."""
        return bool(_finite(self.losses[[0, -1]]).all())

    def is_flat(self) -> bool:
        """Whether all losses are one, but for rounding: then the weights are no part of it."""
        low, high = float(self.losses.min()), float(self.losses.max())
        return high - low <= ROUNDING * abs(low)

    def is_open(self) -> bool:
        """Whether some loss is not finite, so that the barrier is only bounded from below."""
        return not bool(_finite(self.losses).all())


def _finite(values: Floats) -> Any:
    import numpy as np

    return np.isfinite(values)


@dataclass(frozen=True)
class Trodden:
    """The path of a training run among its kept weights: steps [S]; share: [S], how far each has come along the
    straight line from the first to the last, (w - w0) . (w1 - w0) / |w1 - w0|^2; losses: [S]; flat: [S, 2], the kept
    weights on their two principal axes, and `shown`, the share of their variance in these."""

    steps: tuple[int, ...]
    share: Floats
    losses: Floats
    flat: Floats
    shown: float


def pseudo_values(pairs: "list[tuple[int, int]]", values: "list[float]") -> "list[float]":
    """The jackknife's pseudo-values, one a unit, of the mean over all pairs of n units: n U - (n - 1) U(without i).

    Their mean is U, and their spread that of U over drawing other units: exact for values that are sums over the two
    units, and too wide (never too narrow) where the pairs differ otherwise. At least 3 units, all pairs present.
    Efron and Stein, Annals of Statistics 9 (1981); Arvesen, Annals of Mathematical Statistics 40 (1969).

    >>> pseudo_values([(0, 1), (0, 2), (1, 2)], [3.0, 4.0, 5.0])  # sums of 1, 2 and 3
    [2.0, 4.0, 6.0]
    """
    units = sorted({unit for pair in pairs for unit in pair})
    n, whole = len(units), sum(values) / len(values)
    if n < 3 or len(pairs) != n * (n - 1) // 2:
        raise ValueError(f"pseudo_values: expected all pairs of at least 3 units, found {len(pairs)} pairs of {n}")
    without = [[v for pair, v in zip(pairs, values, strict=True) if unit not in pair] for unit in units]
    return [n * whole - (n - 1) * sum(rest) / len(rest) for rest in without]
