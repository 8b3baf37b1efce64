"""Whether inputs fit a model: what its first normalization layer receives, against what it received in training."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.statistics import cluster_bootstrap, stratified_bootstrap

DRAWN = 512

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Received:
    """What a normalization layer received and remembers.

    mean, square: float64 [n, channels], the mean and the mean square of each example over its places. running_mean,
    running_var: [channels], the layer's own from training.
    """

    mean: Floats
    square: Floats
    running_mean: Floats
    running_var: Floats

    def mean_shift(self, rows: NDArray[np.int64]) -> float:
        """The median over channels of abs(mean - running mean) / running standard deviation."""
        moved = np.abs(self.mean[rows].mean(axis=0) - self.running_mean)
        return float(np.median((moved / np.sqrt(self._safe))[self._alive]))

    def variance_shift(self, rows: NDArray[np.int64]) -> float:
        """The median over channels of abs(log(variance / running variance))."""
        variance = self.square[rows].mean(axis=0) - self.mean[rows].mean(axis=0) ** 2
        ratio = np.maximum(variance, 1e-6 * self._safe) / self._safe
        return float(np.median(np.abs(np.log(ratio))[self._alive]))

    def shifts(self, units: Sequence[str], seed: int) -> dict[str, tuple[float, tuple[float, ...], int]]:
        """Both shifts of the first 512 examples (enough, and quick to draw anew), by "mean" and "variance".

        Each with its bootstrap distribution (statistics.GRID) and the number of units: groups where `units` names one
        for each example, else examples.
        """
        rows = np.arange(min(len(self.mean), DRAWN))
        groups = list(units[: len(rows)])
        found = {}
        for name, estimate in (("mean", self.mean_shift), ("variance", self.variance_shift)):
            draw, strata = (cluster_bootstrap, groups) if groups else (stratified_bootstrap, np.zeros(len(rows)))
            drawn = draw(estimate, strata, seed)
            found[name] = estimate(rows), drawn, len(set(groups)) or len(rows)
        return found

    @property
    def _alive(self) -> NDArray[np.bool_]:
        """Channels that varied in training; one that never did has no scale to compare with."""
        found: NDArray[np.bool_] = self.running_var > 1e-8 * self.running_var.max()
        return found if found.any() else np.ones_like(found)

    @property
    def _safe(self) -> Floats:
        found: Floats = np.maximum(self.running_var, 1e-12)
        return found
