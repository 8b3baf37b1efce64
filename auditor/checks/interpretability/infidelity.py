"""Whether the amounts in an explanation say how far the score falls."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from auditor.artifacts.faithful_figures import SHOWN, fill_table, shares
from auditor.artifacts.faithfulness import methods_for
from auditor.artifacts.infidelity import Infidelities, infidelity_of
from auditor.artifacts.method_names import MethodNames
from auditor.artifacts.targets import TargetName, refusal
from auditor.blocks import Lines
from auditor.check import About, Check, Pillar
from auditor.errors import NotApplicable
from auditor.evidence import Evidence, Measurement, Metric
from auditor.needs import Need
from auditor.subject import Subject


class Infidelity(Check):
    """Do the amounts in an explanation say how far the score falls when parts are taken away?

    Figure: histograms of the infidelity of each map and of the same map in other places.
    """

    pillar: ClassVar[Pillar] = "interpretability"
    about: ClassVar[About] = About(
        title="Infidelity",
        question="Do the amounts in an explanation say how far the score falls when parts are taken away?",
        formula="infidelity = 1 - (E[I.A dF])^2 / (E[(I.A)^2] E[dF^2]), 1 where E[I.A dF] < 0; I.A = the map summed "
        "over the parts taken away, dF = f(x) - f(x without them); infidelity_gain = infidelity(rolled map) - "
        "infidelity(map)",
        method="Random rectangles of a picture, runs of tokens or sets of columns are taken away, and the fall of the "
        "score is compared with the sum of the map over them, at the scale of the map that fits best. All methods are "
        "asked about the same removals. The null is the same map rolled by random shifts (columns: permuted), paired "
        "within the example. Two ways to fill what is taken away are tried, and the worse mean is measured.",
        reading="0 means that the map says every fall, 1 that it says none. Only the gain over the rolled map counts: "
        "a map that is positive everywhere earns credit without knowing anything, since larger removals hurt more. A "
        "gain above zero means that the amounts are in the right places.",
        limits="A map is read as what each part contributes, so maps that are sensitivities (saliency) are judged by "
        "what they are not. Parts that work together have falls that no sum can say, even of a perfect map. An input "
        "with holes is unlike the data that the model was trained on.",
        citation="Yeh, Hsieh, Suggala, Inouye and Ravikumar, On the (in)fidelity and "
        "sensitivity of explanations, NeurIPS 2019.",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="infidelity_gain", interval="t", resampling="example",
               doc="Infidelity of the same map in the wrong places less that of the map, the mean over the examples.",
               what_to_try="Use a method whose values add up to the score (integrated gradients, SHAP, occlusion), or "
               "read this one as an order of places and not as amounts."),
        Metric(name="infidelity", better="down", thresholdable=False, interval="t", resampling="example",
               doc="The share of the falls' mean square that the map does not say: 0 all is said, 1 nothing."),
    )  # fmt: skip

    methods: MethodNames = Field((), description="Attribution methods; empty takes some that suit the modality.")
    rows: int = Field(32, ge=1, description="Test the maps of the first rows of the evaluation data.")
    draws: int = Field(64, ge=8, description="Random removals of each example.")
    nulls: int = Field(16, ge=8, description="Rolled copies of each map.")
    grid: int = Field(16, ge=2, le=64, description="Cells along a picture's side.")
    target: TargetName = "predicted"

    def applies(self, subject: Subject) -> str | None:
        """Models that have the target, with data, of any modality."""
        return refusal(subject, "infidelity", self.target)

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """What the maps say of the falls."""
        methods, settings = self.methods or methods_for(subject), self.model_dump(include={"draws", "nulls", "grid"})
        return {"found": infidelity_of(subject, methods, self.rows, self.target, **settings)}

    def measure(self, *, found: Infidelities) -> Evidence:
        """The gain and the infidelity under the worse fill, and how they are distributed."""
        from auditor.methods.trust.gains import worse

        kept = found.moved.nonzero()[0]
        if len(kept) < 2:
            raise NotApplicable("no removal changes the score of these examples, or they have a single part each")
        groups = tuple(found.explained.groups[row] for row in kept) if found.explained.groups else ()
        own, rolled = found.map[..., kept], found.rolled[..., kept]
        measured: list[Measurement] = []
        samples: dict[str, tuple[float, ...]] = {}
        drawn: list[Lines] = []
        for at, method in enumerate(found.methods):
            of, fill = method if len(found.methods) > 1 else "", worse(rolled[at] - own[at])
            for name, values in (("infidelity_gain", rolled - own), ("infidelity", own)):
                one = values[at, fill].tolist()
                measured.append(self.over_examples(name, one, groups, of))
                samples[f"{name}[{of}]" if of else name] = tuple(one)
            drawn.append(shares(own[at, fill], rolled[at, fill], method))
        columns = {"infidelity_gain": rolled - own, "infidelity": own}
        return Evidence(
            measurements=tuple(measured),
            blocks=(*drawn[:SHOWN], fill_table(found.methods, found.fills, columns)),
            samples=samples,
            examples=tuple(found.explained.examples[row] for row in kept),
            notes=found.notes(),
        )  # fmt: skip
