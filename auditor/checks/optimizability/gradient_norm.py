"""Do gradients stay in a healthy range, in time and over the layers?"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.artifacts.curves import gradient_layers, seed_curves
from auditor.artifacts.trajectory import Trajectory, missing, trajectories_of
from auditor.blocks import AnyBlock
from auditor.check import About, Check, Pillar
from auditor.evidence import Evidence, Measurement, Metric, Quantiles
from auditor.needs import Need
from auditor.subject import Subject

if TYPE_CHECKING:
    from auditor.methods.training.record import Run

MIN_STEPS = 8
NO_LAYERS = "a run has no record of a trained tensor of two dimensions"


class GradientNorm(Check):
    """Whether gradients stay in a healthy range over the steps and over the layers."""

    pillar: ClassVar[Pillar] = "optimizability"
    about: ClassVar[About] = About(
        title="Gradient norm",
        question="Do the gradients stay in a healthy range, and do they reach every layer?",
        formula="trend = least-squares slope of log norm(gradient) against the step, times 100",
        method=(
            "During the fine-tune the norm of the gradient was recorded at every step, before any clipping, and the "
            "norm of each tensor's gradient at every record. The trend is taken over the mean of the log norms of the "
            "seeds; its interval comes from redrawing blocks of neighbouring steps, since neighbours are alike. A "
            "layer vanishes if its root mean square gradient is below a ten-thousandth of the median layer's in at "
            "least half of the records. It explodes if it is ever not finite, rises above a hundred times its own "
            "median so far, or lies above ten thousand times the median layer's in half of the records. Only tensors "
            "of two or more dimensions that the recipe trains are counted. The noise scale compares the gradients of "
            "two separate batches at each record, in evaluation mode."
        ),
        reading=(
            "A norm that falls or stays level is healthy; a steady rise announces divergence. In the map of layers, "
            "rows of similar brightness mean that every layer learns; a dark row gets no gradient, and a row that "
            "flares up is unstable. A noise scale far above the batch size means that larger batches would still help."
        ),
        limits=(
            "The size of a gradient depends on the scale of loss and weights, so norms of different models are not "
            "compared. The interval of the trend speaks of the recorded runs, not of fresh seeds. The noise scale is "
            "a mean over a run in which it grows, and is left out when the gradient may be zero."
        ),
        citation="McCandlish, Kaplan, Amodei et al., An Empirical Model of Large-Batch Training (2018); Glorot & "
        "Bengio, Understanding the Difficulty of Training Deep Feedforward Neural Networks (2010).",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            name="trend", unit="per 100 steps", better="down", interval="moving_blocks", resampling="record",
            doc="Slope of the log gradient norm per 100 steps; 0.7 means that the norm doubles every 100 steps.",
            what_to_try="Lower the learning rate or clip gradients; a rising norm often ends in divergence.",
        ),
        Metric(
            name="vanishing_layers", unit="layers", better="down", interval="t", resampling="seed",
            doc="Layers whose root mean square gradient is below 1e-4 of the median layer's in half of the records.",
            what_to_try="Look at the initialization and activation before the dark rows, or give them a skip path.",
        ),
        Metric(
            name="exploding_layers", unit="layers", better="down", interval="t", resampling="seed",
            doc="Layers whose gradient is not finite, above 100 times its own running median, or above 1e4 times the "
            "median layer's in half of the records.",
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

    def applies(self, subject: Subject) -> str | None:
        """Skipped without recorded gradients."""
        return missing(subject.history, ("gradients",))

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """The records of all seeds."""
        return {"trajectory": trajectories_of(subject)}

    def measure(self, *args: Any, trajectory: Trajectory, seed: int = 0, **artifacts: Any) -> Evidence:
        """Norms over the steps, and the layers that fall out of range."""
        from auditor.methods.training.gradients import layers_of, median_norm, noise_scale

        runs = trajectory.runs
        layers = [layers_of(run) for run in runs]
        per_seed: list[tuple[str, list[float | None], str]] = [
            ("vanishing_layers", [found.vanishing_count for found in layers], NO_LAYERS),
            ("exploding_layers", [found.exploding_count for found in layers], NO_LAYERS),
            ("gradient_norm", [median_norm(run) for run in runs], "a run has no finite gradient"),
            ("noise_scale", [noise_scale(run).value for run in runs], "the mean gradient over a run may be zero"),
        ]
        measured, notes = self._trend(runs, seed)
        for name, column, reason in per_seed:
            values = [value for value in column if value is not None]
            if len(values) == len(runs):
                measured.append(self.averaged(name, values))
            else:
                notes.append(f"{name} is not determined: {reason}.")
        blocks = (self._curve(runs), *gradient_layers(layers))
        said = tuple(filter(None, [*notes, trajectory.diverged()]))
        return Evidence(measurements=tuple(measured), blocks=blocks, notes=said)

    def _trend(self, runs: "tuple[Run, ...]", seed: int) -> tuple[list[Measurement], list[str]]:
        from auditor.methods.training.gradients import log_norms, slope
        from auditor.statistics import moving_blocks

        steps, logs = log_norms(runs)
        if len(steps) < MIN_STEPS:
            return [], [f"The trend is not measured: {len(steps)} steps have a gradient, {MIN_STEPS} are needed."]
        drawn = moving_blocks(lambda rows: 100 * slope(steps[rows], logs[rows]), len(steps), seed)
        return [self.replicated("trend", 100 * slope(steps, logs), Quantiles(values=drawn), n=len(steps))], []

    def _curve(self, runs: "tuple[Run, ...]") -> AnyBlock:
        histories = [(run.steps(), run.gradient_norm) for run in runs]
        reading = "Each point is the length of the gradient of one step; level or falling is healthy."
        return seed_curves("Gradient norm", "norm before clipping", {"whole model": histories}, reading, log=True)
