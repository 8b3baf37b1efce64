"""Scores of a regression on any rows of its predictions, fast enough to be resampled thousands of times."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.integer[Any]]
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Fit:
    """Predicted and true numbers of each row, float64 [n]; each method scores the rows it is given."""

    predicted: Doubles
    targets: Doubles

    @property
    def residual(self) -> Doubles:
        """predicted - target: above 0 the model says too much."""
        return self.predicted - self.targets

    def rmse(self, rows: Ints) -> float:
        """The root of the mean squared residual, in the unit of the target."""
        return float(np.sqrt(np.mean(self.residual[rows] ** 2)))

    def r2(self, rows: Ints) -> float:
        """1 - sum residual^2 / sum (target - mean target)^2: 0 is as good as always saying the mean; may be negative.

        NaN where all targets of these rows are equal.
        """
        spread = float(((self.targets[rows] - self.targets[rows].mean()) ** 2).sum())
        return 1 - float((self.residual[rows] ** 2).sum()) / spread if spread > 0 else float("nan")
