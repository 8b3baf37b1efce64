"""Is the end of the fine-tune calm, from record to record and from seed to seed?"""

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from auditor.artifacts.curves import accuracy_windows
from auditor.artifacts.trajectory import Trajectory
from auditor.artifacts.watched import OfRuns
from auditor.check import About, Check, Pillar
from auditor.evidence import Evidence, Measurement, Metric, Quantiles
from auditor.statistics import moments, spread

if TYPE_CHECKING:
    from auditor.methods.training.record import Run, Side

SAID: "dict[Side, str]" = {"train": "training data", "validation": "validation data"}
CALMER = "Lower the learning rate towards the end (a schedule), or take larger batches."


class Stability(OfRuns, Check):
    """Whether the end of the fine-tune is calm, from record to record and from seed to seed.

    Figure: the standard deviation of the accuracy in a moving window.
    """

    pillar: ClassVar[Pillar] = "optimizability"
    about: ClassVar[About] = About(
        title="Stability of the fine-tune",
        question="Does the accuracy settle, or does it depend on the step and the seed at which training stops?",
        formula="accuracy_sd = sqrt(RSS / (n - 2) - mean p (1 - p) / rows), RSS of n accuracies p around their line",
        method=(
            "At every record of the fine-tune the accuracy was measured, in evaluation mode, on the same examples. In "
            "the window of the last records a line is fitted for each seed; what the accuracy varies around it, less "
            "what counting so many examples may vary by itself, is averaged over the seeds with Student's interval. "
            "Where there is less than counting noise the number is below zero. A spike is a record at which the "
            "training loss, in evaluation mode, lies more than a tenth of the loss before step 1 above the median of "
            "the three records before; the worst recorded run counts. The standard deviation of the last validation "
            "accuracies over the seeds has the interval of a variance of normal values."
        ),
        reading=(
            "Zero or below is calm: stopping a few steps earlier or later gives the same model. An accuracy_sd of 0.02 "
            "means that the last step decides about two percent. A seed_sd as large as the difference between two "
            "models means that one run of each cannot tell which is better."
        ),
        limits=(
            "Spikes between two records are not seen. Spikes are facts about the recorded runs and promise nothing of "
            "a fresh seed. A run that still learns along a curve shows in accuracy_sd, for a line does not fit it. The "
            "examples are the same at each record, so counting noise may be taken off too generously; what is left is "
            "then too small. If a run diverged, all numbers are lower bounds."
        ),
        citation="Bouthillier et al., Accounting for Variance in Machine Learning Benchmarks, MLSys 2021.",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        *(
            Metric(
                name=f"accuracy_sd_{side}", better="down", interval="t", resampling="seed", what_to_try=CALMER,
                doc=f"How much the accuracy on the {SAID[side]} varies around a line over the last records, beyond "
                "counting noise; below zero: less than that.",
            )
            for side in SAID
        ),
        Metric(
            name="spikes", unit="records", better="down", resampling="seed",
            doc="Records at which the training loss jumps up; worst recorded run.",
            what_to_try="Clip gradients, lengthen the warm-up, or look at the batches before the jump.",
        ),
        Metric(
            name="seed_sd", better="down", interval="chi2", resampling="seed",
            doc="Standard deviation of the last validation accuracy over the seeds.",
            what_to_try="Train longer or with a schedule; compare models by several seeds, never by one.",
        ),
    )  # fmt: skip

    window: float = Field(0.5, gt=0, le=1, description="The share of the records, the last ones, that must be calm.")
    height: float = Field(0.1, gt=0, description="A spike is that much of the first loss above the records before.")

    def measure(self, *args: Any, trajectory: Trajectory, **artifacts: Any) -> Evidence:
        """The variation within each run and over the runs; after a divergence all are lower bounds."""
        from auditor.methods.training.calm import jumps, window_of

        runs = trajectory.runs
        spikes = max(len(jumps(run.train_loss, self.height)) for run in runs)
        measured = [self.exact("spikes", spikes, n=len(runs))]
        notes = [*trajectory.notes()]
        if any(run.accuracy() is None for run in runs):
            absent = [metric.name for metric in self.metrics if metric.name != "spikes"]
            why = dict.fromkeys(absent, "a task without classes has no accuracy")
            return Evidence(measurements=trajectory.bounded(measured), notes=tuple(notes), inapplicable=why)
        size = min(window_of(len(run.record_steps), self.window) for run in runs)
        measured += self._within(runs, size) if size else []
        notes += [] if size else ["accuracy_sd is not measured: the window holds fewer than six records of a run."]
        measured += self._over(runs)
        notes += [] if len(runs) > 1 else ["seed_sd is not measured: there is one seed."]
        blocks = accuracy_windows(runs, size, SAID) if size else ()
        return Evidence(measurements=trajectory.bounded(measured), blocks=blocks, notes=tuple(notes))

    def _within(self, runs: "tuple[Run, ...]", size: int) -> list[Measurement]:
        from auditor.methods.training.calm import last_window

        columns = {f"accuracy_sd_{side}": [last_window(run, side, size) for run in runs] for side in SAID}
        return [self.averaged(name, column) for name, column in columns.items()]

    def _over(self, runs: "tuple[Run, ...]") -> list[Measurement]:
        _, sd, n = moments([run.validation_correct[-1] / run.validation_rows for run in runs])
        return [self.replicated("seed_sd", sd, Quantiles(values=spread(sd, n)), n)] if n > 1 else []
