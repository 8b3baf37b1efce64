"""What a classifier can promise: sets that hold the truth, and answers that it may refuse."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from auditor.artifacts.confidence import risk_curve, sizes_of_sets
from auditor.artifacts.predictions import Others, Predictions, others_of, predictions_of
from auditor.check import About, Check, Pillar
from auditor.errors import NotApplicable
from auditor.evidence import Evidence, Measurement, Metric, Quantiles
from auditor.needs import Need
from auditor.statistics import halves
from auditor.subject import Subject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Uncertainty(Check):
    """What can it promise?

    Figure: the risk-coverage curve, and the sizes of the sets.
    """

    pillar: ClassVar[Pillar] = "task"
    about: ClassVar[About] = About(
        title="Uncertainty",
        question="Can the model say how far it can be trusted: by sets that hold the truth as often as promised, by "
        "refusing what it does not know, by being less sure of strange inputs?",
        formula="s = 1 - p[label];  q = the ceil((n_A + 1) level)-th smallest s of half A;  set(x) = {k: 1 - p_k <= "
        "q};  coverage = share of half B whose set holds the label;  selective_risk = error rate on half B where the "
        "confidence is at least what the surest share `answered` of half A has;  ood_auroc = P(confidence on the data "
        "> confidence on `ood`), ties counting half",
        method="The examples (or groups) are split in two halves at random, seeded. Half A sets the thresholds, half "
        "B tests them. The sets are split conformal (LAC: the smallest on average), so their coverage is promised "
        "for any model as long as new data are like these. Confidence is the largest softmax probability, compared "
        "as log odds, where rounding does not make sure answers equal.",
        reading="Coverage should be near `level`; if it is below, the halves differ, for instance because groups do. "
        "What the promise costs is the size of the sets; a mean below 1 says that some are empty, where the model is "
        "right more often than `level` asks. The risk should fall well below the overall error rate when the least "
        "sure examples are refused. An ood_auroc of 0.5 cannot tell strange inputs from its own.",
        limits="The promise holds on average, not for each class or group, and ends when the data change. With few "
        "examples in half A the threshold itself is uncertain: coverage then varies from split to split by about "
        "sqrt(level (1 - level) / n_A). ood_auroc speaks of the one strange data set that was given. Where only few "
        "groups exist on one side its interval is rough; n is the smaller side.",
        citation="Vovk, Gammerman and Shafer (2005). Sadinle, Lei and Wasserman, JASA 114 (2019). Geifman and "
        "El-Yaniv, NeurIPS 2017. Hendrycks and Gimpel, ICLR 2017.",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="coverage", interval="wilson", resampling="example",
               doc="The share of half B whose conformal set, set up on half A, holds the label.",
               what_to_try="Look for groups or times in which the data differ, and set up the sets on data like "
               "those in use."),
        Metric(name="set_size", unit="classes", better="down", thresholdable=False, interval="t",
               resampling="example", doc="The mean number of classes in a set: what the coverage costs."),
        Metric(name="selective_risk", better="down", interval="wilson", resampling="example",
               doc="The error rate on half B among the examples that are answered at the threshold set on half A.",
               what_to_try="If it is no lower than the overall error, confidence does not know what is hard: look at "
               "the confident errors, and calibrate or train with harder examples."),
        Metric(name="ood_auroc", interval="bootstrap", resampling="example",
               doc="The chance that an example of the data gets a higher confidence than one of the `ood` data; "
               "measured if `ood` names a data set.",
               what_to_try="Use a score made for it (energy, distance in feature space), or train with outliers."),
    )  # fmt: skip

    level: float = Field(0.9, gt=0, lt=1, description="The coverage that the conformal sets promise.")
    answered: float = Field(0.8, gt=0, le=1, description="The share of examples that is answered; the rest is refused.")
    rows: int | None = Field(None, ge=1, description="Rows of each data set to use; null takes all.")
    ood: str | None = Field(
        None, json_schema_extra={"data": True}, description="A data set of inputs that the model should not be sure of."
    )

    def applies(self, subject: Subject) -> str | None:
        """Classifiers with labelled data."""
        return "uncertainty needs a data set" if subject.data is None else subject.is_no_labelled_classifier()

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """The predictions, and those on the `ood` data where it is given."""
        others = others_of(subject, ("ood",), self.rows)
        return {"predictions": predictions_of(subject, self.rows), "others": others}

    def measure(self, *, predictions: Predictions, others: Others, seed: int) -> Evidence:
        """Coverage and size of conformal sets, the risk when refusing, and the detection of strange inputs."""
        import numpy as np

        from auditor.methods.conformal import accepting, certainty, conformal_quantile, nonconformity, set_sizes

        first, second = halves((groups := predictions.groups) or np.arange(len(predictions.labels)), seed)
        if not len(first):
            raise NotApplicable("one example (or group) alone cannot be split into two halves")
        tested = [groups[row] for row in second] if groups else []
        scores, certain = nonconformity(predictions.logits, predictions.labels), certainty(predictions.logits)
        hit = predictions.logits.argmax(axis=1) == predictions.labels
        quantile, threshold = conformal_quantile(scores[first], self.level), accepting(certain[first], self.answered)
        covered, sizes = scores[second] <= quantile, set_sizes(predictions.logits[second], quantile)
        kept = second[certain[second] >= threshold]
        found = [self.over_examples("set_size", sizes.astype(float).tolist(), tested)]
        notes = [f"Half A sets the thresholds with {len(first)} rows; of {len(second)} in B {len(kept)} are answered."]
        if np.isfinite(quantile):
            found.append(self.share("coverage", covered.tolist(), tested))
        else:
            notes.append(f"coverage was not measured: half A is too small for level {self.level:g}.")
        if len(kept):
            inside = [groups[row] for row in kept] if groups else []
            found.append(self.share("selective_risk", (~hit[kept]).tolist(), inside))
        if "ood" in others.found:
            found.append(self._strangers(certain, groups, others.found["ood"], seed))
            notes.extend(others.found["ood"].remarks)
        return Evidence(
            measurements=tuple(found),
            blocks=(risk_curve(certain, hit, self.answered), sizes_of_sets(sizes)),
            samples={"coverage": tuple(covered.astype(float).tolist()), "set_size": tuple(map(float, sizes))},
            examples=tuple(predictions.examples[row] for row in second),
            notes=(*notes, *predictions.notes()),
        )

    def _strangers(
        self, certain: "NDArray[np.float64]", groups: tuple[str, ...], ood: Predictions, seed: int
    ) -> Measurement:
        from auditor.methods.conformal import certainty, told_apart

        value, drawn, n = told_apart(certain, certainty(ood.logits), groups, ood.groups, seed)
        found = self.replicated("ood_auroc", value, Quantiles(values=drawn), n)
        return found.model_copy(update={"unit_of_resampling": "group"}) if groups or ood.groups else found
