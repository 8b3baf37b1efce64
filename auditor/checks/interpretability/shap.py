"""How the explained score is shared out fairly among the parts of each input."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from auditor.artifacts.asking import asking
from auditor.artifacts.drawn_maps import Wording, drawn
from auditor.artifacts.shap_figures import of_columns
from auditor.artifacts.shap_runs import SharedOut, SharedOutNeed
from auditor.artifacts.targets import TargetName, refusal
from auditor.check import About, Check, Pillar
from auditor.evidence import Evidence, Metric
from auditor.needs import Need
from auditor.subject import Subject

WORDING = Wording(
    title="What each part adds to the score", label="SHAP", value="mean SHAP value", signed=True,
    pixels="Bright cells raise the score. What lowers it is not coloured.",
    tokens="One colour marks tokens that raise the score, the other those that lower it.",
)  # fmt: skip


class Shap(Check):
    """How is the explained score shared out among the parts of each input, and how sure is that?

    Figure: maps over pictures or tokens; of tables, bars with intervals and how each column spreads.
    """

    pillar: ClassVar[Pillar] = "interpretability"
    about: ClassVar[About] = About(
        title="SHAP values",
        question="How much does each part of an input add to the explained score, on average over all orders in which "
        "the parts could be put in?",
        formula="value_i = mean over orders of the parts of f(x with i and all before it) - f(x with all before it), "
        "the others removed; sum over i of value_i = f(x) - f(x0), x0 without any part. relative_se = norm(a - b) / "
        "norm(a + b) of the values a and b of two runs: norm(standard errors of the mean) / norm(mean)",
        method="By the shap library. Rows of up to `exact_up_to` columns: all sets of columns are evaluated, and the "
        "values are exact. More columns: random orders of the columns, each there and back (PermutationExplainer). "
        "Pictures (cells of a grid) and texts (tokens): Owen values over a hierarchy of neighbours, which is followed "
        "down first where the score moves most (PartitionExplainer); each run draws a hierarchy of its own. What is "
        "shown is the mean of two runs. A removed cell takes the picture's mean colour, a removed token the mask "
        "token, a removed column its mean over the data. The logit is explained, never the softmax. That the values "
        "add up to the score is an invariant: a miss above a thousandth of the scores' standard deviation stops the "
        "check.",
        reading="Positive values raise the score, negative ones lower it, and all of them and f(x0) make the score. "
        "Where two runs agree little or relative_se is large, the order and the size of the values are chance: take "
        "more evaluations before reading them.",
        limits="Parts are removed by values that the data may never hold together, so a value can owe to how the model "
        "treats strange inputs. Owen values depend on the hierarchy, and groups that the evaluations do not reach "
        "share their value out evenly; a note says how many different values there are, and coarse maps agree more "
        "easily. Two runs agreeing says that the values are well computed, not that they are a good explanation: test "
        "that with faithfulness.",
        citation="Lundberg and Lee, A unified approach to interpreting model predictions, NeurIPS 2017; Owen, Values "
        "of games with a priori unions, 1977.",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="seed_agreement", interval="t", resampling="example",
               doc="Signed rank correlation of the values of two independent runs, averaged over examples.",
               what_to_try="Raise max_evals, or take a coarser grid, until two runs agree."),
        Metric(name="relative_se", better="down", interval="t", resampling="example",
               doc="Standard error of an example's values relative to their size, averaged over examples; 0 for exact "
               "values, near 1 for noise.",
               what_to_try="Raise max_evals: the error of random orders falls with its square root."),
    )  # fmt: skip

    max_evals: int = Field(
        500,
        ge=4,
        le=100_000,
        description="Evaluations of each example in each of two runs; at least one order, or one a part.",
    )
    exact_up_to: int = Field(10, ge=0, le=14, description="Evaluate all sets of up to this many columns.")
    grid: int = Field(7, ge=2, le=32, description="Cells of a picture's grid, each way.")
    rows: int = Field(32, ge=1, description="Explain the first rows of the evaluation data.")
    target: TargetName = "predicted"

    def applies(self, subject: Subject) -> str | None:
        """Models that have the target, with data, of any modality."""
        return refusal(subject, "SHAP", self.target)

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """Two runs."""
        options = {"max_evals": self.max_evals, "exact_up_to": self.exact_up_to, "grid": self.grid}
        return {"found": asking(SharedOutNeed, subject, self.rows, self.target, "shap", options)}

    def measure(self, *, found: SharedOut) -> Evidence:
        """How far two runs agree, and their mean."""
        explained = found.maps.explained
        kept = [row for row, flat in enumerate(found.without_order) if not flat]
        groups = [explained.groups[row] for row in kept] if explained.groups else ()
        columns = {"seed_agreement": found.agreement, "relative_se": found.relative_se}
        samples = {name: tuple(column[kept].tolist()) for name, column in columns.items()}
        return Evidence(
            measurements=tuple(self.over_examples(name, column, groups) for name, column in samples.items() if kept),
            blocks=(drawn(found.maps, WORDING), *of_columns(found)),
            samples=samples,
            examples=tuple(explained.examples[row] for row in kept),
            notes=(*_said(found), *found.maps.notes()),
        )


def _said(found: SharedOut) -> tuple[str, ...]:
    """What chance there is in the values, how fine and how complete they are, and what is left out."""
    lost, total, facts = int(found.without_order.sum()), len(found.without_order), found.maps.facts
    exact = "All sets of columns were evaluated: the values are exact, and any two runs agree."
    fine = (
        f"An example has {facts['distinct'].mean():.0f} different values for {facts['parts'].mean():.0f} parts (means)."
    )
    left_out = f"{lost} of {total} examples, whose parts all have the same value, were left out."
    added = f"The values and f(x0) add up to the score within {facts['additivity_error'].max():.1g}."
    return (exact if found.enumerated else fine, *[left_out] * bool(lost), added)
