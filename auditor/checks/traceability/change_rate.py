"""How fast did the weights move, and did any part move out of step with the rest?"""

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from auditor.artifacts.watched import OfHistory
from auditor.check import About, Check, Pillar
from auditor.evidence import Evidence, Metric

if TYPE_CHECKING:
    from auditor.artifacts.trajectory import Trajectory


class ChangeRate(OfHistory, Check):
    """How fast the weights moved from record to record, and whether a layer moved out of step.

    Figure: change rates by layer and step, and quantile bands.
    """

    pillar: ClassVar[Pillar] = "traceability"
    version: ClassVar[int] = 5
    about: ClassVar[About] = About(
        title="Change rate of the weights",
        question="How fast did the weights move, and did any layer move out of step with the others?",
        formula="rate = norm(change over an interval) / max(norm(weights at its start), floor)",
        method=(
            "Every tensor is compared with itself at the next record of the training run or its trace, or at the next "
            "checkpoint on disk; intervals shorter than half or longer than one and a half times the usual are left "
            "out. The rate of the model takes all trained tensors as one vector; the rate of a layer takes the "
            "tensor alone. With kind l1 both norms are sums of absolute values; with kind elementwise the rate is the "
            "mean over the elements of each element's own relative change, with a floor of a thousandth of the "
            "tensor's root mean square. Where the audit trained several seeds, each number is the mean over the seeds "
            "with Student's interval; a trace or a series of checkpoints is one history, and its numbers are exact "
            "facts. Where weights are stored in 16 bits, a change of less than three times what rounding alone gives "
            "is not decidable, and what rests on it is not measured."
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

    def measure(self, *args: Any, trajectory: "Trajectory", **artifacts: Any) -> Evidence:
        """Numbers of each history, averaged over the seeds."""
        from auditor.artifacts.rate_figures import rate_figures
        from auditor.methods.training.rates import oddities, steady_part, summary, undecidable

        kept = [part for found in trajectory.changes if len((part := steady_part(found)).change) >= 2]
        columns = [summary(part, self.kind) for part in kept]
        measured, notes = [], trajectory.remarks(short=len(trajectory.changes) - len(kept))
        single: Literal["exact", "unreplicated"] = "unreplicated" if trajectory.source == "finetune" else "exact"
        notes += tuple(dict.fromkeys(said for part in trajectory.changes for said in oddities(part)))
        hidden = {name: why for part in kept for name, why in undecidable(part).items()}
        for metric in self.metrics if kept else ():
            values = [value for column in columns if (value := column[metric.name]) is not None]
            if metric.name in hidden or len(values) < len(columns):
                why = hidden.get(metric.name, "too few layers or intervals moved")
                notes += (f"{metric.name} is not measured: {why}.",)
            else:
                measured.append(self.averaged(metric.name, values, single=single))
        bounds = trajectory.bounded(measured)
        return Evidence(measurements=bounds, blocks=rate_figures(kept, self.kind) if kept else (), notes=notes)
