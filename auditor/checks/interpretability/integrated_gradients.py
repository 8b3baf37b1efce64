"""How much each part of an input adds to the explained score, from a baseline up to the input."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from auditor.artifacts.drawn_maps import Wording, drawn
from auditor.artifacts.targets import TargetName, refusal
from auditor.blocks import Bar, Bars
from auditor.check import About, Check, Pillar
from auditor.evidence import Evidence, Metric
from auditor.needs import Need
from auditor.subject import Subject

if TYPE_CHECKING:
    from auditor.artifacts.attributions import Attributions

ENOUGH, LAST = 0.05, 256
EDGES = (0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.1, 0.2, 0.5)
NAMES = {"auto": "auto (zero for pictures, padding for texts, the mean row for tables)"}


class IntegratedGradients(Check):
    """How much does each pixel, token or column add to the explained score?

    Figure: maps over pictures, tokens or columns, and a histogram of the completeness error.
    """

    pillar: ClassVar[Pillar] = "interpretability"
    about: ClassVar[About] = About(
        title="Integrated gradients",
        question="How much does each pixel, token or column add to the score of the explained class?",
        formula="map_i = (x_i - x0_i) * integral over a in [0, 1] of d f(x0 + a (x - x0))[target] / d x_i; sum over i "
        "of map_i = f(x) - f(x0), and completeness_error = abs(sum map - (f(x) - f(x0))) / max(abs(f(x) - f(x0)), "
        "0.05 sd of f over the explained examples)",
        method="The integral is taken by Gauss-Legendre quadrature in float32. For each example by itself the steps "
        "double from 16 to 256 until its completeness error is at most 0.05. The logit is explained, never the "
        "softmax. Token ids have no gradient: the way runs between embeddings, and special tokens stay as they are.",
        reading="Values add up to the difference of the scores of input and baseline: positive ones raise the score, "
        "negative ones lower it. An example that does not add up after 256 steps has a map that must not be read as "
        "shares of the score.",
        limits="A map answers a question relative to its baseline: what equals the baseline gets nothing, so with "
        "baseline zero, pixels of the average colour are never bright. A small completeness error shows that the "
        "integral is right, not that the explanation is: test that with faithfulness and randomization. The examples "
        "shown are the first of the seeded order and were not chosen.",
        citation="Sundararajan, Taly and Yan, Axiomatic attribution for deep networks, ICML 2017.",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="completeness_error", better="down", thresholdable=False, interval="t", resampling="example",
               doc="The mean relative error by which a map fails to add up to the difference of scores. It is pushed "
               "to 0.05 by taking more steps, so it is shown and not judged."),
        Metric(name="unconverged_share", better="down", interval="wilson", resampling="example",
               doc="The share of examples whose map does not add up within 0.05 at 256 steps: the score jumps on the "
               "way from the baseline.",
               what_to_try="Try another baseline (blur keeps a picture's colours), and do not read the values of such "
               "maps as shares of the score."),
    )  # fmt: skip

    baseline: Literal["auto", "zero", "mean", "blur", "pad"] = Field(
        "auto",
        description="Where the way begins. Pictures: zero (the colour that normalization takes off), mean, blur; "
        "texts: pad, zero; rows: mean, zero. auto: zero, pad, mean.",
    )
    rows: int = Field(32, ge=1, description="Explain the first rows of the evaluation data.")
    target: TargetName = "predicted"

    def applies(self, subject: Subject) -> str | None:
        """Models that have the target, with data, of any modality."""
        return refusal(subject, "integrated gradients", self.target)

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """The maps; the default baseline is left out, so that the maps are those of other checks."""
        from auditor.artifacts.explanations import maps_of

        options = {} if self.baseline == "auto" else {"baseline": self.baseline}
        return {"maps": maps_of(subject, "integrated_gradients", self.rows, self.target, **options)}

    def measure(self, *, maps: "Attributions") -> Evidence:
        """How well the maps add up, how many do not, and the first of them."""
        error, steps = maps.facts["completeness_error"].tolist(), maps.facts["steps"].tolist()
        groups, missed = maps.explained.groups, [value > ENOUGH for value in error]
        found = (
            self.over_examples("completeness_error", error, groups),
            self.share("unconverged_share", missed, groups),
        )
        flat = sum(maps.empty())
        said = f"{flat} of {len(error)} maps are zero everywhere: they add up, and explain nothing."
        samples = {"completeness_error": error, "unconverged_share": map(float, missed), "steps": steps}
        return Evidence(
            measurements=found,
            blocks=(drawn(maps, _words(self.baseline)), _histogram(error, steps)),
            samples={name: tuple(column) for name, column in samples.items()},
            examples=maps.explained.examples,
            notes=(*[said] * bool(flat), *maps.notes()),
        )


def _words(baseline: str) -> Wording:
    return Wording(
        title="What adds to the score", label="integrated gradients", value="mean contribution to the score",
        pixels=f"Bright pixels raise the score from the baseline: {NAMES.get(baseline, baseline)}. What lowers it is "
        "not coloured.",
        tokens="One colour marks tokens that raise the score, the other those that lower it.", signed=True,
    )  # fmt: skip


def _histogram(error: Sequence[float], steps: Sequence[float]) -> Bars:
    """Examples by their completeness error at the end."""
    bounds = (-1.0, *EDGES, float("inf"))
    labels = (*(f"up to {edge:g}" for edge in EDGES), f"above {EDGES[-1]:g}")
    counts = [sum(low < value <= high for value in error) for low, high in pairwise(bounds)]
    taken = ", ".join(f"{steps.count(step)} took {step:g}" for step in sorted(set(steps)))
    return Bars(
        title="How well the maps add up", x_label="examples",
        reading=f"Examples by the completeness error of their map; up to 0.05 it adds up. Of the steps that double up "
        f"to {LAST}, {taken}.",
        bars=tuple(Bar(label=label, value=count) for label, count in zip(labels, counts, strict=True)),
    )  # fmt: skip
