"""Whether an explanation stays what it was when the input moves a little."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field

from auditor.artifacts.asking import asking
from auditor.artifacts.method_names import MethodName
from auditor.artifacts.sensitivity import Sensitivities, SensitivityNeed
from auditor.artifacts.targets import TargetName, refusal
from auditor.blocks import Line, Lines
from auditor.check import About, Check, Pillar
from auditor.evidence import Evidence, Metric
from auditor.needs import Need
from auditor.subject import Subject


class Sensitivity(Check):
    """Does the explanation keep still when the input moves a little?

    Figure: the share of examples whose map moves at most so far.
    """

    pillar: ClassVar[Pillar] = "interpretability"
    about: ClassVar[About] = About(
        title="Sensitivity of the explanation",
        question="How far does the map move when the input moves a little?",
        formula="max over K draws d of norm(A(x + d) - A(x)) / max(norm(A(x)), floor); d uniform in [-r, r] times the "
        "standard deviation of the example's own values (rows: of each column over the data); floor = a hundredth of "
        "the median norm of the maps that are not zero",
        method="Each example is moved by K small random nudges (texts at their token embeddings), its map is made "
        "again for the same target, and the largest relative change is kept. K and r are part of the metric: more "
        "draws find larger changes. Maps that are zero everywhere have no direction to keep; they are left out and "
        "counted.",
        reading="0 means that the map does not move at all; 1 that some nudge changes it as much as it is large. Two "
        "people who look at pictures that differ invisibly would then be shown different reasons.",
        limits="A constant map scores best, so a low value is worth nothing unless the map is faithful too: judge it "
        "after faithfulness. Random nudges find less than an adversary would.",
        citation="Yeh et al., On the (in)fidelity and sensitivity of explanations, NeurIPS 2019.",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="max_sensitivity", better="down", interval="t", resampling="example",
               doc="The largest relative change of an example's map over the draws, averaged over examples.",
               what_to_try="Average the map over noisy inputs (SmoothGrad), take a coarser method (Grad-CAM), or look "
               "for gradients that saturate or shatter."),
    )  # fmt: skip

    method: MethodName | None = Field(
        None, description="Attribution method; default: grad_cam for pictures, else input_x_gradient."
    )
    draws: int = Field(8, ge=1, le=100, description="K, the nudges of each example.")
    radius: float = Field(
        0.02, gt=0, le=1, description="r, in standard deviations of an example's values; rows: of a column."
    )
    rows: int = Field(32, ge=1, description="Explain the first rows of the evaluation data.")
    target: TargetName = "predicted"

    def applies(self, subject: Subject) -> str | None:
        """Models that have the target, with data."""
        return refusal(subject, "sensitivity", self.target)

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """The largest change of each map."""
        method = self.method or ("grad_cam" if subject.model.modality == "image" else "input_x_gradient")
        own = {"draws": self.draws, "radius": self.radius}
        return {"found": asking(SensitivityNeed, subject, self.rows, self.target, method, {}, **own)}

    def measure(self, *, found: Sensitivities) -> Evidence:
        """The mean of the largest changes, and their distribution."""
        groups, kept = found.explained.groups, [row for row, value in enumerate(found.largest) if value == value]
        lost, total = len(found.largest) - len(kept) - found.still, len(found.largest)
        values = [float(found.largest[row]) for row in kept]
        said = [f"{lost} of {total} maps are zero everywhere and were left out."] * bool(lost)
        still = f"{found.still} of {total} inputs have one value everywhere: no nudge moves them; they were left out."
        said += [still] * bool(found.still)
        inside = [groups[row] for row in kept] if groups else ()
        return Evidence(
            measurements=(self.over_examples("max_sensitivity", values, inside),) if values else (),
            blocks=(_distribution(values),) if values else (),
            samples={"max_sensitivity": tuple(values)},
            examples=tuple(found.explained.examples[row] for row in kept),
            notes=(*said, *found.explained.notes()),
        )


def _distribution(values: Sequence[float]) -> Lines:
    ordered = tuple(sorted(values))
    share = tuple((place + 1) / len(ordered) for place in range(len(ordered)))
    return Lines(
        title="How far maps move", x_label="largest relative change of the map", y_label="share of examples",
        reading="Share of examples whose map moves at most so far. A steep curve at the left is a still explanation.",
        lines=(Line(label="examples", x=ordered, y=share),), marks=((1.0, "as large as the map"),),
    )  # fmt: skip
