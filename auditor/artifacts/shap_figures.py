"""SHAP figures: how much each column of a table shares in the scores, and what its low and high values do."""

from typing import TYPE_CHECKING

from auditor.artifacts.shap_runs import SharedOut
from auditor.blocks import AnyBlock, Bar, Bars, Heatmap
from auditor.statistics import moments, t_interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST = 20
ONE = "A row that changes its colour once says that the score rises, or falls, with the column."
SEVERAL = (
    "Each example's score is that of its own class, so a row coloured alike at both ends parts the classes; name one "
    "class as target to see whether its score rises or falls."
)
FIFTHS = ("lowest fifth", "second", "middle", "fourth", "highest fifth")


def of_columns(found: SharedOut) -> tuple[AnyBlock, ...]:
    """Bars of the mean size of a column's values, and their mean by what the column held; nothing without columns."""
    if not found.columns.shape[1]:
        return ()
    import numpy as np

    values = found.maps.maps.astype(np.float64)
    strongest = sorted(range(values.shape[1]), key=lambda column: -float(np.abs(values[:, column]).mean()))[:MOST]
    return _sizes(found, values, strongest), _by_value(found, values, strongest)


def _sizes(found: SharedOut, values: "NDArray[np.float64]", columns: list[int]) -> Bars:
    bars = tuple(_bar(found.maps.explained.column(column), abs(values[:, column]).tolist()) for column in columns)
    return Bars(
        title="How much each column matters", x_label="mean size of the SHAP value", bars=bars,
        reading="By how much each column moves the explained score, up or down, on average over the examples, with a "
        "95% interval; the strongest first.",
    )  # fmt: skip


def _bar(label: str, sizes: list[float]) -> Bar:
    mean, sd, n = moments(sizes)
    low, high = t_interval(mean, sd, n, 0.95) if n > 1 else (None, None)
    return Bar(label=label, value=mean, low=low, high=high)


def _by_value(found: SharedOut, values: "NDArray[np.float64]", columns: list[int]) -> Heatmap:
    from auditor.methods.similarity.ranks import ranks

    cells = []
    for column in columns:
        held = (len(FIFTHS) * (ranks(found.columns[:, column]) - 0.5) / len(values)).astype(int)
        parts = [values[held == fifth, column] for fifth in range(len(FIFTHS))]
        cells.append(tuple(float(part.mean()) if len(part) else None for part in parts))
    several = len(set(found.maps.explained.targets.tolist())) > 1
    return Heatmap(
        title="What low and high values do", rows=tuple(map(found.maps.explained.column, columns)), columns=FIFTHS,
        values=tuple(cells), x_label="examples by what the column holds", value_label="mean SHAP value", diverging=True,
        reading="Mean SHAP value of the examples whose column is low (left) to high (right); equal values stand in one "
        f"fifth. {SEVERAL if several else ONE}",
    )  # fmt: skip
