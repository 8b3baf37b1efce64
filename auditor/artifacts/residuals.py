"""The figures of a regression: where its predictions are off, and by how much."""

from itertools import pairwise
from typing import TYPE_CHECKING

from auditor.blocks import Bar, Bars, Line, Lines
from auditor.statistics import moments, t_interval

if TYPE_CHECKING:
    from auditor.methods.regression import Fit

BINS, LEVEL = 12, 0.95


def residuals(fit: "Fit") -> Lines:
    """The mean residual, and its middle 80%, over bins of equally many examples by what the model says."""
    import numpy as np

    order = np.argsort(fit.predicted, kind="stable")
    parts = [rows for rows in np.array_split(order, min(BINS, max(1, len(order) // 5))) if len(rows) > 1]
    x = tuple(float(fit.predicted[rows].mean()) for rows in parts)
    found = [moments(fit.residual[rows]) for rows in parts]
    ends = [t_interval(*each, LEVEL) for each in found]
    low, high = (tuple(np.quantile(fit.residual[rows], q).item() for rows in parts) for q in (0.1, 0.9))
    mean = Line(
        label="mean", x=x, y=tuple(each[0] for each in found),
        low=tuple(end[0] for end in ends), high=tuple(end[1] for end in ends),
    )  # fmt: skip
    return Lines(
        title="Residuals by prediction",
        reading="Each point is one bin of equally many examples. The band is the mean's 95% interval: where it "
        "leaves zero, the model is off on average. The outer lines hold the middle 80% of the errors.",
        x_label="predicted", y_label="predicted - true",
        lines=(mean, Line(label="10%", x=x, y=low), Line(label="90%", x=x, y=high)),
    )  # fmt: skip


def spread(fit: "Fit") -> Bars:
    """The share of examples by residual."""
    import numpy as np

    counts, edges = np.histogram(fit.residual, bins=BINS)
    names = [f"{low:.3g} to {high:.3g}" for low, high in pairwise(edges.tolist())]
    bars = tuple(
        Bar(label=name, value=count / len(fit.residual)) for name, count in zip(names, counts.tolist(), strict=True)
    )
    return Bars(
        title="Residuals", reading="The share of examples by residual; long tails are few examples that are far off.",
        x_label="share of examples", bars=bars,
    )  # fmt: skip
