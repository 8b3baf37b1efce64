"""Whether an explanation depends on the class that it explains."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from auditor.artifacts.asking import asking
from auditor.artifacts.class_maps import ClassMaps, ClassMapsNeed
from auditor.artifacts.method_names import SignedName
from auditor.artifacts.targets import TargetName, aim_of, misfit, refusal
from auditor.blocks import Heatmap
from auditor.check import About, Check, Pillar
from auditor.evidence import Evidence, Metric
from auditor.needs import Need
from auditor.subject import Subject

SIGNS: dict[str, dict[str, Any]] = {"grad_cam": {"relu": False}}
"""The parameters that keep a method's sign, where its defaults do not."""
ORDER = ("explained", "2nd", "3rd", "4th", "5th", "6th")


class ClassSensitivity(Check):
    """Does the explanation depend on the class that it explains?

    Figure: a matrix of the rank correlations between the maps of an example's foremost classes.
    """

    pillar: ClassVar[Pillar] = "interpretability"
    about: ClassVar[About] = About(
        title="Class sensitivity",
        question="Is the explanation of one class different from that of another?",
        formula="map_correlation = mean over the other foremost classes c of Spearman(A(x, explained), A(x, c)), over "
        "signed maps at their native resolution",
        method="The map of the explained class is compared with those of the classes of next largest logits, on the "
        "same input. Maps keep their sign, since what speaks for one class often speaks against another. Examples "
        "with a map that is the same everywhere are left out and counted.",
        reading="Near 1 the map is the same whatever is explained: it shows the input, not the reason. Near 0 or below "
        "it, the map speaks of the class.",
        limits="Classes that look alike share their evidence, so some correlation is healthy. With two classes the "
        "maps mirror each other by construction, and the check does not apply.",
        citation="Adebayo et al., Sanity checks for saliency maps, NeurIPS 2018. Nie, Zhang and Patel, A theoretical "
        "explanation for perplexing behaviors of backpropagation-based visualizations, ICML 2018.",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="map_correlation", better="down", interval="t", resampling="example",
               doc="Mean signed rank correlation of an example's map with the maps of its next foremost classes.",
               what_to_try="Do not show this method's maps as reasons for a class; use one that is class "
               "discriminative, such as Grad-CAM or integrated gradients."),
    )  # fmt: skip

    method: SignedName | None = Field(
        None, description="A signed method; default: grad_cam for pictures, else input_x_gradient."
    )
    top: int = Field(3, ge=2, le=6, description="Classes compared: the explained one and those of next largest logit.")
    rows: int = Field(32, ge=1, description="Explain the first rows of the evaluation data.")
    target: TargetName = "predicted"

    def applies(self, subject: Subject) -> str | None:
        """Pictures and texts of more than two classes."""
        if aim_of(self.target).kind != "plain":
            return "class sensitivity compares classes: the target is predicted, label or class:K"
        reason = refusal(subject, "class sensitivity") or misfit(subject, self.target)
        if reason is None and subject.model.modality == "tabular":
            return "class sensitivity compares maps of pictures and texts, and the model takes rows of a table"
        if reason is None and subject.model.outputs < 3:
            return "with two classes the maps of both mirror each other by construction"
        return reason

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """The correlations of the maps of several classes."""
        method = self.method or ("grad_cam" if subject.model.modality == "image" else "input_x_gradient")
        top, signed = min(self.top, subject.model.outputs), SIGNS.get(method, {})
        return {"found": asking(ClassMapsNeed, subject, self.rows, self.target, method, signed, top=top)}

    def measure(self, *, found: ClassMaps) -> Evidence:
        """The mean correlation with the other classes, and the matrix of all pairs."""
        explained = found.explained
        kept = [row for row, flat in enumerate(found.constant) if not flat.any()]
        lost = len(found.constant) - len(kept)
        said = (f"{lost} of {len(found.constant)} examples have a map without any order and were left out.",)
        notes = (*said * bool(lost), *explained.notes())
        if not kept:
            return Evidence(measurements=(), notes=notes)
        values = found.correlation[kept, 0, 1:].mean(axis=1).tolist()
        inside = [explained.groups[row] for row in kept] if explained.groups else ()
        names = ORDER[: found.correlation.shape[1]]
        matrix = Heatmap(
            title="Maps of the foremost classes", rows=names, columns=names, annotate=True, diverging=True,
            reading="Mean signed rank correlation between the maps of an example's foremost classes, the explained one "
            "first. Off the diagonal, 1 means the same map for both.",
            values=tuple(map(tuple, found.correlation[kept].mean(axis=0).tolist())), value_label="rank correlation",
        )  # fmt: skip
        return Evidence(
            measurements=(self.over_examples("map_correlation", values, inside),),
            blocks=(matrix,),
            samples={"map_correlation": tuple(values)},
            examples=tuple(explained.examples[row] for row in kept),
            notes=notes,
        )
