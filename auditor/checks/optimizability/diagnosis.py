"""What does the fine-tune suffer from, if anything?"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from auditor.artifacts.diagnosis_pages import TRY, diagnosis_blocks, gap_between, not_had
from auditor.artifacts.probed import Probed, probed_of, probes
from auditor.artifacts.trajectory import Trajectory, not_run_here, trajectories_of
from auditor.check import About, Check, Pillar
from auditor.evidence import Counts, Evidence, Measurement, Metric
from auditor.needs import Need
from auditor.subject import Subject

if TYPE_CHECKING:
    from auditor.methods.training.diagnosis import Rate


class Diagnosis(Check):
    """What a fine-tune suffers from: divergence, label noise, underfitting, overfitting, in this order, or nothing.

    Figure: the losses and accuracies of training and validation data with bands over the seeds; doubtful labels.
    """

    pillar: ClassVar[Pillar] = "optimizability"
    version: ClassVar[int] = 2
    about: ClassVar[About] = About(
        title="Diagnosis",
        question="What does the fine-tune suffer from, if anything?",
        formula="label noise = share of training labels that a probe confidently contradicts, out of fold;  "
        "underfit_gap = accuracy of the probe out of fold - accuracy of the model on training data;  overfit_gap = "
        "accuracy on training data - accuracy on validation data, at the end",
        method=(
            "A seed diverged if a loss or gradient was not finite, or if its final training loss is not below that "
            "before step 1, both in evaluation mode. The probe is a logistic regression on simple features of the "
            "inputs (of pictures also the lowest frequencies, of texts runs of bytes) and on what enters the head of "
            "the model before it was fine-tuned; it judges the fifth of the training rows that it was not fitted on, "
            "in classes of at least 20 examples. Rows that are equal, or of one group, are held out together and are "
            "one unit. A row whose class the other folds lack cannot be judged: the gap to the model takes it for "
            "missed, the upper end of its interval for right. The accuracies are means over the seeds that did not "
            "diverge, with Newcombe's interval over examples or groups (a training accuracy of all training rows is "
            "known); if a seed did diverge, both gaps are lower bounds. A fault is found if its whole interval lies "
            "above what is tolerated (the parameters), and excluded if it lies below. Overfitting is also found where "
            "the gap is above 0 and the validation loss has risen again. The word is the first fault found; a good fit "
            "only if all are excluded, for most seeds by themselves too. Of tasks without classes the gap is that of "
            "the losses as a share of the first, over seeds."
        ),
        reading=(
            "Read the word, then the table that says which fault is found, excluded or open. The order is that of "
            "causes: a run that diverged shows nothing else, and wrong labels look like overfitting or a hard task."
        ),
        limits=(
            "Where classes overlap, hard examples are doubted as well as wrong labels. A probe that is far below the "
            "model on validation data is no judge of labels: they are then left undetermined. No model is called "
            "underfitted where no linear probe does better. Intervals are over examples, not seeds; diverged_share "
            "is a fact about the recorded seeds."
        ),
        citation="Northcutt et al., Confident learning, JAIR 70 (2021). Newcombe, Statistics in Medicine 17 (1998). "
        "Zhang et al., Understanding deep learning requires rethinking generalization, ICLR 2017.",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="diverged_share", better="down", resampling="seed", what_to_try=TRY["diverged"],
               doc="Share of the recorded seeds whose losses are not finite, or whose training loss ends no lower than "
               "it began."),
        Metric(name="label_noise_share", better="down", interval="wilson", resampling="example",
               doc="Share of training labels that a probe which never saw them confidently contradicts.",
               what_to_try=TRY["label noise"]),
        Metric(name="underfit_gap", better="down", interval="newcombe", resampling="example",
               doc="Accuracy of the probe on training rows, out of fold, less that of the fine-tuned model on them.",
               what_to_try=TRY["underfitting"]),
        Metric(name="overfit_gap", better="down", interval="newcombe", resampling="example",
               doc="Final accuracy on training data less that on validation data; without classes the gap of the "
               "losses, as a share of the first.", what_to_try=TRY["overfitting"]),
        Metric(name="good_fit", better="up", interval="wilson", resampling="seed",
               doc="Share of seeds for which every fault is excluded.",
               what_to_try="See which fault is found or open, and what to try against it."),
    )  # fmt: skip

    rows: int = Field(1000, ge=40, description="The probe looks at the first rows of both data sets only.")
    noise: float = Field(0.1, gt=0, lt=1, description="For the word: the share of doubted labels that is tolerated.")
    margin: float = Field(0.1, gt=0, lt=1, description="For the word: gaps of accuracy up to this do not matter.")
    rise: float = Field(
        0.2, gt=0, lt=1, description="For the word: how much of the validation loss's way may be up again."
    )
    confidence: float = Field(0.95, gt=0.5, lt=1, description="For the word: of the intervals that decide it.")

    def applies(self, subject: Subject) -> str | None:
        """Skipped without runs of a fine-tune."""
        return not_run_here(subject.history)

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """The records of all seeds, and the probe of a classifier's labels."""
        found: dict[str, Need[Any]] = {"trajectory": trajectories_of(subject)}
        return found | ({"probed": probed_of(subject.model, subject.runtime, self.rows)} if probes(subject) else {})

    def measure(self, *args: Any, trajectory: Trajectory, probed: Probed | None = None, **artifacts: Any) -> Evidence:
        """The numbers in their order, and the word."""
        from auditor.methods.training.diagnosis import Known, Tolerances, diagnose

        runs, allowed = trajectory.runs, Tolerances(self.noise, self.margin, self.rise, self.confidence)
        probe = None if probed is None else probed.probe()
        signs = diagnose(runs, probe, allowed, known := probed.known(runs) if probed else Known())
        measured = [self.exact("diverged_share", signs.lost / signs.seeds, n=signs.seeds)]
        if probed is not None and probe is not None:
            if signs.fit:
                measured.append(self.share("label_noise_share", probed.doubted.tolist(), probed.groups))
            if signs.train is not None:
                rates = (probe.rate, signs.train)
                measured.append(self._gap("underfit_gap", rates, signs.lost, bool(probed.groups), probe.unknown))
            measured.append(self.sampled("good_fit", Counts(k=signs.good, n=signs.seeds)))
        if signs.train is not None and signs.validation is not None:
            measured.append(self._gap("overfit_gap", (signs.train, signs.validation), signs.lost, known.is_grouped))
        elif signs.apart:
            apart = self.averaged("overfit_gap", signs.apart, censored=signs.lost > 0)
            measured.append(apart.model_copy(update={"unit_of_resampling": "seed", "method": "t"}))
        return Evidence(
            measurements=tuple(measured), blocks=diagnosis_blocks(signs, probed, trajectory),
            samples={"doubted": tuple(map(float, probed.doubted))} if probed else {},
            examples=probed.examples if probed else (),
            notes=(*(probed.notes() if probed else ()), *trajectory.notes()),
            inapplicable=not_had(signs, probed),
        )  # fmt: skip

    def _gap(self, name: str, rates: "tuple[Rate, Rate]", lost: int, grouped: bool, more: float = 0) -> Measurement:
        """A gap of rates over the seeds that did not diverge: what the others would show is not known, only no less."""
        found = self.replicated(name, *gap_between(*rates, more))
        method, unit = found.method if all(n for _, n in rates) else "wilson", "group" if grouped else "example"
        return found.model_copy(update={"method": method, "unit_of_resampling": unit, "censored": lost > 0})
