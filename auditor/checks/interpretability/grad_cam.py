"""Where in a picture the evidence for a class lies, at the resolution of a layer."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from auditor.artifacts.asking import refusal
from auditor.artifacts.attributions import Attributions
from auditor.artifacts.explanations import maps_of
from auditor.artifacts.pictures import overlays
from auditor.artifacts.targets import TargetName
from auditor.blocks import Text
from auditor.check import About, Check, Pillar
from auditor.evidence import Evidence, Metric
from auditor.needs import Need
from auditor.subject import Subject


class GradCam(Check):
    """Which regions of a picture raise the explained class?"""

    pillar: ClassVar[Pillar] = "interpretability"
    version: ClassVar[int] = 2
    about: ClassVar[About] = About(
        title="Grad-CAM",
        question="Which regions of a picture raise the score of the explained class?",
        formula="map = relu(sum_k w_k A_k), A_k the layer's activation maps; w_k = mean over places of "
        "d f(x)[target] / d A_k (mean), or the gradient itself at each place (elementwise)",
        method="One forward and one backward pass of each batch give a layer's activations and how the target's "
        "logit reacts to them. The logit is explained, never the softmax, whose gradient vanishes where the model is "
        "sure. Layer `auto` is the last one with spatial extent; for vision transformers the norm before the last "
        "attention, without its prefix tokens.",
        reading="Bright regions raise the score of the explained class: the predicted one, unless the caption names "
        "another. A map is as coarse as its layer: it tells the region, not the outline. A map that is zero "
        "everywhere explains nothing.",
        limits="A plausible map is no proof that the model relies on that region: test it by removing the region "
        "(faithfulness) and by randomizing the model. With ReLU, what speaks against the class is not shown. The "
        "pictures are the first of the seeded order and were not chosen.",
        citation="Selvaraju et al., Grad-CAM, ICCV 2017. Draelos and Carin, HiResCAM, 2020.",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="all_zero_share", better="down", interval="wilson", resampling="example",
               doc="The share of examples whose map is zero at every place: nothing in the layer raises the class.",
               what_to_try="Try an earlier layer, `weights: elementwise` or `relu: false`; if maps stay zero, the "
               "layer does not carry the decision, or its units are dead."),
        Metric(name="concentration", thresholdable=False, interval="t", resampling="example",
               doc="The mean Gini coefficient of the maps that are not all zero: 0 spread out, near 1 on one place."),
    )  # fmt: skip

    layer: str = Field("auto", description="Dotted name of a layer with spatial extent, or auto for the last one.")
    weights: Literal["mean", "elementwise"] = Field(
        "mean", description="mean: the paper's; elementwise: activation times gradient, place by place."
    )
    relu: bool = Field(True, description="Keep only what raises the target.")
    rows: int = Field(32, ge=1, description="Explain the first rows of the evaluation data.")
    target: TargetName = "predicted"

    def applies(self, subject: Subject) -> str | None:
        """Models of pictures that have the target, with data."""
        if subject.model.modality != "image":
            return f"Grad-CAM explains pictures, and the model takes {subject.model.modality} inputs"
        return refusal(subject, "Grad-CAM", self.target)

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """The maps of one layer."""
        options = {"layer": self.layer, "weights": self.weights, "relu": self.relu}
        return {"maps": maps_of(subject, "grad_cam", self.rows, self.target, **options)}

    def measure(self, *, maps: Attributions) -> Evidence:
        """How many maps are empty, how concentrated the others are, and the first of them over their pictures."""
        from auditor.methods.attribution.concentration import gini

        groups = maps.explained.groups
        zero = [not line.any() for line in maps.maps]
        kept = [row for row, empty in enumerate(zero) if not empty]
        found = [self.share("all_zero_share", zero, groups)]
        if kept:
            inside = [groups[row] for row in kept] if groups else ()
            found.append(self.over_examples("concentration", [gini(maps.maps[row]) for row in kept], inside))
        height, width = maps.maps.shape[1:]
        where = f"Maps of layer {maps.layer}, {height} x {width} places, {self.weights} weights, target {self.target}."
        shown = overlays(
            "Where the class is seen", "Bright regions raise the explained class; each map has its own scale.",
            "Grad-CAM", maps.maps, maps.explained,
        )  # fmt: skip
        return Evidence(
            measurements=tuple(found),
            blocks=(shown, Text(title="Layer", text=where)),
            samples={"all_zero_share": tuple(map(float, zero))},
            examples=maps.explained.examples,
            notes=maps.notes(),
        )
