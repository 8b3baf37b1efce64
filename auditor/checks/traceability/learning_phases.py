"""Phases of learning, the order of the records, and the path of the weights."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from auditor.artifacts.learning_figures import drawn
from auditor.artifacts.shipped import Shipped, shipped_of
from auditor.artifacts.stage_losses import StageCka, StageLoss, asked_again
from auditor.artifacts.trajectory import Trajectory, missing, trajectories_of
from auditor.check import About, Check, Pillar
from auditor.evidence import Evidence, Metric
from auditor.needs import Need
from auditor.subject import Subject


class LearningPhases(Check):
    """In what phases did it learn, and are the records in the order in which they were made?

    Figure: the rate with its phases, losses and likeness to the last model, and the path of the weights.
    """

    pillar: ClassVar[Pillar] = "traceability"
    version: ClassVar[int] = 2
    about: ClassVar[About] = About(
        title="Learning phases",
        question="In what phases did the model learn, and do its records stand in the order in which they were made?",
        formula="saved(a, b) = 1 - (length of the gaps beside records a and b once exchanged) / (their length now);  "
        "path_efficiency = norm(end - start) / sum over 16 equal gaps of norm(gap)",
        method="Distances between records come from a random projection of all weights to 256 numbers (to about 4%). "
        "Two records are out of order if exchanging them shortens the gaps beside them by at least 10%, with the first "
        "or last record among them by 20%; the exchange "
        "that shortens the path most is made, and the search goes on. The simple rule, norm(t_(i+1) - t_(i-1)) < "
        "norm(t_i - t_(i-1)), fails 15% of healthy runs, where late records scatter around one place; an exchange of "
        "such records saves nothing, so they are not counted. Phases are straight lines in the logarithm of the rate "
        "of change (divided by the learning rate where that is known) and of the evaluated loss where it is recorded "
        "at the same steps; a border needs a gain by the Bayesian information criterion and a jump by a factor of "
        "two, so a smooth schedule is one phase. The shipped tensors are compared with those of every checkpoint, each "
        "pair in the narrower of its two types. Losses, gradients and CKA to the last stage are computed anew on the "
        "check's data where the history holds weights.",
        reading="A healthy history has no exchange. The path of a random walk has an efficiency of .25 at any spacing, "
        "a straight one 1; training lies between. A phase that no schedule explains deserves a question.",
        limits="A history in reverse, or one whose records are all shuffled, has no order to compare with. Exchanges "
        "were seen in 97 of 100 cases between neighbours inside a run and in all others inside it, but only in 63 of "
        "neighbours at an end, where a schedule that decays to nothing leaves the last records in one place. Changes "
        "of slope alone are no phases. Of fewer than 4 records, 16 intervals or 8 moving intervals, order, path and "
        "phases are not measured; nor is the order of records that are all alike, or whose every change may be the "
        "rounding of the stored numbers.",
        citation="Li et al., Visualizing the loss landscape of neural nets (2018), draw such paths; Charikar, Chen & "
        "Farach-Colton (2002) for the projection; Jackson et al. (2005) for optimal partitioning.",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            name="order_inversions", better="down", interval="t", resampling="seed",
            doc="Exchanges of two records that would put the path in order.",
            what_to_try="Compare the named files with their steps: two checkpoints may have been swapped or misnamed.",
        ),
        Metric(
            name="unrecorded_tensors", better="down",
            doc="Tensors of the shipped model that are not those of the checkpoint most like it, 0 where it is one.",
            what_to_try="Ask what was done to the weights after the named checkpoint; keep the shipped state as one.",
        ),
        Metric(
            name="path_efficiency", interval="t", resampling="seed", thresholdable=False,
            doc="Distance from start to end over the length of the path in 16 equal gaps.",
        ),
        Metric(
            name="phases", better="down", interval="t", resampling="seed", thresholdable=False,
            doc="Stretches of training between jumps of the rate of change or the loss.",
        ),
    )  # fmt: skip

    rows: int = Field(512, ge=1, description="Rows on which losses and gradients are computed anew.")
    layer_rows: int = Field(512, ge=1, description="Rows for CKA; below 256 it is not measured.")

    def applies(self, subject: Subject) -> str | None:
        """Skipped without a history."""
        return missing(subject.history, ("changes",))

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """The trajectory; and, with weights and data, what its stages make of the data."""
        again = asked_again(subject, self.rows, self.layer_rows)
        return {"trajectory": trajectories_of(subject), **shipped_of(subject), **again}

    def measure(
        self, *, trajectory: Trajectory, losses: StageLoss | None = None, alike: StageCka | None = None,
        shipped: Shipped | None = None,
    ) -> Evidence:  # fmt: skip
        """Numbers of each history, averaged over the seeds; the figures are those of the first."""
        from auditor.methods.training.learning import learning, losses_of

        count = len(trajectory.changes)
        runs, curves = trajectory.runs or (None,) * count, trajectory.curves or (None,) * count
        known = [losses_of(run, curve) for run, curve in zip(runs, curves, strict=True)]
        each = [learning(part, found) for part, found in zip(trajectory.changes, known, strict=True)]
        single: Literal["exact", "unreplicated"] = "unreplicated" if trajectory.source == "finetune" else "exact"
        measured, notes = [], trajectory.notes()
        for name, why in WHY.items():
            values = [value for found in each if (value := found.value(name)) is not None]
            if len(values) == len(each):
                measured.append(self.averaged(name, values, single=single))
            else:
                notes += (f"{name} is not measured: {why}.",)
        if shipped is not None and shipped.compared:
            measured.append(self.exact("unrecorded_tensors", len(shipped.differing), n=shipped.compared))
        notes += (said,) if shipped is not None and (said := shipped.remark()) else ()
        blocks = drawn(each[0], known[0], losses, alike, "" if len(each) == 1 else ", first seed")
        untold = {} if shipped else {"unrecorded_tensors": UNTOLD[trajectory.source == "finetune"]}
        bounds = trajectory.bounded(measured, up=("path_efficiency",))
        return Evidence(measurements=bounds, blocks=blocks, notes=notes, inapplicable=untold)


UNTOLD = (
    "the history holds no whole checkpoints to compare the shipped weights with: keep some, "
    'history: {checkpoints: "ckpt/step-*.safetensors"}',
    "the audit trained the model itself: its last record is the model",
)
WHY = {
    "order_inversions": "it takes 4 records whose projections are known, and that differ by more than rounding",
    "path_efficiency": "it takes 16 intervals, a record near each of 17 evenly spaced steps, and projections",
    "phases": "it takes 8 intervals of even length that move",
}
