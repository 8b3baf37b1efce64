"""Did two models, or two records of one model, come to be in the same way?"""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from auditor.artifacts.beside import Side, Sides, sides_of
from auditor.artifacts.beside_pages import Apart, compared
from auditor.artifacts.trajectory import missing
from auditor.check import About, Check, Pillar
from auditor.evidence import Evidence, Measurement, Metric, Moments
from auditor.needs import Need
from auditor.subject import Subject


class Compare(Check):
    """How far the histories of two or more models, or two records of one history, lie apart.

    Figure: the change rates over each other, and the layers that differ most.
    """

    pillar: ClassVar[Pillar] = "traceability"
    about: ClassVar[About] = About(
        title="Histories side by side",
        question="Did the parameters of these models move alike, layer by layer?",
        formula="rate_difference = abs(rate - rate') / max(rate, rate') of the median relative change of a tensor over "
        "an interval;  score_difference = abs(score - score'), score = alpha S + (1 - alpha) (1 - N_eff / N)",
        method="Histories are brought to the intervals that all of them hold; without two such, to the usual intervals "
        "of each, and where these differ in length, rates are taken per step. The rates are those of change_rate, for "
        "every tensor of two or more dimensions that both know in one size; where neither moves, the difference is 0. "
        "The scores are those of traceability.score (Fisher importance on the same examples, N_eff as it is on all of "
        "them at once); learning rates are used if they are known on both sides. Both differences are absolute: which "
        "side is faster is in the table. With several seeds they are differences of the means with Welch's interval, "
        "which may reach below 0; seeds of two models are drawn apart, so nothing is paired. Records on disk are exact "
        "facts; one seed is a single replicate.",
        reading="0: the two moved alike. Two records of one training must agree to the last digits that were stored; "
        "two recipes rarely agree within a tenth. 1: one side does not move at all.",
        limits="Equal rates do not mean equal weights: see traceability.lineage for those. An absolute difference of "
        "means over few seeds is above 0 by chance alone. Per step, a path that winds looks faster where it is "
        "recorded more often: record at the same steps.",
        citation="Welch, Biometrika 34 (1947).",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="score_difference", better="down", interval="t", resampling="seed",
               doc="Absolute difference of the traceability scores of the two models.",
               what_to_try="See whether S or N_eff / N differs: run traceability.score on both."),
        Metric(name="rate_difference", better="down", interval="t", resampling="seed",
               doc="Absolute difference of a tensor's median change rates, divided by the larger of the two.",
               what_to_try="See the first rows of the table: compare learning rates, frozen parts and the steps that "
               "were recorded of these layers."),
    )  # fmt: skip

    rows: int = Field(128, ge=2, description="Weigh parameters on the first rows of the data, for the score.")
    alpha: float = Field(0.5, ge=0, le=1, description="The weight of steadiness in the score.")

    def applies(self, subject: Subject) -> str | None:
        """Models with histories, and another one to compare with."""
        if not subject.against:
            return "there is no other history: name models that have one, `against: [MODEL]`"
        for model in (subject.model, *subject.against):
            if reason := missing(model.history, ("changes",)):
                return f"{model.name}: {reason}"
        return None

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """The trajectory and the importance of each model."""
        return {"sides": sides_of(subject, self.rows)}

    def measure(self, *args: Any, sides: Sides, **artifacts: Any) -> Evidence:
        """The audited model's history against each of the others'."""
        first, *others = sides.sides
        pairs = [(other, compared(first, other, self.alpha)) for other in others]
        measured = [
            one
            for other, pair in pairs
            for apart in pair.apart
            for one in self._difference(apart, first, other, other.name if len(others) > 1 else "")
        ]
        read = (note for side in sides.sides for note in side.trajectory.notes())
        said = (*read, *(note for _, pair in pairs for note in pair.notes))
        shown = tuple(block for _, pair in pairs for block in pair.blocks)
        return Evidence(measurements=tuple(measured), blocks=shown, notes=tuple(dict.fromkeys(said)))

    def _difference(self, apart: Apart, first: Side, other: Side, name: str) -> tuple[Measurement, ...]:
        """Welch's moments over seeds; exact for records on disk, unless examples add an error."""
        from auditor.statistics import unpaired

        of = ", ".join(part for part in (apart.of, name) if part)
        mean, sd, n = unpaired(apart.first, apart.second)
        replicates, error = max(len(apart.first), len(apart.second)) > 1, apart.error
        if first.single or other.single or error is None:
            found = self.exact(apart.name, abs(mean), of=of, kind="unreplicated")
        elif not replicates and not error:
            found = self.exact(apart.name, abs(mean), of=of)
        else:
            n = n if replicates else apart.blocks
            wide = Moments(mean=abs(mean), sd=(sd**2 + n * error**2) ** 0.5, n=n)
            unit = "seed" if replicates else "example"
            found = self.sampled(apart.name, wide, of=of).model_copy(update={"unit_of_resampling": unit})
        return other.trajectory.bounded(first.trajectory.bounded((found,)))
