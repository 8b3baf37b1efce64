"""The figures of a curvature: its outermost eigenvalues, its batches beside each other, and its density."""

from collections.abc import Iterator

from auditor.artifacts.curvature import Curvature
from auditor.blocks import AnyBlock, Bar, Bars, Line, Lines, Table

STABLE = 2.0
"""Plain gradient descent diverges where learning rate x largest eigenvalue is above this."""

POINTS, WIDTH, DRAWN = 400, 0.01, 60


def bent(curvature: Curvature) -> Iterator[AnyBlock]:
    """The eigenvalues, each batch's largest, and the largest times the learning rate where there is one."""
    found = curvature.found
    names = [str(at + 1) if at < found.top else "smallest" for at in range(len(found.values))]
    rows = zip(names, found.values.tolist(), found.residuals.tolist(), strict=True)
    yield Bars(
        title="Eigenvalues", x_label="eigenvalue",
        bars=tuple(Bar(label=name, value=value, low=value - off, high=value + off) for name, value, off in rows),
        reading="The largest, and the smallest, with their residuals. A negative one is a direction in which the loss "
        "falls away to both sides.",
    )  # fmt: skip
    if len(found.alone):
        alone = [Bar(label=f"batch {at + 1}", value=value) for at, value in enumerate(found.alone.tolist())]
        more = f" The first {DRAWN} of {len(alone)}." if len(alone) > DRAWN else ""
        yield Bars(
            title="Each batch alone", x_label="largest eigenvalue", bars=tuple(alone[:DRAWN]),
            reference=(found.sharpness, "all rows"),
            reading="How much the largest eigenvalue depends on which examples are looked at." + more,
        )  # fmt: skip
    if curvature.lr is not None:
        yield Table(
            title="Beside the learning rate",
            columns=("optimizer", "learning rate", "times the largest eigenvalue", "stable below (gradient descent)"),
            rows=((curvature.optimizer, curvature.lr, found.sharpness * curvature.lr, STABLE),),
            reading="The recipe's largest learning rate, times the largest eigenvalue here.",
        )


def density(curvature: Curvature) -> tuple[Lines, ...]:
    """The smoothed density on a logarithmic axis; none where all eigenvalues are equal."""
    import numpy as np

    found, size = curvature.found.density, curvature.found.size
    low, high = float(found.nodes.min()), float(found.nodes.max())
    spread = high - low
    if spread <= 0:
        return ()
    points = np.linspace(low - 0.03 * spread, high + 0.03 * spread, POINTS)
    floor = 1e-2 / (size * WIDTH * spread)  # a hundredth of one eigenvalue's own peak
    heights = np.maximum(found.curve(points, WIDTH * spread), floor)
    return (
        Lines(
            title="Spectral density", x_label="eigenvalue", y_label="density", y_log=True, marks=((0.0, "0"),),
            lines=(Line(label="density", x=tuple(points.tolist()), y=tuple(heights.tolist())),),
            reading="How the eigenvalues are distributed, on a logarithmic axis. Each bump far from the peak at zero "
            "is one eigenvalue or a few.",
        ),
    )  # fmt: skip
