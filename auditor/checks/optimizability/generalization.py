"""How much worse is the model on data that it was not trained on?"""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from auditor.artifacts.curves import seed_curves
from auditor.artifacts.predictions import Predictions, predictions_of
from auditor.artifacts.trajectory import Trajectory, not_run_here, trajectories_of
from auditor.blocks import AnyBlock, Bar, Bars
from auditor.check import About, Check, Pillar
from auditor.evidence import CountsPair, Evidence, Metric
from auditor.needs import Need
from auditor.subject import Subject

SIMPLER = "Stop earlier, regularize (weight decay, dropout, augmentation), train fewer layers, or collect more data."

LOST = "The run that the model comes from diverged: what is left of it may hide a gap, so both are lower bounds."


class Generalization(Check):
    """How much worse the model is on data that it was not trained on.

    Figure: error and loss on both data sets, and the curves of the fine-tune where there are any.
    """

    pillar: ClassVar[Pillar] = "optimizability"
    about: ClassVar[About] = About(
        title="Generalization",
        question="How much worse is the model on data that it was not trained on?",
        formula="generalization_gap = error rate on the audit's data - error rate on the training data",
        method=(
            "The same model, in evaluation mode, is asked on the first rows of both data sets in their seeded orders. "
            "The gap of the error rates has Newcombe's interval for two independent rates; that of the mean losses is "
            "resampled within each data set. Where rows belong to groups, whole groups are drawn for both."
        ),
        reading=(
            "Near zero: what was learned holds for new data. A large gap beside a low training error is memorizing. A "
            "loss gap without an error gap means that the errors there are have become more confident. A gap below "
            "zero means that the audit's data are easier than those of training, or are among them."
        ),
        limits=(
            "The gap says nothing of how good the model is: a model that learned nothing has none. It is that of one "
            "trained model, not of the recipe. Training data that were augmented are asked as they are. Data of "
            "another origin widen it, whatever was learned; copies of training rows narrow it (see task.data)."
        ),
        citation="Newcombe, Interval Estimation for the Difference between Independent Proportions, Statistics in "
        "Medicine 17 (1998).",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            name="generalization_gap", better="down", interval="newcombe", resampling="example", what_to_try=SIMPLER,
            doc="Error rate on the audit's data less that on the training data, both in evaluation mode.",
        ),
        Metric(
            name="loss_gap", better="down", interval="bootstrap", resampling="example", what_to_try=SIMPLER,
            doc="Mean loss on the audit's data less that on the training data: nats, of a regression squared units.",
        ),
    )  # fmt: skip

    train: str | None = Field(
        None, description="The data set that the model was trained on.", json_schema_extra={"data": True}
    )
    rows: int = Field(2000, ge=2, description="Ask the first rows of each data set.")

    def applies(self, subject: Subject) -> str | None:
        """Classifiers and regressions with labelled data, and training data beside."""
        if subject.model.task != "regression" and (reason := subject.is_no_labelled_classifier()):
            return reason
        train = subject.others.get("train")
        if train is None or not train.labelled:
            return "it needs the training data, with labels: name them, `with: {train: NAME}`"
        if subject.data is None or subject.data.digest == train.digest:
            return "it needs data that were not trained on"
        return subject.lacks_labels()

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """The predictions on both, and the records of a fine-tune for the figure."""
        trained = subject.model_copy(update={"data": subject.others["train"]})
        found: dict[str, Need[Any]] = {
            "predictions": predictions_of(subject, self.rows), "trained": predictions_of(trained, self.rows),
        }  # fmt: skip
        if not_run_here(subject.history) is None:
            found["trajectory"] = trajectories_of(subject)
        return found

    def measure(
        self, *, predictions: Predictions, trained: Predictions, seed: int, trajectory: Trajectory | None = None
    ) -> Evidence:
        """Both gaps."""
        from auditor.methods.training.gap import Gap, scored

        gap = Gap(*(scored(one.logits, one.labels, one.targets, one.groups) for one in (predictions, trained)))
        sides = ("the audit's data", "training data")
        estimates, is_counted = {"loss_gap": gap.loss}, gap.test.missed is not None and not gap.groups
        if gap.test.missed is not None and gap.groups:
            estimates["generalization_gap"] = gap.error
        measured, notes = self.resampled_each(estimates, gap.fresh, gap.groups, seed)
        measured = [one.model_copy(update={"method": "bootstrap", "n": gap.units}) for one in measured]
        n, m = len(gap.test.losses), len(gap.train.losses)
        if is_counted:
            pair = CountsPair(k1=gap.test.errors, n1=n, k2=gap.train.errors, n2=m)
            measured.insert(0, self.sampled("generalization_gap", pair))
        rates = () if gap.test.missed is None else (gap.test.errors / n, gap.train.errors / m)
        blocks = [_bars("Error rate", sides, rates)] if rates else []
        blocks.append(_bars("Mean loss", sides, (float(gap.test.losses.mean()), float(gap.train.losses.mean()))))
        if trajectory is not None and trajectory.runs[0].diverged:
            measured, notes = [one.model_copy(update={"censored": True}) for one in measured], [*notes, LOST]
        said = dict.fromkeys((*notes, *predictions.notes(), *trained.notes()))
        why = {} if rates else {"generalization_gap": "a regression misses no class"}
        curves = () if trajectory is None else _curves(trajectory)
        return Evidence(measurements=tuple(measured), blocks=(*blocks, *curves), notes=tuple(said), inapplicable=why)


def _bars(title: str, labels: tuple[str, ...], values: tuple[float, ...]) -> AnyBlock:
    bars = tuple(Bar(label=label, value=value) for label, value in zip(labels, values, strict=True))
    return Bars(title=title, x_label=title.lower(), bars=bars)


def _curves(trajectory: Trajectory) -> tuple[AnyBlock, ...]:
    runs = trajectory.runs
    losses = {
        "validation data": [(run.record_steps, run.validation_loss) for run in runs],
        "training data": [(run.record_steps, run.train_loss) for run in runs],
    }
    reading = "In evaluation mode. A validation loss that turns upward while the other falls is overfitting."
    return (seed_curves("Loss over the fine-tune", "loss", losses, reading),)
