"""Whether a classifier's probabilities mean what they say."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from auditor.artifacts.confidence import histogram, reliability
from auditor.artifacts.predictions import Predictions, predictions_of
from auditor.check import About, Check, Pillar
from auditor.evidence import Evidence, Measurement, Metric, Quantiles
from auditor.needs import Need
from auditor.subject import Subject


class Calibration(Check):
    """Do its confidences mean what they say?

    Figure: the reliability diagram with a band, and how sure the model is.
    """

    pillar: ClassVar[Pillar] = "task"
    about: ClassVar[About] = About(
        title="Calibration",
        question="When the model says 80%, is it right in 80% of the cases?",
        formula="ece = sum_b abs(sum_{i in b} (hit_i - confidence_i)) / n over bins of equal mass;  ece_excess = ece - "
        "its mean under labels drawn from the model's own probabilities;  brier = mean_i sum_k (p_ik - [k = "
        "label_i])^2;  calibration_slope = b, by maximum likelihood, of logit P(y = 1) = a + b (z_1 - z_0) for two "
        "classes, of P(y = k) = softmax(b z)_k for more",
        method="Confidence is the largest softmax probability. Examples are sorted by it into bins of equally many, "
        "and in each bin confidence is compared with accuracy. Chance alone makes this error positive (a perfectly "
        "calibrated model measures 0.032 with 256 examples and 15 bins), so what is judged is the excess over its "
        "mean in simulated labels. Its interval is a bootstrap around gaps shrunk by their own sampling variance, "
        "moved back to the estimate: simulated on calibrated models it held 0 in 96 to 98% of runs at a "
        "confidence of 95%. The slope has the interval of its sandwich variance.",
        reading="An excess near 0 and a slope near 1 are calibrated. A slope below 1 says that the model is too sure: "
        "its logits should be multiplied by that number. A slope above 1 says that it is not sure enough.",
        limits="Only the confidence of the predicted class is tested, and only on average over bins: errors that "
        "cancel inside a bin are not seen. With few errors in the data the slope is known badly. Where "
        "examples come in groups whose errors go together, even a calibrated model shows some excess. For more than "
        "two classes the slope has no class intercepts.",
        citation="Guo et al., On calibration of modern neural networks, ICML 2017. Brier, Monthly Weather Review 78 "
        "(1950). Cox, Biometrika 45 (1958). Van Calster et al., BMC Medicine 17 (2019). Brocker and Smith, Weather "
        "and Forecasting 22 (2007), on what chance shows.",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="ece", better="down", thresholdable=False, interval="bootstrap", resampling="example",
               doc="The expected calibration error over bins of equal mass; positive by chance alone."),
        Metric(name="ece_excess", better="down", interval="bootstrap", resampling="example",
               doc="ece minus its mean for a calibrated model with these confidences; 0 is calibrated.",
               what_to_try="Fit one temperature on held-out data (divide the logits by it), and check that the "
               "evaluation data have the class shares and the preprocessing of training."),
        Metric(name="brier", better="down", interval="t", resampling="example",
               doc="The mean squared distance of the probabilities from the label, summed over classes (0 to 2).",
               what_to_try="See whether accuracy or calibration is to blame: if ece_excess is near 0, the model "
               "needs better predictions, not other probabilities."),
        Metric(name="calibration_slope", interval="t", resampling="example",
               doc="The factor by which the logits should be multiplied: 1 calibrated, below 1 too sure.",
               what_to_try="Below 1, divide the logits by a temperature fitted on held-out data, or train with "
               "label smoothing or for fewer steps."),
    )  # fmt: skip

    bins: int = Field(15, ge=2, le=100, description="Bins of equally many examples.")
    rows: int | None = Field(None, ge=1, description="Rows of the evaluation data to use; null takes all.")

    def applies(self, subject: Subject) -> str | None:
        """Classifiers with data."""
        if subject.data is None:
            return "calibration needs a data set"
        return subject.is_no_labelled_classifier()

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """The predictions."""
        return {"predictions": predictions_of(subject, self.rows)}

    def measure(self, *, predictions: Predictions, seed: int) -> Evidence:
        """Calibration error beyond chance, Brier score and slope; the reliability diagram."""
        from auditor.methods.calibration import ece_excess, said

        groups, found = predictions.groups, said(predictions.logits, predictions.labels)
        error = ece_excess(found, groups, self.bins, seed)
        slope, notes = self._slope(predictions)
        return Evidence(
            measurements=(
                self._resampled("ece", error.ece, error.drawn_ece, predictions),
                self._resampled("ece_excess", error.excess, error.drawn, predictions),
                self.over_examples("brier", found.brier.tolist(), groups),
                *slope,
            ),
            blocks=(reliability(found, self.bins), histogram(found)),
            samples={"brier": tuple(found.brier.tolist()), "confidence": tuple(found.confidence.tolist())},
            examples=predictions.examples,
            notes=(*notes, *predictions.notes()),
            inapplicable={} if slope else {"calibration_slope": "no finite slope is best for these predictions"},
        )

    def _resampled(self, name: str, value: float, drawn: tuple[float, ...], given: Predictions) -> Measurement:
        n = len(set(given.groups)) if given.groups else len(given.labels)
        found = self.replicated(name, value, Quantiles(values=drawn), n)
        return found.model_copy(update={"unit_of_resampling": "group"}) if given.groups else found

    def _slope(self, given: Predictions) -> tuple[list[Measurement], list[str]]:
        from auditor.methods.calibration import calibration_slope

        try:
            slope, influence = calibration_slope(given.logits, given.labels)
        except ValueError as error:
            return [], [f"calibration_slope was not measured: {error}, so no finite slope is best."]
        return [self.over_examples("calibration_slope", (slope + influence).tolist(), given.groups)], []
