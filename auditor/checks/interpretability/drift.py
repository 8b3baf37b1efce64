"""What fine-tuning, or any other change of the model, did to its reasons and its representation."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import Field

from auditor.artifacts.drift import Drifts, beside, drifts_of
from auditor.artifacts.drift_columns import of_blocks, of_maps, samples
from auditor.artifacts.drift_pairs import Pairs, PairsNeed
from auditor.artifacts.drifted import shown
from auditor.artifacts.method_names import MethodNames
from auditor.artifacts.representations import Alike, alike_of
from auditor.artifacts.targets import TargetName, refusal
from auditor.check import About, Check, Pillar
from auditor.evidence import Evidence, Measurement, Metric
from auditor.needs import Need
from auditor.subject import Subject


def _metric(name: str, doc: str, try_: str = "", better: Any = "up", unit: Any = "t") -> Metric:
    """A metric over examples; one without advice is descriptive."""
    return Metric(name=name, better=better, interval=unit, resampling="example", doc=doc, what_to_try=try_,
                  thresholdable=bool(try_))  # fmt: skip


FREEZE = "Freeze early layers, lower the learning rate or train for fewer steps, and look at the maps side by side."


class Drift(Check):
    """Did the reasons and the representation change, where the answer did not?

    Figure: maps of the same examples before and after, and CKA by layer.
    """

    pillar: ClassVar[Pillar] = "interpretability"
    about: ClassVar[About] = About(
        title="Drift of explanations",
        question="Does the model, after fine-tuning, give the same answers for the same reasons as before?",
        formula="map_iou = |T and T'| / |T or T'| of the foremost places of both models' maps;  rank_correlation = "
        "Spearman(A, A'), signed;  CKA = HSIC(X, X') / sqrt(HSIC(X, X) HSIC(X', X')), debiased;  loss = floor - value",
        method="The same examples are explained in the audited model and in the one named by `against` (of a "
        "fine-tune: what it started from), by at least two methods. Examples whose prediction stayed (kept) and those "
        "where it changed (flipped) are told apart; kept ones are judged. The floor is the audited model itself under "
        "Gaussian noise of 1% of the standard deviation of each example's values (rows: of each column): no change "
        "of the model can be seen "
        "below what that does. Losses are paired with it, example by example. CKA compares blocks, averaged over "
        "places or tokens, on at least 256 examples; its interval is the jackknife's. Models with different heads "
        "each explain their own prediction.",
        reading="A value at its floor is no drift. Kept answers with maps far below the floor are the same answers "
        "for other reasons: look at the maps before trusting old validation. Late blocks move first in fine-tuning; "
        "early ones that moved say that much was relearned.",
        limits="Noise is the smallest floor: retraining from another seed would move maps too, and this version has "
        "no second seed of a model to compare with. Maps that agree may both be wrong: ask faithfulness. Special "
        "tokens count as places. CKA sees what varies most, and can miss what matters little in variance.",
        citation="Kornblith et al., Similarity of neural network representations revisited, ICML 2019. Song et al., "
        "Journal of Machine Learning Research 13 (2012). Efron and Stein, Annals of Statistics 9 (1981).",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        _metric("map_iou", "Overlap of the foremost places of both maps, where the prediction stayed.", FREEZE),
        _metric("map_iou_loss", "How much less than under noise alone, paired.", FREEZE, "down"),
        _metric("map_iou_floor", "The same overlap, of the model with itself under noise."),
        _metric("map_iou_flipped", "The overlap where the prediction changed."),
        _metric("rank_correlation", "Signed rank correlation of both maps, where the prediction stayed.", FREEZE),
        _metric("rank_correlation_loss", "How much less than under noise alone, paired.", FREEZE, "down"),
        _metric("rank_correlation_floor", "The same correlation, of the model with itself under noise."),
        _metric("rank_correlation_flipped", "The correlation where the prediction changed."),
        _metric("cka", "Debiased linear CKA of a block in both models: 1 alike, 0 unrelated.", FREEZE),
        _metric("cka_floor", "The same, of the model with itself under noise."),
        _metric("flipped_share", "The share of all examples whose prediction changed.",
                "Read which classes the flipped examples left, and compare both models' accuracy.", "down", "wilson"),
    )  # fmt: skip

    methods: MethodNames = Field(
        (), description="Two or more; default: saliency, and grad_cam for pictures or input_x_gradient."
    )
    rows: int = Field(64, ge=1, description="Explain the first rows of the evaluation data.")
    top: float = Field(0.2, gt=0, lt=1, description="The share of places that are the foremost.")
    noise: float = Field(0.01, gt=0, le=1, description="Of the floor, in standard deviations of an example's values.")
    layers: tuple[str, ...] = Field((), description="Globs over layer names for CKA; default: up to 8 blocks.")
    layer_rows: int = Field(512, ge=1, description="Rows for CKA; below 256 it is not measured.")
    target: TargetName = "predicted"

    def applies(self, subject: Subject) -> str | None:
        """Models with data and another model of the same modality that has the target too."""
        if not subject.against:
            return "there is no other model: name one, `against: MODEL`"
        if len(self.methods) == 1:
            return f"one method cannot tell drift of the model from its own: name another beside {self.methods[0]!r}"
        for other in subject.against:
            if other.modality != subject.model.modality:
                return f"{other.name} takes {other.modality} inputs, and {subject.model.name} {subject.model.modality}"
        models = (subject, *(beside(subject, other) for other in subject.against))
        return next((reason for each in models if (reason := refusal(each, "drift", self.target))), None)

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """For each other model the drift of maps and predictions, and of blocks."""
        second = "grad_cam" if subject.model.modality == "image" else "input_x_gradient"
        methods = self.methods or ("saliency", second)
        drifts, alike = [], []
        for other in subject.against:
            drifts.append(drifts_of(subject, other, methods, self.rows, self.target, self.top, self.noise))
            alike.append(alike_of(subject, beside(subject, other), self.layer_rows, self.layers, self.noise))
        return {"pairs": PairsNeed(tuple(drifts), tuple(alike))}

    def measure(self, *, pairs: Pairs) -> Evidence:
        """Maps, blocks and predictions of each pair of models, each with its floor."""
        blocks = [block for drifts, alike, _ in pairs.each() for block in shown(drifts, alike)]
        return Evidence(
            measurements=tuple(found for pair in pairs.each() for found in self._pair(*pair)),
            blocks=tuple(block for block in blocks if block is not None),
            samples=samples(pairs.drifts[0]),
            examples=pairs.drifts[0].examples,
            notes=pairs.notes(),
        )

    def _pair(self, drifts: Drifts, alike: Alike, suffix: str) -> Iterator[Measurement]:
        for column in (*of_maps(drifts, suffix), *of_blocks(alike, suffix)):
            yield self.over_examples(column.name, column.values, column.groups, column.of)
        if len(drifts.flipped):
            yield self.share("flipped_share", drifts.flipped.tolist(), drifts.groups, suffix.removeprefix(", "))
