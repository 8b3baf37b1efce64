"""The figures of a classifier's confidence: what it says against what comes true, and what could be refused."""

from typing import TYPE_CHECKING

from auditor.blocks import Bar, Bars, Line, Lines
from auditor.statistics import wilson

if TYPE_CHECKING:
    from auditor.methods.calibration import Said

LEVEL, WIDE = 0.95, 10


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
