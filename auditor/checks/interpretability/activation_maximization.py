"""What inputs would make units as active as can be."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from auditor.artifacts.maximized import LOGITS, Maximized, maximized_of
from auditor.artifacts.portraits import shown
from auditor.blocks import Images, PictureRow, Table
from auditor.check import About, Check, Pillar
from auditor.evidence import Evidence, Metric
from auditor.needs import Need
from auditor.subject import Subject


class ActivationMaximization(Check):
    """What input would make a unit as active as can be?

    Figure: the optimized inputs of several units, beside the natural inputs that each unit answers to most; of
    texts, the tokens nearest to the optimized embeddings.
    """

    pillar: ClassVar[Pillar] = "interpretability"
    about: ClassVar[About] = About(
        title="Activation maximization",
        question="What input makes a class or a unit as active as can be, and how far is it from natural ones?",
        formula="x* = argmax_x a(x) / sd - smooth x TV(x);  activation_gain = (a(x*) - max_i a(x_i)) / sd, over the "
        "examples x_i, a the unit averaged over places, sd its standard deviation over them",
        method="Starting from faint noise, Adam climbs the gradient of one logit or unit. Pictures are built from "
        "waves (Fourier coefficients weighted by 1 / frequency), kept in the range of the data's values, shifted at "
        "random before each step, and kept smooth by their total variation. Texts climb at the token embeddings of "
        "one of them, no longer than the longest of the table; the nearest tokens (by cosine) are then given to the "
        "model too. Units are drawn by the seed from those that vary.",
        reading="Compare the picture that was made with the natural examples below it. Shared shapes and textures tell "
        "what the unit looks for; a watermark or a background that returns is a hint at a shortcut.",
        limits="The picture shows one of many maxima, under the chosen smoothness; another seed finds another. A large "
        "gain is normal: the optimum lies far from natural data, and so says little of what happens there. Words "
        "nearest to embeddings may do nothing themselves: the table says what they do.",
        citation="Erhan et al., Visualizing higher-layer features of a deep network, 2009. Olah, Mordvintsev and "
        "Schubert, Feature Visualization, Distill 2017.",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="activation_gain", thresholdable=False, unit="sd",
               doc="How far the input that was made exceeds the best natural one, in standard deviations of the unit "
               "over the examples.",
               what_to_try="If no input exceeds the natural ones, climb for more steps or from another seed."),
    )  # fmt: skip

    layer: str = Field(LOGITS, min_length=1, description="logits (classes), auto (last spatial layer), or a name.")
    units: int = Field(4, ge=1, le=4, description="How many classes or units, drawn by the seed.")
    steps: int = Field(128, ge=1, le=5000, description="Steps uphill for each.")
    smooth: float = Field(20.0, ge=0, description="Weight of the total variation of pictures.")
    rows: int = Field(128, ge=2, description="Natural inputs: the first rows of the evaluation data.")

    def applies(self, subject: Subject) -> str | None:
        """Models of pictures and texts, with data; logits are classes only in a classifier."""
        model = subject.model
        if subject.data is None:
            return "activation maximization needs a data set: natural inputs to compare with"
        if model.modality == "tabular":
            return "activation maximization shows pictures and texts, and the model takes tabular inputs"
        if model.modality == "text" and self.layer == "auto":
            return "texts have no spatial layer: name a layer, or take the logits"
        if self.layer == LOGITS and model.task != "classification":
            return f"the model's task is {model.task}: its logits are no classes; name a layer"
        return None

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """The inputs that were made."""
        return {"found": maximized_of(subject, self.rows, self.layer, self.units, self.steps, self.smooth)}

    def measure(self, *, found: Maximized) -> Evidence:
        """The gain of each unit, and what was made beside the best natural inputs."""
        gains = tuple(
            self.exact("activation_gain", (one.reached - one.best) / one.spread, n=found.examples, of=one.name,
                       kind="unreplicated") for one in found.made
        )  # fmt: skip
        said = f"{found.flat} units of {found.layer} never change over these examples and were not drawn."
        few = f"The {len(found.made)} shown were drawn by the seed." * (found.layer != LOGITS)
        block = _texts(found) if found.made[0].words else _pictures(found)
        notes = (said * bool(found.flat), few, *found.remarks)
        return Evidence(measurements=gains, blocks=(block,), notes=tuple(filter(None, notes)))


def _pictures(found: Maximized) -> Images:
    made = tuple(shown(one.picture, one.name) for one in found.made)
    ranks = min(len(one.pictures) for one in found.made)
    natural = [
        PictureRow(label=label, pictures=tuple(shown(one.pictures[rank], "") for one in found.made))
        for rank, label in enumerate(("best example", "second best")[:ranks])
    ]
    return Images(
        title=f"What makes units of {found.layer} most active",
        reading="Above, the picture that was made for a class or unit; below, the natural pictures that activate it "
        "most. What they share is what it looks for.",
        rows=(PictureRow(label="made", pictures=made), *natural),
    )


def _texts(found: Maximized) -> Table:
    return Table(
        title=f"What makes units of {found.layer} most active",
        reading="The tokens nearest to the embeddings that were made, how active the unit is on those embeddings and "
        "on the tokens themselves, and the natural text that activates it most.",
        columns=("unit", "nearest tokens", "made", "as tokens", "best example", "its text"),
        rows=tuple((one.name, " ".join(one.words), one.reached, one.spoken, one.best, one.texts[0][:120])
                   for one in found.made),
    )  # fmt: skip
