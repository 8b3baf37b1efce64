"""How fast did the weights move, and did any part move out of step with the rest?"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from auditor.artifacts.curves import layer_map, layer_ratios, seed_curves
from auditor.artifacts.trajectory import Trajectory, missing, trajectories_of
from auditor.blocks import AnyBlock
from auditor.check import About, Check, Pillar
from auditor.evidence import Evidence, Metric
from auditor.needs import Need
from auditor.subject import Subject

if TYPE_CHECKING:
    from auditor.methods.training.record import Changes


class ChangeRate(Check):
    """How fast the weights moved from record to record, and whether a layer moved out of step.

    Figure: change rates by layer and step, and quantile bands.
    """

    pillar: ClassVar[Pillar] = "traceability"
    version: ClassVar[int] = 3
    about: ClassVar[About] = About(
        title="Change rate of the weights",
        question="How fast did the weights move, and did any layer move out of step with the others?",
        formula="rate = norm(change over an interval) / max(norm(weights at its start), floor)",
        method=(
            "Every tensor is compared with itself at the next record of the training run, or at the next checkpoint "
            "on disk. The rate of the model takes all trained tensors as one vector; the rate of a layer takes the "
            "tensor alone. With kind l1 both norms are sums of absolute values; with kind elementwise the rate is the "
            "mean over the elements of each element's own relative change, with a floor of a thousandth of the "
            "tensor's root mean square. Where the audit trained several seeds, each number is the mean over the seeds "
            "with Student's interval; a history of checkpoints is one history, and its numbers are exact facts."
        ),
        reading=(
            "In a healthy run the layers move at similar rates, the rate follows the learning rate, and it slows down "
            "towards the end. One row of the map that is much brighter than the rest is a layer with a learning rate "
            "or a scale of its own; a dark row is a layer that does not move."
        ),
        limits=(
            "A rate depends on how far apart the records are: compare only histories with the same spacing. The rate "
            "says how much the weights moved, not whether the movement helped. Vectors such as biases are shown in no "
            "ratio, since they start near zero."
        ),
        citation="The ratio of update to weight norm is a customary diagnostic of training; You, Gitman & Ginsburg, "
        "Large Batch Training of Convolutional Networks (2017), use it layer by layer.",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            name="change_rate", better="down", interval="t", resampling="seed",
            doc="Relative change of all trained weights over one interval, the median over the intervals.",
            what_to_try="Lower the learning rate, or lengthen its warm-up.",
        ),
        Metric(
            name="change_rate_p95", better="down", interval="t", resampling="seed",
            doc="As change_rate, but the 95th percentile over the intervals: the fastest stretches of the run.",
            what_to_try="Look at the steps where the curve peaks; clip gradients or lengthen the warm-up.",
        ),
        Metric(
            name="stability", better="down", interval="t", resampling="seed",
            doc="Median absolute deviation of log(rate / learning rate) over the intervals; without known learning "
            "rates, of log(rate). 0 is perfectly steady.",
            what_to_try="Look for restarts, data changes or learning-rate jumps at the steps where the rate departs.",
        ),
        Metric(
            name="early_rate_ratio", better="down", interval="t", resampling="seed",
            doc="Rate of the fastest matrix in the first tenth of the intervals, divided by the median matrix's.",
            what_to_try="Check the learning rate and the initialization of the layer that leads the bars.",
        ),
        Metric(
            name="final_to_peak", better="down", interval="t", resampling="seed",
            doc="Rate in the last tenth of the intervals divided by the largest rate: near 1 the run has not settled.",
            what_to_try="Train longer, or let the learning rate decay towards the end.",
        ),
    )  # fmt: skip

    kind: Literal["l2", "l1", "elementwise"] = Field("l2", description="How a change is measured.")

    def applies(self, subject: Subject) -> str | None:
        """Skipped without a history."""
        return missing(subject.history, ("changes",))

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """The trajectory of the model."""
        return {"trajectory": trajectories_of(subject)}

    def measure(self, *args: Any, trajectory: Trajectory, **artifacts: Any) -> Evidence:
        """Numbers of each history, averaged over the seeds."""
        from auditor.methods.training.rates import steady_part, summary

        kept = [part for found in trajectory.changes if len((part := steady_part(found)).change) >= 2]
        columns = [summary(part, self.kind) for part in kept]
        measured, notes = [], trajectory.remarks(short=len(trajectory.changes) - len(kept))
        single: Literal["exact", "unreplicated"] = "exact" if trajectory.source == "checkpoints" else "unreplicated"
        for metric in self.metrics if kept else ():
            values = [value for column in columns if (value := column[metric.name]) is not None]
            if len(values) == len(columns):
                measured.append(self.averaged(metric.name, values, single=single))
            else:
                notes += (f"{metric.name} is not measured: too few layers or intervals moved.",)
        bounds = trajectory.bounded(measured)
        return Evidence(measurements=bounds, blocks=self._blocks(kept) if kept else (), notes=notes)

    def _blocks(self, kept: "list[Changes]") -> tuple[AnyBlock, ...]:
        from auditor.methods.training.rates import early_ratios, matrices, model_rates, tensor_rates

        first, which = kept[0], "" if len(kept) == 1 else ", first seed"
        rates, rows = tensor_rates(first, self.kind), matrices(first)
        label, names = "relative change per interval", [first.tensors[row] for row in rows]
        curve = seed_curves(
            "Change rate of the whole model", label,
            {"all trained weights": [(part.steps[1:], model_rates(part, self.kind)) for part in kept]},
            "Each point is how much the weights changed since the record before, as a share of their size.", log=True,
        )  # fmt: skip
        heat = layer_map(
            f"Change rate by layer and step{which}", label, names, first.steps[1:], rates[:, rows],
            "A row is a layer, a column a stretch of training. Empty cells did not move at all.",
        )  # fmt: skip
        return curve, heat, *layer_ratios(early_ratios(first, rates), which)
