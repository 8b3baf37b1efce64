"""Which features, regions or tokens the model's success rests on, and whether one alone would do."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from auditor.artifacts.permutation import Importances, importances_of
from auditor.artifacts.ranked import bars, grid
from auditor.check import About, Check, Pillar
from auditor.evidence import Evidence, Measurement, Metric, Quantiles
from auditor.needs import Need
from auditor.statistics import cluster_bootstrap, halves, stratified_bootstrap
from auditor.subject import Subject

if TYPE_CHECKING:
    import numpy as np

SHOWN = 30


class PermutationImportance(Check):
    """Which features, regions or tokens does the model's success rest on?

    Figure: bars with intervals by column, cell or token; for pictures also a grid.
    """

    pillar: ClassVar[Pillar] = "interpretability"
    about: ClassVar[About] = About(
        title="Permutation importance",
        question="How much worse does the model do when one feature, region or token comes from other examples?",
        formula="importance_g = mean_i [loss(x_i with group g of x_pi(i)) - loss(x_i)], pi a random permutation;  "
        "top_share = max_g importance_g / sum_g max(importance_g, 0);  best_single_feature_gap = accuracy(model) - "
        "accuracy(best depth-2 tree on one column)",
        method="Each group (a column, a cell of a grid over the picture, a frequent token or a tenth of the text) is "
        "exchanged between examples by random permutations, the same ones for every group; the loss is cross-entropy "
        "(squared error for a regression), and an example's rises are averaged over the permutations. A token is "
        "permuted by its presence: a text then has it where its partner has it, at the same share of its length, and "
        "takes the partner's tokens where it had it itself. The top group is chosen on one half of the examples and "
        "its share measured on the other. The tree's column is chosen on four fifths and judged on the last.",
        reading="A high bar: the model's success rests on that group. One group that holds nearly all of it, or a tree "
        "on a single column that does as well as the model (a gap of 0 or below), points to a leak or a shortcut.",
        limits="Groups that say the same cover for each other, and all look unimportant. Exchanged parts make examples "
        "that may not exist. Importance is no cause in the world. Tokens are picked by how many texts hold them: a "
        "rare one is not tested. The intervals are over examples.",
        citation="Breiman, Random forests, Machine Learning 45 (2001). Fisher, Rudin and Dominici, All models are "
        "wrong, but many are useful, JMLR 20 (2019).",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="importance", interval="t", resampling="example",
               doc="How much the mean loss rises when one group is permuted across examples.",
               what_to_try="If a group that should matter does not, look for another that says the same; if one that "
               "should not matter does, look for a leak or a shortcut, and train without it."),
        Metric(name="top_share", better="down", interval="bootstrap", resampling="example",
               doc="The share of all positive importance that the most important group holds: chosen on one half of "
               "the examples, measured on the other.",
               what_to_try="Look whether that group is known when the model is used; try the model without it."),
        Metric(name="best_single_feature_gap", interval="t", resampling="example",
               doc="Accuracy of the model minus that of the best depth-2 tree on one column, chosen on training "
               "folds, paired by example (tables with classes only).",
               what_to_try="One column does all the work: check that it is not a consequence of the label (a leak), "
               "else use the column and not the model."),
    )  # fmt: skip

    rows: int = Field(256, ge=2, le=100_000, description="Permute the first rows of the evaluation data.")
    repeats: int = Field(3, ge=1, le=100, description="Permutations, averaged for each example.")
    grid: int = Field(4, ge=2, le=16, description="Cells a side of a picture.")
    tokens: int = Field(20, ge=1, le=200, description="How many of the most frequent tokens of the texts.")
    by: Literal["tokens", "segments"] = Field("tokens", description="Texts: tokens by identity, or tenths of the text.")

    def applies(self, subject: Subject) -> str | None:
        """Classifiers and regressions with data."""
        if subject.data is None:
            return "permutation importance needs a data set"
        task = subject.model.task
        return subject.lacks_labels() if task in ("classification", "regression") else f"the model's task is {task}"

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """The rises of the loss."""
        return {"found": importances_of(subject, self.rows, self.grid, self.tokens, self.repeats, self.by)}

    def measure(self, *, found: Importances, seed: int) -> Evidence:
        """The importance of each group with its interval, the share of the top one, and a tree on one column."""
        each = [self.over_examples("importance", found.rises[:, at].tolist(), found.groups, name)
                for at, name in enumerate(found.names)]  # fmt: skip
        top, said = self._top(found, seed)
        gap, about = self._gap(found)
        kept = sorted(each, key=lambda one: -one.value)[:SHOWN]
        where = (grid(found.grid, each),) if found.grid else ()
        return Evidence(
            measurements=(*each, *top, *gap),
            blocks=(*where, bars(kept, len(each))),
            samples={f"importance of {name}": tuple(found.rises[:, at].tolist())
                     for at, name in enumerate(found.names) if name in {one.of for one in kept[:5]}},
            examples=found.examples,
            notes=(*said, *about, *found.notes()),
        )  # fmt: skip

    def _top(self, found: Importances, seed: int) -> tuple[list[Measurement], list[str]]:
        """The share of the group that is the top one on half A, on half B; nothing where no group matters."""
        import numpy as np

        units = np.array(found.groups or found.examples)
        first, second = halves(units, seed)
        if not len(first):
            return [], ["top_share was not measured: the examples (or their groups) do not fill two halves."]
        top, rises = int(found.rises[first].mean(axis=0).argmax()), found.rises[second]

        def share(rows: "np.ndarray[Any, np.dtype[np.int64]]") -> float:
            held = np.clip(rises[rows].mean(axis=0), 0, None)
            return float(held[top] / held.sum()) if held.sum() > 0 else float("nan")

        try:
            inside = units[second] if found.groups else np.zeros(len(second))
            drawn = (cluster_bootstrap if found.groups else stratified_bootstrap)(share, inside, seed)
        except ValueError:
            return [], ["top_share was not measured: no group raises the loss when it is permuted."]
        n = len(set(units[second].tolist())) if found.groups else len(second)
        one = self.replicated("top_share", share(np.arange(len(second))), Quantiles(values=drawn), n, found.names[top])
        return [one.model_copy(update={"unit_of_resampling": "group"}) if found.groups else one], []

    def _gap(self, found: Importances) -> tuple[list[Measurement], list[str]]:
        """The model's hits minus those of the best tree on one column."""
        if not len(found.tree_right):
            return [], []
        gaps = (found.right.astype(float) - found.tree_right).tolist()
        used = ", ".join(dict.fromkeys(found.names[at] for at in found.tree_column))
        said = f"The best tree on one column ({used}) is right on {found.tree_right.mean():.3f} of the examples, the " \
               f"model on {found.right.mean():.3f}."  # fmt: skip
        return [self.over_examples("best_single_feature_gap", gaps, found.groups)], [said]
