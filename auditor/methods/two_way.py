"""Two-way layouts: the mean of one number a seed and example, and what fresh seeds and examples would change of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.statistics import GRID, REPLICATES, Interval, t_interval

Floats = NDArray[np.float64]

ENOUGH_SEEDS, ENOUGH_UNITS, REALISTIC = 5, 30, 100


@dataclass(frozen=True)
class TwoWay:
    """A mean over K seeds and G units (examples, documents or groups), both drawn at random.

    variance: of the mean; seeds: S2 of the seeds' means / K (0 for K = 1), in which the seeds' own part and what both
    share, `residual`, are together. freedom: degrees of freedom of the variance, by Satterthwaite.
    """

    mean: float
    variance: float
    seeds: float
    freedom: float
    replicates: int
    units: int
    residual: float = 0.0

    @property
    def by_seed(self) -> bool:
        """Whether the seeds limit what can be said: too few for a claim, or the larger part of the variance; never
        where there are seeds enough, but too few units."""
        if self.replicates == 1 or (self.units < ENOUGH_UNITS and not self.few_seeds):
            return False
        return self.few_seeds or self.freedom + 1 < ENOUGH_UNITS or self.seeds > self.variance / 2

    @property
    def few_seeds(self) -> bool:
        """Whether there are several seeds, but too few to speak of fresh ones."""
        return 1 < self.replicates < ENOUGH_SEEDS

    @property
    def decides(self) -> bool:
        """Whether there are as many seeds and units as a verdict takes."""
        return not self.few_seeds and self.units >= ENOUGH_UNITS

    @property
    def limiting(self) -> int:
        """How many there are of what limits."""
        return self.replicates if self.by_seed else self.units

    @property
    def moments(self) -> tuple[float, float, int]:
        """(mean, sd, n), of which Student's interval is that of this mean: n - 1 are the degrees of freedom.

        Units too few for any verdict are counted themselves, so that it can say so; sd then gives the 95% interval.
        """
        from scipy.special import stdtrit

        n = max(2, int(self.freedom + 1e-9) + 1) if self.units > 1 else 1
        error = float(np.sqrt(self.variance))
        if 1 < self.units < ENOUGH_UNITS and not self.by_seed:
            error *= float(stdtrit(n - 1, 0.025) / stdtrit(self.units - 1, 0.025))
            n = self.units
        return self.mean, error * float(np.sqrt(n)), n

    def interval(self, confidence: float) -> Interval:
        """Student's interval of the mean."""
        return t_interval(*self.moments, confidence)

    def swapped(self) -> "TwoWay":
        """The same difference, seen from the other side."""
        return replace(self, mean=-self.mean)

    def would_decide(self, confidence: float) -> tuple[int, int] | None:
        """About how many seeds and units would hold 0 outside an interval; None above 100 times as many.

        More of what limits leaves the other's own part of the variance V: n' = n (V - rest) / (V (mean / d)^2 - rest),
        d half the interval's width. Where that is too much, more of both, each n (d / mean)^2. Never fewer than a
        verdict takes.
        """
        low, high = self.interval(confidence)
        if self.mean == 0 or not np.isfinite(high - low):
            return None
        times = max(1.0, ((high - low) / 2 / self.mean) ** 2)
        rest = max(0.0, self.variance - self.seeds if self.by_seed else self.seeds - self.residual)
        left = self.variance / times - rest
        alone = (self.variance - rest) / left if left > 0 else np.inf
        more, is_alone = (alone, True) if alone <= REALISTIC else (times, False)
        if more > REALISTIC:
            return None
        seeds = int(np.ceil(self.replicates * more)) if self.by_seed or not is_alone else self.replicates
        units = self.units if self.by_seed and is_alone else int(np.ceil(self.units * more))
        return max(seeds, ENOUGH_SEEDS) if self.replicates > 1 else 1, max(units, ENOUGH_UNITS)


def two_way(table: "NDArray[Any]", groups: Sequence[str] = ()) -> TwoWay:
    """The mean of table [K, n] and its variance when both the K rows and the n columns were drawn at random.

    y_ke = mu + s_k + e_e + r_ke:  var = S2(row means) / K + S2(column means) / n - MS(residual) / (K n), which is
    unbiased and never taken below either of its first two parts; one row is taken as given. With groups, whole groups
    of columns are the units, and the mean is the ratio of their totals to their sizes (linearized).
    freedom = V^2 / (V_rows^2 / (K - 1) + V_columns^2 / (n - 1)). Searle, Casella and McCulloch, Variance Components
    (1992); Satterthwaite, Biometrics Bulletin 2 (1946). ValueError where a number is not finite.

    >>> found = two_way(np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]))
    >>> found.mean, round(found.variance, 3), found.seeds
    (2.0, 0.333, 0.0)
    """
    totals, sizes = _totals(table, groups)
    rows, units = totals.shape
    mean = float(totals.sum() / (rows * sizes.sum()))
    off = (totals - mean * sizes) / sizes.mean()
    across = off.mean(axis=0)
    columns = float(across.var(ddof=1)) / units if units > 1 else 0.0
    if rows == 1:
        return TwoWay(mean, columns, 0.0, float(max(1, units - 1)), 1, units)
    along = off.mean(axis=1)
    seeds = float(along.var(ddof=1)) / rows
    rest = off - along[:, None] - across + off.mean()
    residual = float((rest**2).sum()) / max(1, (rows - 1) * (units - 1)) / (rows * units)
    variance = max(seeds + columns - residual, seeds, columns)
    parts = seeds**2 / (rows - 1) + columns**2 / max(1, units - 1)
    freedom = variance**2 / parts if parts > 0 else float(units - 1)
    return TwoWay(mean, variance, seeds, max(freedom, float(min(rows, units) - 1)), rows, units, residual)


def hierarchical(table: "NDArray[Any]", groups: Sequence[str], seed: int, bounds: Interval) -> tuple[float, ...]:
    """The bootstrap distribution at GRID of the mean of table [K, n], rows and columns drawn anew independently.

    Resampling both adds the interaction's variance more than once, and five rows show too little of their own: the
    quantiles are stretched about the estimate to the variance of two_way, and from the normal to Student's t of its
    degrees of freedom. Near a bound a mean is skewed, and its spread small just where it is too good: the moves are
    taken on the scale of log((x - low) / (high - x)), on which they are symmetric and none leaves `bounds`. Owen, The
    pigeonhole bootstrap, Annals of Applied Statistics 1 (2007).
    """
    from scipy.special import expit, logit, ndtri, stdtrit

    totals, sizes = _totals(table, groups)
    rows, units = totals.shape
    rng = np.random.default_rng(seed)
    drawn = np.empty(REPLICATES)
    for start in range(0, REPLICATES, 500):
        part = slice(start, start + 500)
        columns = rng.multinomial(units, np.full(units, 1 / units), size=500).astype(np.float64)
        lines = rng.multinomial(rows, np.full(rows, 1 / rows), size=500)
        drawn[part] = ((columns @ totals.T) * lines).sum(axis=1) / (rows * (columns @ sizes))
    found, levels = two_way(table, groups), np.array(GRID)
    moved = np.quantile(drawn, levels, method="weibull") - found.mean
    own = float(drawn.var())
    if own > 0:
        moved *= np.sqrt(found.variance / own)
        outward = moved * (levels - 0.5) > 0
        moved[outward] *= stdtrit(found.freedom, levels[outward]) / ndtri(levels[outward])
    low, width = bounds[0], bounds[1] - bounds[0]
    place = (found.mean - low) / width
    if not 0 < place < 1:
        return (found.mean,) * len(GRID)
    turned = low + width * expit(logit(place) + moved / width / (place * (1 - place)))
    return tuple(np.maximum.accumulate(turned).tolist())


def _totals(table: "NDArray[Any]", groups: Sequence[str]) -> tuple[Floats, Floats]:
    """[K, G] sums over the columns of each group, and [G] the sizes; without groups each column is its own."""
    values = np.atleast_2d(np.asarray(table, dtype=np.float64))
    if not np.isfinite(values).all() or not values.size:
        raise ValueError("two_way: expected finite numbers")
    if not groups:
        return values, np.ones(values.shape[1])
    _, labels = np.unique(np.asarray(groups), return_inverse=True)
    totals: Floats = np.stack([np.bincount(labels.ravel(), weights=row) for row in values]).astype(np.float64)
    return totals, np.bincount(labels.ravel()).astype(np.float64)
