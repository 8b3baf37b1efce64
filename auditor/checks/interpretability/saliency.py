"""Which parts of an input the explained logit reacts to."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from auditor.artifacts.targets import TargetName, refusal
from auditor.check import About, Check, Pillar
from auditor.evidence import Evidence, Metric
from auditor.needs import Need
from auditor.subject import Subject

if TYPE_CHECKING:
    from auditor.artifacts.attributions import Attributions
    from auditor.artifacts.drawn_maps import Wording

DRAWS = 16
"""SmoothGrad's own default."""


class Saliency(Check):
    """Which pixels, tokens or columns does the explained logit react to?

    Figure: overlays of pictures, coloured tokens of texts, bars of columns.
    """

    pillar: ClassVar[Pillar] = "interpretability"
    version: ClassVar[int] = 3
    about: ClassVar[About] = About(
        title="Saliency",
        question="Which pixels, tokens or columns does the score of the explained class react to?",
        formula="map_i = |d f(x)[target] / d x_i|; pictures: the largest (or the sum) over the channels; tokens: the "
        "Euclidean norm of the gradient at the token's embedding",
        method="One backward pass of each batch gives the gradient of the target's logit at the input. The logit is "
        "explained, never the softmax, whose gradient vanishes where the model is sure. Token ids have no gradient: "
        "it is taken at their embeddings. With `smooth: K` the gradient is averaged over K copies of the input with "
        "Gaussian noise of 15% of its own range (SmoothGrad) before its size is taken.",
        reading="Bright places are those where a small change moves the score most. Saliency is a first look: it is "
        "noisy by nature, and shows sensitivity, not contribution.",
        limits="A gradient speaks of very small changes only; where a unit is saturated it is zero although the input "
        "matters. A plausible map is no proof: compare it with faithfulness and randomization. The examples shown are "
        "the first of the seeded order and were not chosen.",
        citation="Simonyan, Vedaldi and Zisserman, Deep inside convolutional networks, 2014. Smilkov et al., "
        "SmoothGrad, 2017.",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="all_zero_share", better="down", interval="wilson", resampling="example",
               doc="The share of examples whose gradient is zero at every place: no small change of the input moves "
               "the score.",
               what_to_try="Look for dead or saturated units, and whether inputs are scaled as in training."),
        Metric(name="concentration", thresholdable=False, interval="t", resampling="example",
               doc="The mean Gini coefficient of the maps that are not all zero: 0 spread out, near 1 on one place."),
    )  # fmt: skip

    reduce: Literal["max", "sum"] = Field("max", description="How a picture's channels become one value.")
    smooth: int = Field(
        0, ge=0, le=1024, description="SmoothGrad: noisy copies of each input that are averaged; 0 for the plain map."
    )
    rows: int = Field(32, ge=1, description="Explain the first rows of the evaluation data.")
    target: TargetName = "predicted"

    def applies(self, subject: Subject) -> str | None:
        """Models that have the target, with data, of any modality."""
        return refusal(subject, "saliency", self.target)

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """The maps; a parameter at its default is left out, so that the maps are those of other checks."""
        from auditor.artifacts.explanations import maps_of

        channels = {} if self.reduce == "max" else {"channels": self.reduce}
        if not self.smooth:
            return {"maps": maps_of(subject, "saliency", self.rows, self.target, **channels)}
        draws = {} if self.smooth == DRAWS else {"draws": self.smooth}
        return {"maps": maps_of(subject, "smoothgrad", self.rows, self.target, **channels, **draws)}

    def measure(self, *, maps: "Attributions") -> Evidence:
        """How many maps are empty, how concentrated the others are, and the first of them."""
        from auditor.artifacts.drawn_maps import drawn

        found = [self.share("all_zero_share", maps.empty(), maps.explained.groups)]
        values, groups = maps.concentrations()
        if values:
            found.append(self.over_examples("concentration", values, groups))
        return Evidence(
            measurements=tuple(found),
            blocks=(drawn(maps, _words(self.smooth)),),
            samples={"all_zero_share": tuple(map(float, maps.empty()))},
            examples=maps.explained.examples,
            notes=maps.notes(),
        )


def _words(smooth: int) -> "Wording":
    """What the figure says of plain or of smoothed maps."""
    from auditor.artifacts.drawn_maps import Wording

    value = f"mean absolute gradient over {smooth} noisy copies" if smooth else "mean absolute gradient"
    return Wording(
        title="What the score reacts to", label="SmoothGrad" if smooth else "saliency", value=value,
        pixels="Bright pixels are those that the score reacts to.", tokens="Dark tokens move the score most.",
    )  # fmt: skip
