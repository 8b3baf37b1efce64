"""What does the loss look like around the weights, along the training run, and between seeds?"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import Field

from auditor.artifacts.curvature import without_loss
from auditor.artifacts.landscape import landscape_of
from auditor.artifacts.landscape_found import Landscape as Found
from auditor.check import About, Check, Pillar
from auditor.evidence import Evidence, Measurement, Metric, Moments
from auditor.needs import Need
from auditor.subject import Subject

FILTERLESS = "none of the chosen weights has two or more dimensions and is not zero, so there is no direction"


class Landscape(Check):
    """What the loss looks like around the weights, along the training run, and between seeds.

    Figure: the loss on two random directions, on the straight lines, and the training path in a plane.
    """

    pillar: ClassVar[Pillar] = "optimizability"
    about: ClassVar[About] = About(
        title="Loss landscape",
        question="What does the loss look like around the weights, along the training run, and between seeds?",
        formula="d_f = g_f |w_f| / |g_f| for each filter f;  flatness = mean over d of (L(w + r d) + L(w - r d)) / 2 - "
        "L(w);  barrier = max over a of L((1 - a) w0 + a w1) - (1 - a) L(w0) - a L(w1)",
        method="Evaluation mode, the mean loss over the first rows of the data: cross-entropy, squared error, or for "
        "language models the loss a token. A random direction has in each filter the norm of that filter, and zeros "
        "in parameters of one dimension; both signs are taken, so that the slope cancels. Its interval is Student's "
        "over the directions. path_barrier: from the first to the last weights that the history keeps, of a fine-tune "
        "its first seed; an exact fact of that run on these rows, at equally spaced points. seed_barrier: the mean "
        "over all pairs of seeds of the line between their last weights, with Student's interval over the seeds by "
        "the jackknife; no narrower than for the height between the ends, which may be below zero, since barriers "
        "that are all zero show no spread. BatchNorm measures its statistics anew at every point, the ends included: "
        "cumulative averages over the training data where they are known, else over the audited data. Frozen weights "
        "are moved too, tied ones once, and all are put back.",
        reading="A flatness of .01 means that moving each filter by a tenth of its norm costs .01 of loss on average. "
        "Two models of one function whose filters are scaled against each other have the same. A path without a "
        "barrier stays below the straight line of its losses. Seeds without one lie in one basin, so their weights "
        "can be averaged; a barrier means that they found different solutions, or the same with units in another "
        "order.",
        limits="The weights before the first step are not kept by a fine-tune, so its path begins at the first kept "
        "step. A narrow barrier between two points is not seen. Of more than ten seeds the first ten are compared. "
        "Random directions see the mean of the curvature, hardly its top: read optimizability.sharpness beside. The "
        "numbers are in units of the loss, of the declared rows and not of all data. A path of one loss has no barrier "
        "to tell of. Where a loss on the way is not finite, or a run diverged, a number is a lower bound, which can "
        "fail an expectation and never pass it.",
        citation="Li et al., Visualizing the loss landscape of neural nets, NeurIPS 2018. Frankle et al., Linear mode "
        "connectivity and the lottery ticket hypothesis, ICML 2020. Garipov et al., NeurIPS 2018, and Izmailov et al., "
        "UAI 2018, on BatchNorm along paths. Efron and Stein, Annals of Statistics 9 (1981).",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            name="flatness", better="down", interval="t", resampling="probe",
            doc="Mean rise of the loss over random filter-normalized directions, at the radius.",
            what_to_try="Train longer with a falling learning rate or with weight averaging, try sharpness-aware "
            "training, or more regularization.",
        ),
        Metric(
            name="path_barrier", better="down",
            doc="Barrier between the first and the last kept weights of the training run.",
            what_to_try="Lengthen the warm-up or lower the first learning rate: the run left where it began.",
        ),
        Metric(
            name="seed_barrier", better="down", interval="t", resampling="seed",
            doc="Mean barrier between the last weights of two seeds.",
            what_to_try="Start all seeds from one pretrained model, with fewer steps or a lower learning rate, before "
            "their weights are averaged.",
        ),
    )  # fmt: skip

    rows: int = Field(128, ge=1, description="The mean loss over the first rows of the data.")
    layers: tuple[str, ...] = Field(
        (), description="Globs over layer or parameter names that random directions move; default: all."
    )
    directions: int = Field(10, ge=2, le=100, description="Random directions; below 10 nothing is decided.")
    radius: float = Field(0.1, gt=0, le=1, description="How far each filter is moved, in its own norm.")
    grid: int = Field(11, ge=0, le=41, description="Points of each side of the drawn surface; 0 for none.")
    points: int = Field(11, ge=3, le=101, description="Points of each straight line, both ends among them.")
    train: str | None = Field(
        None, description="The data on which BatchNorm measures.", json_schema_extra={"data": True}
    )

    def applies(self, subject: Subject) -> str | None:
        """Models with a loss on their data."""
        return without_loss(subject)

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """The surroundings, and what the history allows."""
        asked = (self.rows, self.layers, self.directions, self.radius, self.grid, self.points)
        return {"landscape": landscape_of(subject, *asked)}

    def measure(self, *, landscape: Found) -> Evidence:
        """Rises and barriers."""
        from auditor.artifacts.landscape_figures import drawn

        rises, why = landscape.around.known(), dict(landscape.absent)
        measured = [*self._path(landscape), *self._seeds(landscape)]
        if len(rises) > 1:
            measured.insert(0, self.averaged("flatness", rises, censored=landscape.around.is_open()))
        elif not len(landscape.around.found.rises):
            why["flatness"] = FILTERLESS
        return Evidence(
            measurements=tuple(measured), blocks=tuple(drawn(landscape)), notes=landscape.notes(), inapplicable=why
        )

    def _path(self, landscape: Found) -> Iterator[Measurement]:
        path = landscape.path
        if path is not None and (barrier := path.lane.barrier()) is not None and not path.lane.is_flat():
            found = self.exact("path_barrier", barrier, n=len(path.lane.losses))
            yield found.model_copy(update={"censored": path.is_open()})

    def _seeds(self, landscape: Found) -> Iterator[Measurement]:
        pairs = landscape.pairs
        if pairs is not None and (barrier := pairs.barrier()) is not None:
            mean, sd, n = barrier
            sampled = self.sampled("seed_barrier", Moments(mean=mean, sd=sd, n=n))
            one = self.exact("seed_barrier", mean, kind="unreplicated")
            yield (sampled if n > 1 else one).model_copy(update={"censored": pairs.is_open()})
