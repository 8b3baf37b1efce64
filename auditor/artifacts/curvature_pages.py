"""Curvature as a report shows it: eigenvalues, batches alone, and the learning rate beside them."""

from collections.abc import Iterator

from auditor.artifacts.curvature import Curvature
from auditor.blocks import AnyBlock, Bar, Bars, Table

STABLE = 2.0
"""Learning rate times largest eigenvalue below which plain gradient descent is stable."""


def eigenvalue_blocks(curvature: Curvature) -> Iterator[AnyBlock]:
    """The outermost eigenvalues, each batch alone and, of a fine-tune, what its learning rate means beside them."""
    found = curvature.found
    names = [f"{at + 1}" if at < found.top else "smallest" for at in range(len(found.values))]
    rows = zip(names, found.values.tolist(), found.residuals.tolist(), strict=True)
    bars = tuple(Bar(label=name, value=value, low=value - off, high=value + off) for name, value, off in rows)
    yield Bars(title="Eigenvalues", x_label="eigenvalue", bars=bars,
               reading="The largest, and the smallest, with their residuals. A negative one is a direction in "
               "which the loss falls away to both sides.")  # fmt: skip
    if len(found.alone):
        alone = tuple(Bar(label=f"batch {at + 1}", value=value) for at, value in enumerate(found.alone.tolist()))
        yield Bars(title="Each batch alone", x_label="largest eigenvalue", bars=alone[:60],
                   reference=(found.sharpness, "all rows"),
                   reading="How much the largest eigenvalue depends on which examples are looked at.")  # fmt: skip
    if curvature.lr is not None:
        product = found.sharpness * curvature.lr
        yield Table(title="Beside the learning rate", columns=("optimizer", "learning rate", "times the largest "
                    "eigenvalue", "stable below, plain gradient descent"),
                    rows=((curvature.optimizer, curvature.lr, product, STABLE),),
                    reading="The recipe's largest learning rate, times the largest eigenvalue here.")  # fmt: skip
