"""How far and how fast does the loss fall, and how surely over seeds?"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from auditor.artifacts.watched import OfRuns
from auditor.blocks import AnyBlock
from auditor.check import About, Check, Pillar
from auditor.evidence import Counts, Evidence, Metric

if TYPE_CHECKING:
    from auditor.artifacts.trajectory import Trajectory
    from auditor.methods.training.record import Run

SIDES = ("train", "validation")
UNTARGETED = "No `target` is given, so neither times to it nor the share of converged seeds is measured."
SAID = {"train": "training data", "validation": "validation data"}


def _pair(name: str, unit: str, doc: str, what_to_try: str) -> tuple[Metric, Metric]:
    """The metric on both sides, each over seeds."""
    first, second = (
        Metric(
            name=f"{name}_{side}", unit=unit, better="down", interval="t", resampling="seed",
            doc=f"{doc} On the {SAID[side]}.", what_to_try=what_to_try,
        )
        for side in SIDES
    )  # fmt: skip
    return first, second


class Convergence(OfRuns, Check):
    """How far and how fast the loss falls when the model is fine-tuned, over seeds.

    Figure: loss curves over the seeds, with a band.
    """

    pillar: ClassVar[Pillar] = "optimizability"
    version: ClassVar[int] = 2
    about: ClassVar[About] = About(
        title="Convergence of the fine-tune",
        question="How far and how fast does the loss fall, and does it do so whatever the seed?",
        formula="steps to 90% = first recorded step with loss <= L0 - 0.9 (L0 - lowest loss)",
        method=(
            "The audit fine-tuned the model once for each seed, by the recipe in the spec. Before step 1, and at every "
            "record, the loss was measured in evaluation mode on a fixed part of the training data and on the "
            "validation data; L0 is the loss before step 1. Every number is the mean over the seeds with Student's "
            "interval, and the share of converged seeds has Wilson's. A seed that diverged, or that did not reach a "
            "level, stays in the count with the most that is known of it, a lower bound; the mean is then a lower "
            "bound too, and can fail an expectation but never pass it. Times to a target are shown by the "
            "Kaplan-Meier curve."
        ),
        reading=(
            "A healthy recipe falls quickly at first, flattens before the last step, and draws a narrow band over the "
            "seeds. A validation loss that turns upward while the training loss still falls is overfitting."
        ),
        limits=(
            "The numbers belong to this model and recipe; another learning rate may change them all. Steps are known "
            "only to the spacing of the records. The lowest loss is that of the run: one that learns little reaches "
            "90% of its own drop early, so read the final loss too. Losses are in nats; of a regression they are mean "
            "squared errors, of a language model means over tokens."
        ),
        citation="Kaplan & Meier, Nonparametric Estimation from Incomplete Observations, Journal of the American "
        "Statistical Association 53 (1958), for runs that do not get there.",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        *_pair(
            "final_loss", "nats", "Mean loss at the last record.",
            "Train for more steps, or raise the learning rate if the curve still falls steadily at the end.",
        ),
        *_pair(
            "steps_to_90", "steps", "First recorded step at which the loss has made 90% of the run's own drop.",
            "Raise the learning rate, or lengthen the warm-up if the first steps are unstable.",
        ),
        *_pair(
            "steps_to_target", "steps", "First recorded step with a loss of at most `target`; needs that parameter.",
            "Raise the learning rate or the number of steps, or start from a model nearer to the task.",
        ),
        *_pair(
            "loss_auc", "", "Mean loss over the whole run divided by L0: 1 has learned nothing.",
            "Raise the learning rate early in the run; a slow start costs most of this area.",
        ),
        Metric(
            name="converged_share", better="up", interval="wilson", resampling="seed",
            doc="Share of the seeds whose validation loss reaches `target`, and that do not diverge; needs `target`.",
            what_to_try="Lower the learning rate if seeds diverge, or train longer if they are still falling.",
        ),
    )  # fmt: skip

    target: float | None = Field(None, gt=0, description="Loss to reach, in nats; without it no time to target.")

    def measure(self, *args: Any, trajectory: "Trajectory", **artifacts: Any) -> Evidence:
        """Readings of each seed, averaged; one that is only a bound makes the mean a bound."""
        from auditor.methods.training.curves import readings

        runs = trajectory.runs
        sides = {side: [readings(run, side, self.target) for run in runs] for side in SIDES}
        columns = {f"{name}_{side}": [one[name] for one in read] for side, read in sides.items() for name in read[0]}
        measured = [
            self.averaged(name, [one.value for one in column], censored=not all(one.reached for one in column))
            for name, column in columns.items()
        ]
        notes = (*trajectory.notes(), *((UNTARGETED,) if self.target is None else ()))
        if self.target is not None:
            there = [one["steps_to_target"].reached for one in sides["validation"]]
            reached = sum(one and not run.diverged for one, run in zip(there, runs, strict=True))
            measured.append(self.sampled("converged_share", Counts(k=reached, n=len(runs))))
        return Evidence(measurements=tuple(measured), blocks=self._blocks(runs), notes=notes)

    def _blocks(self, runs: "Sequence[Run]") -> tuple[AnyBlock, ...]:
        from auditor.artifacts.curves import seed_curves, seed_table, waiting
        from auditor.methods.training.curves import eval_curve

        losses = {SAID[side]: [(run.record_steps, eval_curve(run, side)) for run in runs] for side in SIDES}
        loss = seed_curves("Loss over the fine-tune", "loss", losses, "Losses are taken in evaluation mode.")
        right = {SAID["validation"]: [(one.record_steps, p) for one in runs if (p := one.accuracy()) is not None]}
        said = f"Share of {runs[0].validation_rows} validation examples that were answered rightly."
        accuracy = [seed_curves("Accuracy over the fine-tune", "accuracy", right, said)] if any(right.values()) else []
        times = () if self.target is None else (waiting(runs, self.target, SAID),)
        return (loss, *accuracy, *times, seed_table(runs))
