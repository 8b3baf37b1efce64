"""Rules: a decision tree as lines that a person can read, and its agreement with the model against depth."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from auditor.artifacts.features import Features
from auditor.blocks import Line, Lines, Table
from auditor.errors import NotApplicable
from auditor.statistics import wilson

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Columns = NDArray[np.float64]
    Labels = NDArray[np.int64]
    Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Halves:
    """Features and the model's labels of the half that a tree learns from, and of the half that judges it.

    names: of the features that a tree sees; said: a sentence on what they are.
    """

    learn: "Columns"
    learn_said: "Labels"
    test: "Columns"
    test_said: "Labels"
    names: tuple[str, ...]
    said: str


def halved(features: Features, first: "Rows", second: "Rows", components: int) -> Halves:
    """Both halves; units reduced to principal components of the first, unless `components` is 0."""
    from auditor.methods.surrogate import principal

    learn, test = features.table[first].astype("float64"), features.table[second].astype("float64")
    names, said = features.names, f"The tree sees the {len(features.names)} columns as the model takes them."
    if features.head:
        said = f"The tree sees the {len(names)} units that enter layer {features.head}."
    if features.head and components:
        found = principal(learn, components)
        learn, test = found.of(learn), found.of(test)
        names = tuple(f"component {at + 1}" for at in range(learn.shape[1]))
        said = f"The tree sees {len(names)} principal components of the {len(features.names)} units that enter layer " \
               f"{features.head}: fitted on its own half, {found.shares.sum():.0%} of the variance."  # fmt: skip
    if not names:
        raise NotApplicable(f"what enters layer {features.head} is the same for all examples")
    return Halves(learn, features.predicted[first], test, features.predicted[second], names, said)


def rules(tree: Any, given: Halves, classes: Sequence[str]) -> Table:
    """One line a leaf: the way there, what it says, and on held-out examples how many fall there and agree."""
    from auditor.methods.surrogate import leaves

    places, rows = tree.apply(given.test), []
    for leaf in leaves(tree, given.names):
        inside = places == leaf.number
        count = int(inside.sum())
        agree = float((given.test_said[inside] == leaf.says).mean()) if count else None
        rows.append((leaf.way, classes[leaf.says], count, agree))
    return Table(
        title=f"The tree of depth {tree.get_depth()} as rules",
        reading="If all conditions of a line hold, the tree says its class. The last columns count the held-out "
        "examples that fall there, and the share of them of which the model says the same.",
        columns=("where", "the tree says", "examples", "the model agrees"),
        rows=tuple(rows),
    )


def curve(depths: Sequence[int], agreements: "Sequence[NDArray[np.bool_]]", majority: float, chosen: int) -> Lines:
    """Fidelity against depth with 95% Wilson intervals, beside the share of the model's majority class."""
    counts = [(int(hits.sum()), len(hits)) for hits in agreements]
    ends = [wilson(k, n, 0.95) for k, n in counts]
    x = tuple(float(depth) for depth in depths)
    return Lines(
        title="How deep a tree must be to say what the model says", x_label="depth", y_label="fidelity",
        reading="The share of held-out examples on which a tree of each depth says what the model says, with 95% "
        "intervals. A curve that rises early to 1: few rules describe the model.",
        lines=(
            Line(label="tree", x=x, y=tuple(k / n for k, n in counts), low=tuple(low for low, _ in ends),
                 high=tuple(high for _, high in ends)),
            Line(label="always the model's majority class", x=x, y=(majority,) * len(x)),
        ),
        marks=((float(chosen), "measured"),),
    )  # fmt: skip
