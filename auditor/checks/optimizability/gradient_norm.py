"""Do gradients stay in a healthy range, in time and over the layers?"""

from typing import TYPE_CHECKING, Any, ClassVar

from auditor.artifacts.watched import OfRuns
from auditor.blocks import AnyBlock
from auditor.check import About, Check, Pillar
from auditor.evidence import Evidence, Measurement, Metric, Quantiles

if TYPE_CHECKING:
    from auditor.artifacts.trajectory import Trajectory
    from auditor.methods.training.record import Run

NO_LAYERS = "a run has no record of a trained tensor of two dimensions"
UNDETERMINED = {
    "vanishing_layers": NO_LAYERS, "exploding_layers": NO_LAYERS, "gradient_norm": "a run has no finite gradient",
    "noise_scale": "over the records of a run the squared mean gradient is not told from zero, or there are fewer than "
    "two records or rows",
}  # fmt: skip


class GradientNorm(OfRuns, Check):
    """Whether gradients stay in a healthy range over the steps and over the layers.

    Figure: the gradient norm against the step, and by layer.
    """

    pillar: ClassVar[Pillar] = "optimizability"
    version: ClassVar[int] = 3
    about: ClassVar[About] = About(
        title="Gradient norm",
        question="Do the gradients stay in a healthy range, and do they reach every layer?",
        formula="trend = least-squares slope of log norm(gradient) against the step, times 100",
        method=(
            "The norm of the gradient was recorded at every step of the fine-tune, before any clipping, and that of "
            "each tensor's gradient at every record. With five seeds or more the trend is the mean of the seeds' own, "
            "with Student's interval. With fewer it is that of their mean log norm, by redrawing blocks of steps as "
            "long as their likeness asks for; n is then the number of independent steps that they are worth. A layer "
            "vanishes if its root mean square gradient is below a ten-thousandth of the median layer's in at least "
            "half of the records. It explodes if it is ever not finite, rises above a hundred times its own median so "
            "far, or lies above ten thousand times the median layer's in half of the records. Trained tensors of two "
            "or more dimensions are counted, in the worst of the recorded runs. The noise scale compares the gradients "
            "of two separate batches at each record, in evaluation mode."
        ),
        reading=(
            "A norm that falls or stays level is healthy; a steady rise announces divergence. In the map of layers, "
            "rows of similar brightness mean that every layer learns; a dark row gets no gradient, and a row that "
            "flares up is unstable. A noise scale far above the batch size means that larger batches would still help."
        ),
        limits=(
            "The size of a gradient depends on the scale of loss and weights, so norms of different models are not "
            "compared. The counts of layers are facts about the recorded runs and promise nothing of a fresh seed. So "
            "is the trend of fewer than five seeds; its intervals hold the truth in little more than nine of ten "
            "series; where steps are strongly alike they are soon too few to decide. If a run "
            "diverged, every number is a lower bound. The noise scale is left out when the gradient may be zero."
        ),
        citation="McCandlish, Kaplan, Amodei et al., An Empirical Model of Large-Batch Training (2018); Glorot & "
        "Bengio, Understanding the Difficulty of Training Deep Feedforward Neural Networks (2010).",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            name="trend", unit="per 100 steps", better="down", interval="t", resampling="seed",
            doc="Slope of the log gradient norm per 100 steps; 0.7 means that the norm doubles every 100 steps.",
            what_to_try="Lower the learning rate or clip gradients; a rising norm often ends in divergence.",
        ),
        Metric(
            name="vanishing_layers", unit="layers", better="down", resampling="seed",
            doc="Layers whose rms gradient is 0 or below 1e-4 of the median's in half the records; worst recorded run.",
            what_to_try="Look at the initialization and activation before the dark rows, or give them a skip path.",
        ),
        Metric(
            name="exploding_layers", unit="layers", better="down", resampling="seed",
            doc="Layers whose gradient is not finite, above 100 times its own running median, or above 1e4 times the "
            "median layer's in half of the records; worst recorded run.",
            what_to_try="Clip gradients, lower the learning rate, or look at the inputs where the row flares.",
        ),
        Metric(
            name="gradient_norm", better="down", thresholdable=False, interval="t", resampling="seed",
            doc="Norm of the whole gradient before clipping, the median over the steps.",
        ),
        Metric(
            name="noise_scale", unit="examples", better="down", thresholdable=False, interval="t", resampling="seed",
            doc="Gradient noise scale tr(S) / |G|^2: the batch size at which noise and signal are equal.",
        ),
    )  # fmt: skip

    def measure(self, *args: Any, trajectory: "Trajectory", seed: int = 0, **artifacts: Any) -> Evidence:
        """Norms over the steps, and the layers that fall out of range; after a divergence all are lower bounds."""
        from auditor.artifacts.curves import gradient_layers
        from auditor.methods.training.gradients import columns, layers_of

        runs = trajectory.runs
        layers = [layers_of(run) for run in runs]
        measured = self._trend(runs, seed)
        notes = [] if measured else ["The trend is not measured: too few steps of a run have a gradient."]
        for name, column in columns(runs, layers).items():
            values = [value for value in column if value is not None]
            if len(values) < len(runs):
                notes.append(f"{name} is not determined: {UNDETERMINED[name]}.")
            elif self.metric(name).interval == "none":
                measured.append(self.exact(name, max(values), n=len(runs)))
            else:
                measured.append(self.averaged(name, values))
        said, blocks = (*notes, *trajectory.notes()), (self._curve(runs), *gradient_layers(layers))
        return Evidence(measurements=trajectory.bounded(measured), blocks=blocks, notes=said)

    def _trend(self, runs: "tuple[Run, ...]", seed: int) -> list[Measurement]:
        from auditor.methods.training.trend import trend

        found = trend(runs, seed)
        if found is None or not found.quantiles:
            return [self.averaged("trend", found.slopes)] if found else []
        drawn = self.replicated("trend", found.slopes[0], Quantiles(values=found.quantiles), n=found.worth)
        return [drawn.model_copy(update={"method": "moving_blocks", "unit_of_resampling": "record"})]

    def _curve(self, runs: "tuple[Run, ...]") -> AnyBlock:
        from auditor.artifacts.curves import seed_curves

        histories = {"whole model": [(run.steps(), run.gradient_norm) for run in runs]}
        reading = "Each point is the length of the gradient of one step; level or falling is healthy."
        return seed_curves("Gradient norm", "norm before clipping", histories, reading, log=True)
