"""Whether a simple linear model stands for the network around each example."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from auditor.artifacts.asking import asking
from auditor.artifacts.drawn_maps import Wording, drawn
from auditor.artifacts.local_linear import RADII, Coalesced, CoalescedNeed, Tangents, TangentsNeed
from auditor.artifacts.targets import TargetName, refusal
from auditor.blocks import AnyBlock, Line, Lines
from auditor.check import About, Check, Pillar
from auditor.evidence import Evidence, Measurement, Metric
from auditor.needs import Need
from auditor.statistics import grouped, moments, t_interval
from auditor.subject import Subject

if TYPE_CHECKING:
    from numpy.typing import NDArray
WORDING = Wording(
    title="What the surrogate says", label="LIME", value="mean coefficient", signed=True,
    pixels="Bright cells raise the score while they are kept. What lowers it is not coloured.",
    tokens="One colour marks tokens that raise the score while they are kept, the other those that lower it.",
)  # fmt: skip


def _metric(name: str, doc: str, what_to_try: str) -> Metric:
    return Metric(name=name, interval="t", resampling="example", doc=doc, what_to_try=what_to_try)


class LocalLinear(Check):
    """Does a simple linear model stand for the network around each example?

    Figure: the coefficients as maps; of tangents, R2 against the size of the step.
    """

    pillar: ClassVar[Pillar] = "interpretability"
    about: ClassVar[About] = About(
        title="Local linear surrogate",
        question="Can the network be stood for by a linear model around each example?",
        formula="coalitions: argmin_a sum_z w(z) (f(x_z) - b - a . z)^2 + penalty norm(a)^2 over kept parts z, "
        "w = exp(-(1 - sqrt(share kept))^2 / .25^2); fidelity_r2 on coalitions it has not seen. "
        "tangent: g(x) = f(x0) + grad f(x0) . (x - x0)",
        method="`kind: coalitions` (LIME): parts of the input (cells of a grid, tokens, columns) are kept or removed "
        "at random, and a weighted ridge predicts the target's score from what is kept. Its fidelity is the weighted "
        "R2 on fresh coalitions; a second fit on other coalitions tells how far its coefficients are chance. `kind: "
        "tangent`: the gradient predicts the score of small random steps; its radius is the largest step, in standard "
        "deviations of the example's own values (rows: of each column), up to "
        "which it explains nine tenths of the variance.",
        reading="A fidelity near 1 means that the coefficients may be read as what the model does nearby; near 0 or "
        "below, they describe something else. Fits that disagree are noise, however faithful each is.",
        limits="Removed parts are unlike the training data. A linear model cannot say that two parts matter only "
        "together: then the fidelity falls. Photographs on a grid of 7 x 7 commonly give .35 to .85.",
        citation="Ribeiro, Singh and Guestrin, 'Why should I trust you?', KDD 2016.",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        _metric("fidelity_r2", "Weighted R2 of the surrogate on fresh coalitions, averaged over examples; it can be "
                "negative.", "Use more coalitions or larger parts, or a method that needs no linear surrogate."),
        _metric("seed_agreement", "Signed rank correlation of the coefficients of two independent fits.",
                "Use more coalitions or fewer parts until two fits agree."),
        _metric("radius_90", "Largest step up to which the tangent's R2 is at least .9 (kind tangent).",
                "Average gradients over a neighbourhood (SmoothGrad) or along a path (integrated gradients)."),
    )  # fmt: skip

    kind: Literal["coalitions", "tangent"] = Field("coalitions", description="Which linear model is asked about.")
    coalitions: int = Field(300, ge=20, le=20_000, description="Random coalitions of each of the two fits.")
    fresh: int = Field(200, ge=200, le=20_000, description="Coalitions that measure the fidelity.")
    grid: int = Field(7, ge=2, le=32, description="Cells of a picture's grid, each way.")
    penalty: float = Field(1.0, ge=0, description="Weight of the ridge's penalty.")
    draws: int = Field(40, ge=10, le=1000, description="Steps of each size (kind tangent).")
    rows: int = Field(32, ge=1, description="Explain the first rows of the evaluation data.")
    target: TargetName = "predicted"

    def applies(self, subject: Subject) -> str | None:
        """Models that have the target, with data, of any modality."""
        return refusal(subject, "a local surrogate", self.target)

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """The fits, or the tangents."""
        if self.kind == "tangent":
            return {"found": asking(TangentsNeed, subject, self.rows, self.target, "saliency", {}, draws=self.draws)}
        own = {"coalitions": self.coalitions, "fresh": self.fresh, "grid": self.grid, "penalty": self.penalty}
        return {"found": asking(CoalescedNeed, subject, self.rows, self.target, "lime", {}, **own)}

    def measure(self, *, found: Coalesced | Tangents) -> Evidence:
        """Fidelity and agreement of the fits, or the reach of the tangents."""
        block: AnyBlock
        if isinstance(found, Tangents):
            explained, columns, block = found.explained, {"radius_90": found.radius}, _reach(found)
        else:
            explained, columns = found.maps.explained, {"fidelity_r2": found.r2, "seed_agreement": found.agreement}
            block = drawn(found.maps, WORDING)
        parts = [self._averaged(name, column, explained.groups) for name, column in columns.items()]
        notes = found.explained.notes() if isinstance(found, Tangents) else found.maps.notes()
        whole = {name: column for name, column in columns.items() if not (column != column).any()}
        return Evidence(
            measurements=tuple(one for one, _ in parts if one is not None), blocks=(block,),
            samples={name: tuple(column.tolist()) for name, column in whole.items()},
            examples=explained.examples if whole else (),
            notes=(*(note for _, lost in parts for note in lost), *notes),
        )  # fmt: skip

    def _averaged(
        self, name: str, column: "NDArray[Any]", groups: Sequence[str]
    ) -> tuple[Measurement | None, tuple[str, ...]]:
        """The mean over the examples where it is defined, and a note on the others."""
        kept = [row for row, value in enumerate(column.tolist()) if value == value]
        lost = len(column) - len(kept)
        said = (f"{name}: {lost} of {len(column)} examples, whose score or map does not vary, were left out.",)
        if not kept:
            return None, said
        inside = [groups[row] for row in kept] if groups else ()
        return self.over_examples(name, column[kept].tolist(), inside), said * bool(lost)


def _reach(found: Tangents) -> Lines:
    kept = [place for place, row in enumerate(found.r2.tolist()) if all(value == value for value in row)]
    groups = [found.explained.groups[place] for place in kept] if found.explained.groups else ()
    columns = [found.r2[kept, place].tolist() for place in range(len(RADII))] if kept else []
    stages = [grouped(column, groups) if groups else moments(column) for column in columns]
    several = bool(stages) and stages[0][2] > 1
    low, high = zip(*(t_interval(*stage, 0.95) for stage in stages), strict=True) if several else ((), ())
    y = tuple(mean for mean, _, _ in stages)
    return Lines(
        title="How far the tangent reaches", x_label="size of the step (standard deviations)", y_label="R2", x_log=True,
        reading="Share of the score's variance that the gradient explains, by the size of random steps; 1 is perfect.",
        lines=(Line(label="tangent", x=RADII if kept else (), y=y, low=low, high=high),),
    )  # fmt: skip
