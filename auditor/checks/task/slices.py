"""Where in the data a classifier is worst."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from auditor.artifacts.predictions import Predictions, predictions_of
from auditor.artifacts.slices import bars
from auditor.artifacts.traits import Traits, traits_of
from auditor.check import About, Check, Pillar
from auditor.errors import NotApplicable
from auditor.evidence import CountsPair, Evidence, Measurement, Metric, Moments
from auditor.needs import Need
from auditor.statistics import grouped_difference, halves
from auditor.subject import Subject

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from auditor.methods.slices import Family


class Slices(Check):
    """Where is it worst?

    Figure: accuracy by slice with intervals.
    """

    pillar: ClassVar[Pillar] = "task"
    about: ClassVar[About] = About(
        title="Slices",
        question="In which part of the data is the model worst, and how much worse than elsewhere?",
        formula="worst_slice_accuracy = hits / n of the slice on half B;  slice_gap = accuracy on the rest of half B - "
        "accuracy on the slice;  chosen on half A: the largest sqrt(n_s) (accuracy of all - accuracy of s)",
        method="The examples (or groups) are split in two halves at random, seeded. On half A one slice of each family "
        "is chosen: the one that is most surely weak (the largest score statistic). On half B it "
        "is tested. The families are the classes by label, the classes by prediction, each column that the data entry "
        "declares under `slices:`, and the nodes of a small decision tree that tells errors from hits by traits of "
        "the examples: the columns of a table; brightness, contrast, saturation, warmth, sharpness, entropy and centre "
        "brightness of a picture; length, rare and repeated words, digits, punctuation and capitals of a text.",
        reading="The name of a slice says which examples it holds. A gap whose interval lies above 0 is a real "
        "weakness: half B had no part in choosing the slice. The bars show all slices, judged or not.",
        limits="Only slices that these families can express are found, and only those with enough examples. A slice "
        "may be weak because its examples are hard or mislabelled, not because the model treats them badly. A class "
        "by label is weak in healthy models too, if it is rare or near to another.",
        citation="Chung et al., Slice Finder, ICDE 2019. Eyuboglu et al., Domino, ICLR 2022. Newcombe, Statistics in "
        "Medicine 17 (1998). Breiman et al., Classification and regression trees (1984).",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="worst_slice_accuracy", interval="wilson", resampling="example",
               doc="The accuracy on half B in the slice that half A shows to be the worst of its family.",
               what_to_try="Look at examples of that slice: are they mislabelled, rare in training, or spoilt by the "
               "preprocessing? Collect more like them."),
        Metric(name="slice_gap", better="down", interval="newcombe", resampling="example",
               doc="How much lower the accuracy is in that slice than in the rest of half B.",
               what_to_try="Weight or resample training towards that slice, or state it as out of scope."),
    )  # fmt: skip

    by: tuple[Literal["label", "prediction", "declared", "found"], ...] = Field(
        ("label", "prediction", "declared", "found"), min_length=1, description="The families of slices to look at."
    )
    smallest: int = Field(30, ge=5, description="Examples that a slice must hold in half A.")
    depth: int = Field(3, ge=1, le=6, description="Depth of the tree that finds slices.")
    rows: int | None = Field(None, ge=1, description="Rows of the evaluation data to use; null takes all.")

    def applies(self, subject: Subject) -> str | None:
        """Classifiers with labelled data."""
        return "slices need a data set" if subject.data is None else subject.is_no_labelled_classifier()

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """The predictions, and what each example is like."""
        return {"predictions": predictions_of(subject, self.rows), "traits": traits_of(subject, self.rows)}

    def measure(self, *, predictions: Predictions, traits: Traits, seed: int) -> Evidence:
        """The weakest slice of each family of half A, measured on half B."""
        import numpy as np

        from auditor.methods.slices import weakest

        groups, hit = predictions.groups, predictions.logits.argmax(axis=1) == predictions.labels
        first, second = halves(groups or np.arange(len(hit)), seed)
        families = self._families(predictions, traits, first, seed)
        tested = [groups[row] for row in second] if groups else []
        wanted = f"has {self.smallest} of the {len(first)} examples of half A, and some of half B"
        found: list[Measurement] = []
        missing: list[str] = []
        for kind, family in families.items():
            chosen = weakest(family, hit, first, self.smallest)
            if chosen and 0 < (inside := chosen[0].code[second] == chosen[1]).sum() < len(second):
                found.extend(self._tested(chosen[0].names[chosen[1]], hit[second], inside, tested))
            else:
                missing.append(f"No slice by {kind} {wanted}.")
        if not found:
            raise NotApplicable(f"no slice {wanted}")
        return Evidence(
            measurements=tuple(found),
            blocks=(bars(tuple(families.values()), second, hit, groups, self.smallest),),
            samples={"accuracy": tuple(hit[second].astype(float).tolist())},
            examples=tuple(predictions.examples[row] for row in second),
            notes=(*missing, *predictions.notes()),
        )

    def _families(self, given: Predictions, traits: Traits, first: "NDArray[Any]", seed: int) -> "dict[str, Family]":
        from auditor.methods.slices import by_class, by_tree, by_value

        said = given.logits.argmax(axis=1)
        found = {"label": by_class("label", given.labels, given.classes)} if "label" in self.by else {}
        if "prediction" in self.by:
            found["prediction"] = by_class("predicted", said, given.classes)
        if "declared" in self.by:
            found |= {name: (by_value(name, values),) for name, values in traits.declared.items()}
        if "found" in self.by and len(first):  # a single group fills no half
            size, hit = (self.smallest, self.depth), said == given.labels
            found["traits"] = by_tree(traits.values, traits.names, hit, first, *size, seed)
        return found

    def _tested(
        self, name: str, hit: "NDArray[Any]", inside: "NDArray[Any]", groups: list[str]
    ) -> tuple[Measurement, Measurement]:
        own = [group for group, within in zip(groups, inside, strict=True) if within] if groups else []
        accuracy = self.share("worst_slice_accuracy", hit[inside].tolist(), own, name)
        if groups:
            mean, sd, n = grouped_difference(hit, inside, groups)
            gap = self.sampled("slice_gap", Moments(mean=mean, sd=sd, n=n), of=name)
            return accuracy, gap.model_copy(update={"method": "t", "unit_of_resampling": "group"})
        rest = CountsPair(k1=hit[~inside].sum(), n1=(~inside).sum(), k2=hit[inside].sum(), n2=inside.sum())
        return accuracy, self.sampled("slice_gap", rest, of=name)
