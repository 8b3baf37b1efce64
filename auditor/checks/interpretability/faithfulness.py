"""Whether the score follows what an explanation points at."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from auditor.artifacts.faithful_figures import curve_blocks, fill_table, ranking
from auditor.artifacts.faithfulness import Faithfulness as Found
from auditor.artifacts.faithfulness import ScaleName, faithfulness_of, has_probability, methods_for
from auditor.artifacts.method_names import MethodNames
from auditor.artifacts.targets import TargetName, refusal
from auditor.check import About, Check, Pillar
from auditor.errors import NotApplicable
from auditor.evidence import Evidence, Measurement, Metric
from auditor.needs import Need
from auditor.subject import Modality, Subject

GROUPS: dict[Modality, int] = {"image": 6, "text": 8, "tabular": 30}
TRY = "Use the method that ranks first, or one of another kind (occlusion, integrated gradients); do not show this one."


def _metric(name: str, doc: str, better: Any = "up") -> Metric:
    return Metric(name=name, better=better, interval="t", resampling="example", doc=doc, what_to_try=TRY)


class Faithfulness(Check):
    """Does the score follow the places that an explanation marks?

    Figure: curves of the score while parts are taken away and put back, beside those of the same map in other
    places, with bands; with several methods, which to use.
    """

    pillar: ClassVar[Pillar] = "interpretability"
    about: ClassVar[About] = About(
        title="Faithfulness",
        question="Do the places that an explanation marks carry the score, more than other places of the same shape?",
        formula="y_k = (f(x_k) - f(x_ref)) / |f(x) - f(x_ref)|; deletion_gain = AUC(rolled map) - AUC(map), "
        "insertion_gain = AUC(map) - AUC(rolled map); naopc = (AOPC - lowest) / (highest - lowest) over all orders",
        method="Each input loses its parts (cells of a picture, tokens, columns) in the order of its map, or gets them "
        "back in that order, and the score is followed. The null is the same map rolled by random shifts (columns: "
        "permuted), which keeps its shape: at least eight shifts an example, spread over the points of the curve. "
        "Every difference is paired within the example. Two ways to fill what is taken away are tried, and the worse "
        "mean is measured. Examples whose score moves by less than a tenth of its standard deviation when all is "
        "removed are left out and counted. naopc needs no null: it compares with the worst and the best of all orders "
        "of a few groups of parts, found exactly for up to ten groups and by beam search (naopc_beam) above. For "
        "texts, comprehensiveness and sufficiency are those of the ERASER benchmark, in probability, at 1, 5, 10, 20 "
        "and 50 % of the tokens. With several methods the best is chosen on one half of the examples and its lead "
        "tested on the other.",
        reading="A gain above zero means that the marked places matter more than places that look alike elsewhere; at "
        "zero the map is no better than itself in the wrong place. naopc is 1 for the best order that there is, 0 for "
        "the worst, and about .5 for a random one. Curves against random scattered parts are shown and never judged: "
        "scattered holes destroy more than coherent ones, wherever they are, and so even a good map looks bad.",
        limits="An input with holes is unlike the data that the model was trained on; two fill-ins guard against this "
        "and do not remove it. The test speaks about the score, not about causes, and about the mean over these "
        "examples: a faithful method may fail on one of them.",
        citation="Samek et al., Evaluating the visualization of what a deep neural network has learned, 2017. Petsiuk, "
        "Das and Saenko, RISE, BMVC 2018. DeYoung et al., ERASER, ACL 2020. Edin et al., Normalized AOPC, ACL 2025.",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        _metric("deletion_gain", "Area by which the score falls sooner than in the rolled map's order."),
        _metric("insertion_gain", "Area by which the score comes back sooner than in the rolled map's order."),
        _metric("naopc", "Normalized AOPC over up to ten groups: 0 the worst of all orders, 1 the best."),
        _metric("naopc_beam", "Normalized AOPC over more than ten groups, the extremes found by beam search."),
        _metric("comprehensiveness", "Texts: mean fall of the probability without the foremost tokens."),
        _metric("sufficiency", "Texts: mean fall of the probability when only the foremost tokens stay.", "down"),
    )  # fmt: skip

    methods: MethodNames = Field((), description="Attribution methods; empty takes some that suit the modality.")
    rows: int = Field(32, ge=1, description="Test the maps of the first rows of the evaluation data.")
    steps: int = Field(16, ge=4, le=64, description="Points of the curve.")
    nulls: int = Field(8, ge=8, description="At least so many rolled copies of each map.")
    grid: int = Field(16, ge=2, le=64, description="Cells along a picture's side.")
    groups: int | None = Field(
        None, ge=2, le=64, description="Groups for naopc; null: 6 pictures, 8 texts, 30 columns."
    )
    scale: ScaleName = Field("logit", description="logit: normalized curves; probability: percentage points.")
    target: TargetName = "predicted"

    def applies(self, subject: Subject) -> str | None:
        """Models that have the target, with data, of any modality."""
        if self.scale == "probability" and not has_probability(subject, self.target):
            return f"the target {self.target!r} has no probability: use scale: logit"
        return refusal(subject, "faithfulness", self.target)

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """The scores of partly removed inputs."""
        modality = subject.model.modality
        methods, groups = self.methods or methods_for(subject), self.groups or GROUPS[modality]
        settings = {"points": self.steps, "nulls": self.nulls, "grid": self.grid, "groups": groups, "scale": self.scale}
        return {"found": faithfulness_of(subject, methods, self.rows, self.target, **settings)}

    def measure(self, *, found: Found, seed: int) -> Evidence:
        """Gains under the worse fill, the curves, and which method to use."""
        from auditor.methods.trust.gains import worse
        from auditor.methods.trust.ranking import choice

        kept = found.judged()
        if kept.sum() < 2:
            raise NotApplicable("taking every part away hardly moves the score of any of these examples")
        groups = tuple(found.explained.groups[row] for row in kept.nonzero()[0]) if found.explained.groups else ()
        columns = found.columns(kept, normalized=self.scale == "logit")
        measured: list[Measurement] = []
        samples: dict[str, tuple[float, ...]] = {}
        for name, values in columns.items():
            better = 1 if self.metric(name).better == "up" else -1
            for at, method in enumerate(found.methods):
                of = method if len(found.methods) > 1 else ""
                one = values[at, worse(values[at], better)].tolist()
                measured.append(self.over_examples(name, one, groups, of))
                samples[f"{name}[{of}]" if of else name] = tuple(one)
        gains = (columns["deletion_gain"] + columns["insertion_gain"]).mean(axis=1) / 2
        curves = curve_blocks(found, columns, kept, groups, normalized=self.scale == "logit")
        out = f"{(~kept).sum()} of {len(kept)} examples are left out: removing all of them hardly moves their score."
        return Evidence(
            measurements=tuple(measured),
            blocks=(
                *ranking(found.methods, choice(gains, groups, seed)),
                *curves,
                fill_table(found.methods, found.fills, columns),
            ),
            samples=samples,
            examples=tuple(found.explained.examples[row] for row in kept.nonzero()[0]),
            notes=((out,) if not kept.all() else ()) + found.notes(),
        )
