"""The figures of a classifier's performance: which classes are taken for which, and how each is found."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from auditor.blocks import Bar, Bars, Heatmap, Table
from auditor.evidence import Counts, Measurement
from auditor.statistics import wilson

if TYPE_CHECKING:
    from auditor.methods.classification import Scores

CONFUSION, SHOWN = 24, 30


def confusion(scores: "Scores", classes: Sequence[str]) -> Heatmap | Table:
    """Labels by predictions as counts; for many classes the most frequent confusions instead."""
    import numpy as np

    pairs, counts = np.unique(np.stack([scores.labels, scores.predicted]), axis=1, return_counts=True)
    cells = {(int(a), int(b)): int(count) for a, b, count in zip(*pairs, counts, strict=True)}
    used = sorted({index for pair in cells for index in pair})
    if len(used) <= CONFUSION:
        names = tuple(classes[index] for index in used)
        values = tuple(tuple(float(cells.get((a, b), 0)) for b in used) for a in used)
        return Heatmap(
            title="Confusion matrix", reading="Rows are labels, columns predictions; the diagonal holds the hits.",
            rows=names, columns=names, values=values, x_label="predicted", y_label="label", value_label="examples",
            annotate=True,
        )  # fmt: skip
    wrong = sorted((-count, a, b) for (a, b), count in cells.items() if a != b)
    return Table(
        title="Most frequent confusions", reading="Pairs of label and prediction, by how often they occur.",
        columns=("label", "predicted", "examples"), more=max(0, len(wrong) - SHOWN),
        rows=tuple((classes[a], classes[b], -count) for count, a, b in wrong[:SHOWN]),
    )  # fmt: skip


def recalls(found: Sequence[Measurement]) -> Bars:
    """The recall of each class with its marginal 95% interval, the weakest first."""
    weakest = sorted((m for m in found if m.name == "worst_class_recall"), key=lambda m: m.value)[:SHOWN]
    return Bars(
        title="Recall by class", reading="Share of each class's examples that are found, with a 95% interval.",
        x_label="recall", bars=tuple(_bar(measurement) for measurement in weakest),
    )  # fmt: skip


def _bar(measurement: Measurement) -> Bar:
    if not isinstance(measurement.distribution, Counts):
        return Bar(label=measurement.of, value=measurement.value)
    low, high = wilson(measurement.distribution.k, measurement.distribution.n, 0.95)
    return Bar(label=measurement.of, value=measurement.value, low=low, high=high)
