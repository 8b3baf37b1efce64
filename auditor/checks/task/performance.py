"""How good the model is on this data, class by class."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from auditor.artifacts.classes import confusion, recalls
from auditor.artifacts.predictions import Predictions, predictions_of
from auditor.artifacts.residuals import residuals, spread
from auditor.blocks import AnyBlock
from auditor.check import About, Check, Pillar
from auditor.evidence import Evidence, IntervalMethod, Measurement, Metric, Unit
from auditor.needs import Need
from auditor.subject import Subject

Scored = tuple[list[Measurement], tuple[AnyBlock, ...], list[str], dict[str, Any]]


def _metric(name: str, interval: IntervalMethod, doc: str, what_to_try: str, **more: Any) -> Metric:
    unit: Unit = "none" if interval == "none" else "example"
    return Metric(name=name, interval=interval, resampling=unit, doc=doc, what_to_try=what_to_try, **more)


class Performance(Check):
    """How good is it on this data?

    Figure: the confusion matrix and the recall of each class with intervals; of regressions, the residuals.
    """

    pillar: ClassVar[Pillar] = "task"
    about: ClassVar[About] = About(
        title="Performance",
        question="How good is the model on this data, overall and in its weakest class?",
        formula="accuracy = hits / n;  recall_c = hits_c / n_c;  log_loss = -mean log softmax(z)[label];  "
        "rmse = sqrt(mean e^2), mae = mean abs(e), r2 = 1 - sum e^2 / sum (y - mean y)^2, e = predicted - y",
        method="The model's logits are compared with the labels of the evaluation data, in one pass. Shares have "
        "Wilson intervals. Balanced accuracy, macro F1, AUROC and Matthews' correlation are resampled within each "
        "class by a bootstrap; rmse and r2 of a regression over all rows. Where the data names groups, whole groups "
        "are drawn instead of single examples.",
        reading="Look at the weakest class first: a good overall accuracy can hide a class that is never found. The "
        "confusion matrix shows which classes are taken for which.",
        limits="The numbers speak of data drawn like these examples, and of nothing else. Intervals treat examples "
        "(or groups) as independent, and the labels as true.",
        citation="Wilson, Journal of the American Statistical Association 22 (1927). Hand and Till, Machine Learning "
        "45 (2001). Gorodkin, Computational Biology and Chemistry 28 (2004).",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        _metric("accuracy", "wilson", "The share of examples whose largest logit is their label's.",
                "Compare labels and preprocessing (size, normalization) with training; read the confusion matrix."),
        _metric("balanced_accuracy", "bootstrap", "The mean of the recalls of the classes that occur.",
                "Train with weighted or resampled classes, and look at the classes of lowest recall."),
        _metric("macro_f1", "bootstrap", "The mean over classes of the harmonic mean of precision and recall.",
                "Look for classes that attract wrong predictions (low precision) or lose their own (low recall)."),
        _metric("auroc", "bootstrap", "The chance that an example of a class gets a higher probability of it than an "
                "example of another class, averaged over classes (one against the rest).",
                "If it is much better than the accuracy, mend the decision threshold rather than the model."),
        _metric("mcc", "bootstrap", "Matthews' correlation of labels and predictions: 1 perfect, 0 as by chance.",
                "Read it beside the class counts: it does not reward predicting the largest class."),
        _metric("top5_accuracy", "wilson", "The share of examples whose label is among the five largest logits; "
                "measured for more than five classes.", "If only the first place is wrong, look for near-synonyms."),
        _metric("worst_class_recall", "wilson", "The share of each class's examples that are found, one by one.",
                "Collect or relabel examples of that class, and see in the confusion matrix what it is taken for."),
        _metric("never_predicted", "none", "How many classes occur among the labels and are never predicted.",
                "Check that labels and head agree in order, and that training held these classes.",
                unit="classes", better="down"),
        _metric("log_loss", "t", "The mean negative log probability of the label.",
                "If the accuracy is fine, calibrate (temperature scaling); else look at the confident errors.",
                unit="nats", better="down"),
        _metric("rmse", "bootstrap", "The root of the mean squared error of a regression, in the target's unit.",
                "If it is far above mae, few examples are far off: look at them first.", better="down"),
        _metric("mae", "t", "The mean absolute error of a regression, in the target's unit.",
                "See by the residuals whether the model is off on average or just inexact.", better="down"),
        _metric("r2", "bootstrap", "1 - squared error / spread of the targets: 0 is as good as their mean.",
                "Compare the range and the unit of the targets with training; see where residuals grow."),
    )  # fmt: skip

    rows: int | None = Field(None, ge=1, description="Rows of the evaluation data to use; null takes all.")
    least: int = Field(1, ge=1, description="never_predicted counts the classes with at least this many examples.")

    def applies(self, subject: Subject) -> str | None:
        """Classifiers and regressions with labelled data."""
        if subject.data is None:
            return "performance needs a data set"
        return subject.lacks_labels() if subject.model.task == "regression" else subject.is_no_labelled_classifier()

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """The predictions."""
        return {"predictions": predictions_of(subject, self.rows)}

    def measure(self, *, predictions: Predictions, seed: int) -> Evidence:
        """Scores with intervals, the confusion matrix and the recall of each class; or errors and residuals."""
        numbers = predictions.targets
        scored = self._classes(predictions, seed) if numbers is None else self._numbers(predictions, numbers, seed)
        found, blocks, notes, columns = scored
        return Evidence(
            measurements=tuple(found), blocks=blocks, samples={name: tuple(c.tolist()) for name, c in columns.items()},
            examples=predictions.examples, notes=(*notes, *predictions.notes()),
        )  # fmt: skip

    def _classes(self, given: Predictions, seed: int) -> Scored:
        from auditor.methods.classification import Scores, log_softmax_at, ranks_of_label

        logits, labels, groups = given.logits, given.labels, given.groups
        scores, ranks = Scores(logits, labels), ranks_of_label(logits, labels)
        hits = scores.predicted == labels
        loss = -log_softmax_at(logits, labels)
        found = [self.share("accuracy", hits.tolist(), groups), self.over_examples("log_loss", loss.tolist(), groups)]
        if logits.shape[1] > 5:
            found.append(self.share("top5_accuracy", (ranks < 5).tolist(), groups))
        found.append(self.exact("never_predicted", scores.never_predicted(self.least), n=len(labels)))
        for index in sorted(set(labels.tolist())):
            rows = (labels == index).nonzero()[0].tolist()
            inside = [groups[row] for row in rows] if groups else ()
            found.append(self.share("worst_class_recall", hits[rows].tolist(), inside, given.classes[index]))
        drawn, notes = self.resampled_each(scores.estimates, labels, groups, seed)
        notes += ["The interval of auroc is a bootstrap to first order: many rows and classes."] * scores.large
        blocks = (confusion(scores, given.classes), recalls(found))
        return [*found, *drawn], blocks, notes, {"accuracy": hits.astype(float), "log_loss": loss}

    def _numbers(self, given: Predictions, targets: Any, seed: int) -> Scored:
        from auditor.methods.regression import Fit

        fit = Fit(given.logits[:, 0].astype(float), targets)
        size = abs(fit.residual)
        drawn, notes = self.resampled_each({"rmse": fit.rmse, "r2": fit.r2}, 0 * given.labels, given.groups, seed)
        found = [self.over_examples("mae", size.tolist(), given.groups), *drawn]
        return found, (residuals(fit), spread(fit)), notes, {"mae": size, "residual": fit.residual}
