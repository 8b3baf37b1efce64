"""Statistics: sampling distributions and intervals as pure functions of plain numbers; NaN is an error."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import isfinite, isnan, sqrt
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike

    Rows = np.ndarray[Any, np.dtype[np.int64]]
    Estimate = Callable[[Rows], float]
    Draw = Callable[[np.random.Generator], Rows]

Interval = tuple[float, float]

_TAIL = (
    0.00025, 0.0005, 0.000625, 0.001, 0.00125, 0.0025, 0.003125, 0.004, 0.005, 0.00625, 0.0075, 0.01, 0.0125,
    0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45,
)  # fmt: skip
GRID: tuple[float, ...] = (*_TAIL, 0.5, *(1 - p for p in reversed(_TAIL)))
"""The probabilities at which a bootstrap distribution is kept. Nothing is ever read beyond its ends."""

REPLICATES = 4000
"""Enough that the outermost probability of GRID is a replicate, not an extrapolation."""


def wilson(k: int, n: int, confidence: float) -> Interval:
    """The score interval of a proportion: all p with (k/n - p)^2 <= z^2 p (1 - p) / n.

    k successes in n independent trials; two-sided at `confidence`. ValueError unless 0 <= k <= n and n >= 1.
    Wilson, Journal of the American Statistical Association 22 (1927).

    >>> [round(end, 4) for end in wilson(81, 263, 0.95)]
    [0.2553, 0.3662]
    """
    if not 0 <= k <= n or n < 1:
        raise ValueError(f"wilson: expected 0 <= k <= n and n >= 1, found k = {k}, n = {n}")
    z2 = _normal(confidence) ** 2
    centre = (k + z2 / 2) / (n + z2)
    half = sqrt(z2) / (n + z2) * sqrt(k * (n - k) / n + z2 / 4)
    low = 0.0 if k == 0 else max(0.0, centre - half)
    high = 1.0 if k == n else min(1.0, centre + half)
    return low, high


def binomial_tail(k: int, n: int, p: float, side: int) -> float:
    """The exact chance of at most (side 1) or at least (side -1) k successes in n trials of probability p.

    The far tails of Wilson's interval are too light for a correction (P of a level-.000625 failure is .0033 at
    n = 30, p = .95), so failures of proportions are corrected with this.

    >>> round(binomial_tail(1, 3, 0.5, 1), 3), round(binomial_tail(2, 3, 0.5, -1), 3)
    (0.5, 0.5)
    """
    from scipy.special import bdtr

    if not 0 <= p <= 1:
        return 0.0
    return float(bdtr(k, n, p)) if side > 0 else float(bdtr(n - k, n, 1 - p))


def clopper_pearson(k: int, n: int, confidence: float) -> Interval:
    """The exact interval of a proportion: all p of which neither binomial tail is below (1 - confidence) / 2.

    Never too short, often too long. Clopper and Pearson, Biometrika 26 (1934).

    >>> [round(end, 4) for end in clopper_pearson(81, 263, 0.95)]
    [0.2527, 0.3676]
    """
    from scipy.special import betaincinv

    if not 0 <= k <= n or n < 1:
        raise ValueError(f"clopper_pearson: expected 0 <= k <= n and n >= 1, found k = {k}, n = {n}")
    tail = _tail(confidence)
    low = 0.0 if k == 0 else float(betaincinv(k, n - k + 1, tail))
    high = 1.0 if k == n else float(betaincinv(k + 1, n - k, 1 - tail))
    return low, high


def t_interval(mean: float, sd: float, n: int, confidence: float) -> Interval:
    """Student's interval of a mean: mean -+ t(n - 1) sd / sqrt(n), sd with n - 1 in the denominator.

    One value alone bounds nothing: (-inf, inf). ValueError for a non-finite number or n < 1.
    Student, Biometrika 6 (1908).

    >>> [round(end, 3) for end in t_interval(10.0, 2.0, 16, 0.95)]
    [8.934, 11.066]
    """
    from scipy.special import stdtrit

    _finite("t_interval", mean, sd)
    if n < 1 or sd < 0:
        raise ValueError(f"t_interval: expected n >= 1 and sd >= 0, found n = {n}, sd = {sd}")
    tail = _tail(confidence)
    if n == 1:
        return float("-inf"), float("inf")
    half = -float(stdtrit(n - 1, tail)) * sd / sqrt(n)
    return mean - half, mean + half


def newcombe(k1: int, n1: int, k2: int, n2: int, confidence: float) -> Interval:
    """The hybrid score interval of a difference of two independent proportions, k1/n1 - k2/n2.

    Newcombe, Statistics in Medicine 17 (1998), method 10.

    >>> [round(end, 4) for end in newcombe(56, 70, 48, 80, 0.95)]
    [0.0524, 0.3339]
    """
    first, second = wilson(k1, n1, confidence), wilson(k2, n2, confidence)
    return difference(k1 / n1, first, k2 / n2, second)


def difference(value1: float, interval1: Interval, value2: float, interval2: Interval) -> Interval:
    """An interval of value1 - value2 for two independent estimates, recovered from their own intervals.

    low = d - sqrt((v1 - l1)^2 + (u2 - v2)^2), high = d + sqrt((u1 - v1)^2 + (v2 - l2)^2).
    Zou and Donner, Statistics in Medicine 27 (2008); with Wilson's intervals this is Newcombe's.
    """
    _finite("difference", value1, value2)
    d = value1 - value2
    low = d - sqrt((value1 - interval1[0]) ** 2 + (interval2[1] - value2) ** 2)
    high = d + sqrt((interval1[1] - value1) ** 2 + (value2 - interval2[0]) ** 2)
    return low, high


def quantile_interval(values: Sequence[float], confidence: float) -> Interval:
    """The interval between two probabilities of a bootstrap distribution kept at GRID.

    A level between two probabilities of GRID takes the outer one; beyond the ends of GRID the interval is
    infinite, since nothing was drawn there.
    """
    _finite("quantile_interval", *values)
    if len(values) != len(GRID) or any(a > b for a, b in pairwise(values)):
        raise ValueError(f"quantile_interval: expected {len(GRID)} ascending values, one a probability of GRID")
    tail = _tail(confidence)
    inside = [i for i, p in enumerate(GRID) if p <= tail * (1 + 1e-9)]
    if not inside:
        return float("-inf"), float("inf")
    return values[inside[-1]], values[len(GRID) - 1 - inside[-1]]


def moments(values: "ArrayLike") -> tuple[float, float, int]:
    """Mean, sample standard deviation (n - 1 in the denominator; 0 for a single value) and n of 1-D values."""
    import numpy as np

    column = np.asarray(values, dtype=np.float64)
    if column.ndim != 1 or column.size == 0:
        raise ValueError(f"moments: expected a column of at least one value, found shape {column.shape}")
    _finite("moments", *column.tolist())
    if column.max() == column.min():  # else rounding shows a spread that is not there
        return float(column[0]), 0.0, int(column.size)
    return float(column.mean()), float(column.std(ddof=1)), int(column.size)


def spread(sd: float, n: int) -> tuple[float, ...]:
    """The confidence distribution of a standard deviation at GRID, from that of n normal values.

    sd sqrt((n - 1) / chi2), chi2 of n - 1 degrees of freedom: its quantiles are the ends of the usual one-sided
    intervals. ValueError unless sd >= 0 and n >= 2.

    >>> [round(spread(1.0, 5)[GRID.index(p)], 3) for p in (0.025, 0.975)]
    [0.599, 2.874]
    """
    from scipy.special import chdtri

    _finite("spread", sd)
    if sd < 0 or n < 2:
        raise ValueError(f"spread: expected sd >= 0 and n >= 2, found sd = {sd}, n = {n}")
    return tuple(float(sd * sqrt((n - 1) / chdtri(n - 1, p))) for p in GRID)


def grouped(values: "ArrayLike", groups: Sequence[str]) -> tuple[float, float, int]:
    """Moments of the mean of all values when whole groups were drawn: the ratio estimator, n = number of groups.

    mean = sum_g t_g / sum_g m_g of the groups' totals t_g and sizes m_g; sd is that of (t_g - mean m_g) / mean(m_g).
    Cochran, Sampling Techniques (1977), section 6.

    >>> grouped([1.0, 1.0, 0.0], ["a", "a", "b"])[2]
    2
    """
    import numpy as np

    column = np.asarray(values, dtype=np.float64)
    labels = np.unique(np.asarray(groups), return_inverse=True)[1].ravel()
    if labels.size != column.size or not column.size:
        raise ValueError(f"grouped: expected one group a value, found {column.size} values and {labels.size} groups")
    totals, sizes = np.bincount(labels, weights=column), np.bincount(labels)
    mean = float(totals.sum() / sizes.sum())
    _, sd, n = moments((totals - mean * sizes) / sizes.mean())
    return mean, sd, n


def grouped_difference(values: "ArrayLike", inside: "ArrayLike", groups: Sequence[str]) -> tuple[float, float, int]:
    """Moments of mean(values outside) - mean(values inside) when whole groups were drawn, both means being ratios.

    Linearized: group g contributes (t_g - mean m_g) / M of the rest less that of the inside (totals t, sizes m, M all
    rows of the side). n = the groups of the side that has fewer, and sd is scaled so that sd / sqrt(n) is the standard
    error. Cochran, Sampling Techniques (1977), section 6.
    """
    import numpy as np

    column, within = np.asarray(values, dtype=np.float64), np.asarray(inside, dtype=bool)
    labels = np.unique(np.asarray(groups), return_inverse=True)[1].ravel()
    if within.all() or not within.any():
        raise ValueError("grouped_difference: expected rows both inside and outside")
    means, shares, present = [], [], []
    for side in (~within, within):
        sizes = np.bincount(labels[side], minlength=int(labels.max()) + 1)
        totals = np.bincount(labels[side], weights=column[side], minlength=len(sizes))
        means.append(float(column[side].mean()))
        shares.append((totals - means[-1] * sizes) / side.sum())
        present.append(int((sizes > 0).sum()))
    count, n = len(shares[0]), min(present)
    _, sd, _ = moments(count * (shares[0] - shares[1]))
    return means[0] - means[1], sd * sqrt(n / count), n


def paired(a: "ArrayLike", b: "ArrayLike") -> tuple[float, float, int]:
    """Moments of the differences a - b of two columns of the same length."""
    import numpy as np

    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape:
        raise ValueError(f"paired: expected two columns of one length, found shapes {first.shape} and {second.shape}")
    return moments(first - second)


def unpaired(a: "ArrayLike", b: "ArrayLike") -> tuple[float, float, int]:
    """Moments of mean(a) - mean(b) of two independent columns: sd / sqrt(n) is Welch's standard error.

    n - 1 is the Welch-Satterthwaite number of degrees of freedom, rounded down. A column of one value is taken as
    known: it adds no error. Welch, Biometrika 34 (1947).

    >>> unpaired([1.0, 2.0, 3.0], [2.0])
    (0.0, 1.0, 3)
    """
    first, second = moments(a), moments(b)
    parts = [(sd**2 / n, n - 1) for _, sd, n in (first, second)]
    error = sum(part for part, _ in parts)
    below = sum(part**2 / freedom for part, freedom in parts if freedom)
    n = 1 + int(error**2 / below + 1e-9) if below else max(first[2], second[2])
    return first[0] - second[0], sqrt(error * n), n


def stratified_bootstrap(
    estimate: "Estimate", strata: "ArrayLike", seed: int, replicates: int = REPLICATES, centre: float | None = None
) -> tuple[float, ...]:
    """The bootstrap distribution of estimate(rows) at GRID; rows are drawn anew within each stratum.

    strata: one label a row (zeros for an unstratified bootstrap). Percentile method; Efron and Tibshirani (1993).
    centre: the mean to which all replicates are moved, for an estimate to which resampling itself adds (a mean of
    absolute values), where only the spread of the replicates says something.
    """
    import numpy as np

    labels = np.unique(np.asarray(strata), return_inverse=True)[1].ravel()
    order = np.argsort(labels, kind="stable")
    sizes = np.bincount(labels)
    starts, size = np.repeat(np.cumsum(sizes) - sizes, sizes), np.repeat(sizes, sizes)

    def draw(rng: "np.random.Generator") -> "Rows":
        drawn: Rows = order[starts + (rng.random(labels.size) * size).astype(np.int64)]
        return drawn

    return _distribution(estimate, draw, seed, replicates, centre)


def cluster_bootstrap(
    estimate: "Estimate", groups: "ArrayLike", seed: int, replicates: int = REPLICATES, centre: float | None = None
) -> tuple[float, ...]:
    """As stratified_bootstrap, but whole groups are drawn: the unit of resampling is the group.

    groups: one label a row. The number of groups is the n that counts.
    """
    import numpy as np

    labels = np.unique(np.asarray(groups), return_inverse=True)[1].ravel()
    members = np.split(np.argsort(labels, kind="stable"), np.cumsum(np.bincount(labels))[:-1])

    def draw(rng: "np.random.Generator") -> "Rows":
        return np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))])

    return _distribution(estimate, draw, seed, replicates, centre)


def moving_blocks(
    estimate: "Estimate", n: int, seed: int, replicates: int = REPLICATES, block: int | None = None
) -> tuple[float, ...]:
    """As stratified_bootstrap for a series: overlapping blocks of neighbouring rows are drawn.

    estimate(rows) must use the rows' own times (a slope over (time[rows], value[rows])), since blocks land out of
    order. block: rows a block (see `dependence`); default about n^(1/3), at least 2. The quantiles are stretched
    about the estimate from the normal to Student's t with (blocks - 2) degrees of freedom, since few blocks know
    their own spread badly. Kuensch, Annals of Statistics 17 (1989).
    """
    import numpy as np
    from scipy.special import ndtri, stdtrit

    width = max(2, round(n ** (1 / 3))) if block is None else block
    if not 1 <= width <= n:
        raise ValueError(f"moving_blocks: expected a block of 1 to {n} rows, found {width}")
    count, offsets = -(-n // width), np.arange(width)

    def draw(rng: "np.random.Generator") -> "Rows":
        starts = rng.integers(n - width + 1, size=count)
        return (starts[:, None] + offsets).ravel()[:n]

    drawn = np.array(_distribution(estimate, draw, seed, replicates))
    centre, levels = float(estimate(np.arange(n))), np.array(GRID)
    outward = (drawn - centre) * (levels - 0.5) > 0
    stretch = stdtrit(max(1.0, n / width - 2), levels[outward]) / ndtri(levels[outward])
    drawn[outward] = centre + (drawn[outward] - centre) * stretch
    return tuple(drawn.tolist())


def dependence(series: "ArrayLike") -> tuple[int, float]:
    """How a stationary series depends on its own past: rows a block, and how many independent rows it is worth.

    block = 1.5 (3 G^2 / 2 g^2)^(1/3) n^(1/3), the automatic length of Politis and White, Econometric Reviews 23
    (2004), corrected by Patton, Politis and White, 28 (2009), half as long again against its small-sample bias;
    g = sum R(k), G = sum |k| R(k) of the autocovariances under a flat-top window of twice the last lag that counts.
    worth = n R(0) / g, at most n.

    >>> dependence([0.0, 1.0] * 50)[1]
    100.0
    """
    import numpy as np

    values = np.asarray(series, dtype=np.float64)
    _finite("dependence", *values.tolist())
    n, centred = len(values), values - values.mean()
    longest = min(n - 1, int(np.ceil(np.sqrt(n))) + 5)
    covariance = np.array([centred[: n - lag] @ centred[lag:] for lag in range(longest + 1)]) / n
    if n < 8 or covariance[0] <= 0:
        return min(2, n), float(n)
    counts = np.flatnonzero(np.abs(covariance[1:]) > 2 * np.sqrt(np.log10(n) / n) * covariance[0])
    gaps = np.flatnonzero(np.diff(np.concatenate([[-1], counts, [longest + 5]])) > 5)
    last = int(counts[gaps[0] - 1]) + 1 if gaps[0] else 1
    lags = np.arange(1, min(2 * last, longest) + 1)
    weighted = np.minimum(1, 2 * (1 - lags / (lags[-1] + 1))) * covariance[lags]
    total, slant = float(covariance[0] + 2 * weighted.sum()), float(2 * (lags * weighted).sum())
    if total <= 0:
        return 2, float(n)
    block = 1.5 * (1.5 * slant**2 / total**2) ** (1 / 3) * n ** (1 / 3)
    return int(np.clip(np.ceil(block), 2, max(2, n // 4))), min(float(n), n * float(covariance[0]) / total)


def halves(units: "ArrayLike", seed: int) -> "tuple[Rows, Rows]":
    """Two disjoint halves of the rows; rows with one label in `units` stay together (pass arange(n) if none do).

    For what is chosen by looking: choose it on the first half, test it on the second.
    """
    import numpy as np

    names, labels = np.unique(np.asarray(units), return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    first = np.isin(labels.ravel(), order[: len(names) // 2])
    return np.flatnonzero(first), np.flatnonzero(~first)


def _distribution(
    estimate: "Estimate", draw: "Draw", seed: int, replicates: int, centre: float | None = None
) -> tuple[float, ...]:
    import numpy as np

    if (replicates + 1) * GRID[0] < 1:
        raise ValueError(f"bootstrap: expected at least {REPLICATES} replicates, found {replicates}")
    rng = np.random.default_rng(seed)
    drawn = np.array([float(estimate(draw(rng))) for _ in range(replicates)])
    if not np.isfinite(drawn).all():
        raise ValueError(f"bootstrap: {int((~np.isfinite(drawn)).sum())} of {replicates} replicates are not finite")
    if centre is not None:
        drawn += centre - drawn.mean()
    return tuple(np.quantile(drawn, GRID, method="weibull").tolist())


def _tail(confidence: float) -> float:
    if isnan(confidence) or not 0 < confidence < 1:
        raise ValueError(f"expected a confidence between 0 and 1, found {confidence}")
    return (1 - confidence) / 2


def _normal(confidence: float) -> float:
    from scipy.special import ndtri

    return -float(ndtri(_tail(confidence)))


def _finite(where: str, *values: float) -> None:
    for value in values:
        if not isfinite(value):
            raise ValueError(f"{where}: expected finite numbers, found {value}")
