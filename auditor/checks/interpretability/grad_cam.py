"""Where in a picture the evidence for a class lies, at the resolution of a layer."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from auditor.artifacts.pictures import overlays_by
from auditor.artifacts.regions import NO_REGIONS, Regions, regions_of
from auditor.artifacts.targets import TargetName, refusal
from auditor.blocks import Text
from auditor.check import About, Check, Pillar
from auditor.evidence import Evidence, Measurement, Metric
from auditor.needs import Need
from auditor.subject import Subject

if TYPE_CHECKING:
    from auditor.artifacts.attributions import Attributions


class GradCam(Check):
    """Which regions of a picture raise the explained class?

    Figure: overlays of the map of each layer over the pictures that the model saw.
    """

    pillar: ClassVar[Pillar] = "interpretability"
    version: ClassVar[int] = 3
    about: ClassVar[About] = About(
        title="Grad-CAM",
        question="Which regions of a picture raise the score of the explained class?",
        formula="map = relu(sum_k w_k A_k), A_k the layer's activation maps; w_k = mean over places of "
        "d f(x)[target] / d A_k (mean), or the gradient itself at each place (elementwise)",
        method="One forward and one backward pass of each batch give a layer's activations and how the target's "
        "logit reacts to them. The logit is explained, never the softmax, whose gradient vanishes where the model is "
        "sure. Layer `auto` is the last one with spatial extent; for vision transformers the norm before the last "
        "attention, without its prefix tokens. Where the data give boxes or masks, the pointing game asks whether the "
        "largest value of the map lies on the labelled object.",
        reading="Bright regions raise the score of the explained class: the predicted one, unless the caption names "
        "another. A map is as coarse as its layer: it tells the region, not the outline. A map that is zero "
        "everywhere explains nothing.",
        limits="A plausible map is no proof that the model relies on that region: test it by removing the region "
        "(faithfulness) and by randomizing the model. The pointing game rewards agreement with people, not with the "
        "model: what lies outside the box may be what it uses. With ReLU, what speaks against the class is not shown. "
        "The pictures are the first of the seeded order and were not chosen.",
        citation="Selvaraju et al., Grad-CAM, ICCV 2017. Draelos and Carin, HiResCAM, 2020. Zhang et al., Top-down "
        "neural attention by excitation backprop (the pointing game), ECCV 2016.",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="all_zero_share", better="down", interval="wilson", resampling="example",
               doc="The share of examples whose map is zero at every place: nothing in the layer raises the class.",
               what_to_try="Try an earlier layer, `weights: elementwise` or `relu: false`; if maps stay zero, the "
               "layer does not carry the decision, or its units are dead."),
        Metric(name="concentration", thresholdable=False, interval="t", resampling="example",
               doc="The mean Gini coefficient of the maps that are not all zero: 0 spread out, near 1 on one place."),
        Metric(name="pointing_game", better="up", interval="wilson", resampling="example",
               doc="The share of pictures whose map is largest inside the box or mask of the labelled object, among "
               "those that have one. A map that is zero everywhere points nowhere and misses.",
               what_to_try="Look at the misses: a model that finds the class by its surroundings points there. Use "
               "`target: label` where predictions are often wrong, and a finer layer where objects are small."),
    )  # fmt: skip

    layer: str | Annotated[tuple[str, ...], Field(min_length=1, max_length=5)] = Field(
        "auto",
        description="Dotted name of a layer with spatial extent, or auto for the last one; or a list of up to 5.",
    )
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
        """The maps of each layer (`maps`, `maps_1`, ...), and where the objects are, if the data say it."""
        from auditor.artifacts.explanations import maps_of

        layers = (self.layer,) if isinstance(self.layer, str) else self.layer
        options = {"weights": self.weights, "relu": self.relu}
        found: dict[str, Need[Any]] = {
            f"maps_{at}" if at else "maps": maps_of(subject, "grad_cam", self.rows, self.target, layer=layer, **options)
            for at, layer in enumerate(dict.fromkeys(layers))
        }
        regions = regions_of(subject, self.rows)
        return {**found, "regions": regions} if regions else found

    def measure(self, *, maps: "Attributions", regions: Regions | None = None, **further: "Attributions") -> Evidence:
        """Each layer's empty maps, their concentration and where they point, and the first of them over pictures."""
        found, samples, said = [], {}, []
        every = {each.layer: each for each in (maps, *further.values())}
        for layer, each in every.items():
            of = layer if len(every) > 1 else ""
            found += self._of_layer(each, regions, of)
            samples[f"all_zero_share[{of}]" if of else "all_zero_share"] = tuple(map(float, each.empty()))
            said.append(f"Maps of layer {layer}: {' x '.join(map(str, each.maps.shape[1:]))} places.")
        said.append(f"Target {self.target}, {self.weights} weights. {regions.sentence() if regions else NO_REGIONS}")
        shown = overlays_by(
            "Where the class is seen", "Bright regions raise the explained class; each map has its own scale.",
            {layer if len(every) > 1 else "Grad-CAM": each.maps for layer, each in every.items()}, maps.explained,
        )  # fmt: skip
        return Evidence(
            measurements=tuple(found),
            blocks=(shown, Text(title="Layers" if len(every) > 1 else "Layer", text=" ".join(said))),
            samples=samples,
            examples=maps.explained.examples,
            notes=tuple(dict.fromkeys(note for each in every.values() for note in each.notes())),
        )

    def _of_layer(self, maps: "Attributions", regions: Regions | None, of: str) -> list[Measurement]:
        """Empty maps, the concentration of the others, and how often they point into a region where there is one."""
        from auditor.methods.attribution.pointing import hits

        groups, rows = maps.explained.groups, regions.known() if regions else []
        found = [self.share("all_zero_share", maps.empty(), groups, of)]
        values, inside = maps.concentrations()
        if values:
            found.append(self.over_examples("concentration", values, inside, of))
        if regions and rows:
            pointing = hits(maps.maps[rows], regions.inside[rows] > 0)
            inside = tuple(groups[row] for row in rows) if groups else ()
            found.append(self.share("pointing_game", pointing, inside, of))
        return found
