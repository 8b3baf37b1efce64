"""The figures of a classifier's confidence: what it says against what comes true, and what could be refused."""

from typing import TYPE_CHECKING

from auditor.blocks import Bar, Bars, Line, Lines
from auditor.statistics import wilson

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from auditor.methods.calibration import Said

LEVEL, WIDE, POINTS, LARGEST, FEW = 0.95, 10, 100, 12, 20


def reliability(found: "Said", bins: int) -> Lines:
    """Accuracy against mean confidence, one point a bin of equal mass, and the diagonal of a calibrated model."""
    import numpy as np

    from auditor.methods.calibration import equal_mass

    bin_of = equal_mass(found.confidence, bins)
    rows = [np.flatnonzero(bin_of == index) for index in range(int(bin_of.max()) + 1)]
    x = tuple(float(found.confidence[inside].mean()) for inside in rows)
    y = tuple(float(found.hit[inside].mean()) for inside in rows)
    ends = [wilson(int(found.hit[inside].sum()), len(inside), LEVEL) for inside in rows]
    low, high = (tuple(end[side] for end in ends) for side in (0, 1))
    corners = (min(x[0], min(y)), 1.0)
    return Lines(
        title="Reliability diagram",
        reading="Each point is one bin of equally many examples, with the 95% interval of its accuracy. Below the "
        "diagonal the model is surer than it is right; above it, less sure.",
        x_label="mean confidence", y_label="accuracy",
        lines=(Line(label="model", x=x, y=y, low=low, high=high), Line(label="calibrated", x=corners, y=corners)),
    )  # fmt: skip


def histogram(found: "Said") -> Bars:
    """The share of examples by confidence, in ten bins of equal width."""
    import numpy as np

    counts, _ = np.histogram(found.confidence, bins=WIDE, range=(0, 1))
    bars = (
        Bar(label=f"{index / WIDE:.1f} to {(index + 1) / WIDE:.1f}", value=float(count) / len(found.confidence))
        for index, count in enumerate(counts.tolist())
    )
    return Bars(
        title="How sure the model is", reading="The share of examples whose largest probability lies in each range.",
        x_label="share of examples", bars=tuple(bars),
    )  # fmt: skip


def risk_curve(certain: "NDArray[np.float64]", hit: "NDArray[np.bool_]", share: float) -> Lines:
    """The error rate among the surest examples against their share, with pointwise 95% intervals."""
    import numpy as np

    from auditor.methods.conformal import risk_coverage

    accepted, errors = risk_coverage(certain, hit)
    first = min(int(np.searchsorted(accepted, FEW)), len(accepted) - 1)  # fewer are no error rate, only noise
    shown = np.unique(np.linspace(first, len(accepted) - 1, min(POINTS, len(accepted))).round().astype(int))
    counts = [(int(errors[place]), int(accepted[place])) for place in shown]
    ends = [wilson(k, n, LEVEL) for k, n in counts]
    x = tuple(n / len(hit) for _, n in counts)
    curve = Line(
        label="surest first", x=x, y=tuple(k / n for k, n in counts),
        low=tuple(low for low, _ in ends), high=tuple(high for _, high in ends),
    )  # fmt: skip
    overall = float(1 - hit.mean())
    return Lines(
        title="Risk and coverage",
        reading="From right to left the least sure examples are refused, and the error rate among the others should "
        "fall. A curve that stays at the dashed level refuses at random.",
        x_label="share of examples answered", y_label="error rate",
        lines=(curve, Line(label="refusing at random", x=(0.0, 1.0), y=(overall, overall))),
        marks=((share, "asked"),),
    )  # fmt: skip


def sizes_of_sets(sizes: "NDArray[np.int64]") -> Bars:
    """The share of examples by the size of their conformal set."""
    import numpy as np

    counts = np.bincount(np.minimum(sizes, LARGEST), minlength=2)
    names = [f"{size} or more" if size == LARGEST else str(size) for size in range(len(counts))]
    bars = tuple(Bar(label=name, value=float(n) / len(sizes)) for name, n in zip(names, counts.tolist(), strict=True))
    return Bars(
        title="Size of the conformal sets",
        reading="A set of one class is a clear answer; larger sets say between which classes the model cannot choose.",
        x_label="share of examples", bars=bars,
    )  # fmt: skip
