"""Whether an explanation changes when the network forgets what it learned."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from auditor.artifacts.method_names import MethodNames
from auditor.artifacts.predictions import classes_of
from auditor.artifacts.randomization import Randomized, RandomizedNeed
from auditor.artifacts.randomized import curves, flattened, table
from auditor.artifacts.roots import sweep_of
from auditor.artifacts.targets import TargetName, refusal
from auditor.check import About, Check, Pillar
from auditor.evidence import Evidence, Measurement, Metric
from auditor.needs import Need
from auditor.subject import Subject


def _metric(name: str, doc: str, what_to_try: str = "", thresholdable: bool = True) -> Metric:
    return Metric(name=name, better="down", interval="t", resampling="example", doc=doc, what_to_try=what_to_try,
                  thresholdable=thresholdable)  # fmt: skip


class Randomization(Check):
    """Does the explanation change when the network forgets what it learned?

    Figure: similarity of the maps against the share of random layers, and a table of the ends.
    """

    pillar: ClassVar[Pillar] = "interpretability"
    about: ClassVar[About] = About(
        title="Randomization",
        question="Does the map change when the network loses what it learned?",
        formula="insensitive_share = share of the layers, from the top, that become random before "
        "Spearman(A(x; model), A(x; randomized)) falls below .5",
        method="The layers of a copy of the network are made random, from the output to the input (weights drawn anew "
        "with each tensor's own spread, norms and biases shuffled), and the maps of the same inputs and targets are "
        "made again at some stages: after the top layer, after tenths, at last after all of them. Maps are compared "
        "by signed rank correlation at their native resolution. BatchNorm statistics are measured anew on each copy. "
        "A second line shows each stage's layers random alone. Randomized maps without any order count as changed.",
        reading="A curve that falls at once belongs to a map that shows what the network learned. A curve that stays "
        "high belongs to one that shows the picture, as an edge detector would.",
        limits="Where a method fails shows in the cascade, not at its end: fully randomized, nearly all maps differ. "
        "Smooth, coarse maps correlate by chance, so look at the correlation of two randomized networks too. Passing "
        "does not mean that the map is right.",
        citation="Adebayo et al., Sanity checks for saliency maps, NeurIPS 2018.",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        _metric("insensitive_share", "The share of the cascade that is passed before an example's correlation falls "
                "below one half, averaged over examples.",
                "Do not use this method to judge what the model learned: its maps hardly depend on it."),
        _metric("similarity_top", "Rank correlation of the maps when the top fifth of the layers is random.",
                "Do not use this method to judge what the last layers decide."),
        _metric("similarity", "Rank correlation of the maps when all layers are random, and between two such networks.",
                thresholdable=False),
        _metric("similarity_to_edges", "Rank correlation of the trained network's maps with the picture's edges.",
                thresholdable=False),
    )  # fmt: skip

    methods: MethodNames = Field(
        (), max_length=6, description="Methods to test; default: saliency, and grad_cam or input_x_gradient."
    )
    rows: int = Field(32, ge=1, description="Explain the first rows of the evaluation data.")
    target: TargetName = "predicted"

    def applies(self, subject: Subject) -> str | None:
        """Models that have the target, with data."""
        return refusal(subject, "randomization", self.target)

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """The correlations at all stages."""
        usual = ("saliency", "grad_cam" if subject.model.modality == "image" else "input_x_gradient")
        sweep, classes = sweep_of(subject, self.target), classes_of(subject, self.target)
        return {"found": RandomizedNeed(sweep, self.rows, self.methods or usual, classes, subject.runtime.seed)}

    def measure(self, *, found: Randomized) -> Evidence:
        """Each method's correlation along the cascade."""
        explained, empty = found.explained, [bool(row.all()) for row in found.empty]
        methods = [place for place, name in enumerate(found.methods) if not empty[place]]
        kept = [row for row in range(found.empty.shape[1]) if not found.empty[methods, row].any()]
        notes = [f"{name}: every map is the same everywhere; nothing can be compared."
                 for name, none in zip(found.methods, empty, strict=True) if none]  # fmt: skip
        lost = found.empty.shape[1] - len(kept)
        notes += [f"{lost} examples have a map without any order and were left out."] * bool(lost and methods)
        measured: list[Measurement] = []
        samples: dict[str, tuple[float, ...]] = {}
        groups = [explained.groups[row] for row in kept] if explained.groups else ()
        for place in methods if kept else ():
            columns = found.columns(place, kept)
            measured += [self.over_examples(name, values, groups, of) for (name, of), values in columns.items()]
            for name in ("insensitive_share", "similarity_top"):
                samples[f"{name}[{found.methods[place]}]"] = columns[name, found.methods[place]]
        notes += flattened(found, methods)
        shown = (curves(found, methods, kept, groups), table(found, methods, kept)) if measured else ()
        return Evidence(
            measurements=tuple(measured), blocks=shown, samples=samples,
            examples=tuple(explained.examples[row] for row in kept) if samples else (),
            notes=(*notes, *explained.notes()),
        )  # fmt: skip
