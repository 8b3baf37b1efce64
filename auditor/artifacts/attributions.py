"""Attributions: saliency and Grad-CAM maps of the first examples, gathered in the sweep that predicts."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from auditor.artifacts.explained import Explained, Explaining
from auditor.artifacts.predictions import classes_of
from auditor.errors import NotApplicable
from auditor.needs import Collector, Cost, Probe, Step, Tap
from auditor.subject import Subject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

INPUT = Tap("input_gradient")


@dataclass(frozen=True)
class SaliencyMaps:
    """Absolute gradients of the target's logit.

    maps: float32 [n, h, w] of pictures, [n, tokens] of texts, [n, features] of rows. lengths: places of each example
    that are its own (tokens without padding); beyond them a map is zero.
    """

    maps: "NDArray[np.float32]"
    lengths: "NDArray[np.int64]"
    explained: Explained


@dataclass(frozen=True)
class GradCamMaps:
    """Class activation maps at native resolution, float32 [n, h, w], and the name of the layer that they come from."""

    maps: "NDArray[np.float32]"
    layer: str
    explained: Explained


@dataclass(frozen=True)
class SaliencyProbe(Probe[SaliencyMaps]):
    """Saliency of the first `rows` rows; `reduce` says how the channels of a picture become one value."""

    version: ClassVar[int] = 3
    artifact = SaliencyMaps
    reduce: Literal["max", "sum"] = "max"
    classes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """A few words for plans and progress."""
        return "saliency maps"

    def cost(self) -> Cost:
        """One forward and one backward a batch."""
        return _passes(self)

    def collect(self) -> Collector[SaliencyMaps]:
        """A fresh collector."""
        return _Saliency(self.reduce, Explaining(self.classes))


@dataclass(frozen=True)
class GradCamProbe(Probe[GradCamMaps]):
    """Grad-CAM of the first `rows` rows at one layer, or at "auto"."""

    version: ClassVar[int] = 3
    artifact = GradCamMaps
    layer: str = "auto"
    weights: Literal["mean", "elementwise"] = "mean"
    relu: bool = True
    classes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """A few words for plans and progress."""
        return f"Grad-CAM maps ({self.layer})"

    def cost(self) -> Cost:
        """One forward and one backward a batch."""
        return _passes(self)

    def collect(self) -> Collector[GradCamMaps]:
        """A fresh collector."""
        return _GradCam(self, Explaining(self.classes))


def saliency_of(subject: Subject, rows: int, target: str, reduce: Literal["max", "sum"]) -> SaliencyProbe:
    """The saliency maps of a subject's model."""
    from auditor.artifacts.roots import sweep_of

    return SaliencyProbe(sweep_of(subject, target), frozenset({INPUT}), rows, reduce, classes_of(subject))


def grad_cam_of(
    subject: Subject, rows: int, target: str, layer: str, weights: Literal["mean", "elementwise"], relu: bool
) -> GradCamProbe:
    """The Grad-CAM maps of a subject's model at one layer."""
    from auditor.artifacts.roots import sweep_of

    taps = frozenset({Tap("activation", layer), Tap("activation_gradient", layer)})
    return GradCamProbe(sweep_of(subject, target), taps, rows, layer, weights, relu, classes_of(subject))


@dataclass
class _Saliency(Collector[SaliencyMaps]):
    reduce: Literal["max", "sum"]
    explaining: Explaining
    maps: list[Any] = field(default_factory=list)
    lengths: list[Any] = field(default_factory=list)

    def see(self, step: Step) -> None:
        """The maps of a batch; what lies on padding is no part of a text's map."""
        from auditor.methods.attribution.saliency import saliency

        found = saliency(step.taps[INPUT], self.reduce).float().cpu().numpy()
        own = step.inputs.get("attention_mask") if isinstance(step.inputs, dict) else None
        if own is not None:
            inside = own.cpu().numpy().astype(bool)
            self.lengths.extend(inside.sum(axis=1).tolist())
            self.maps.extend(line[kept] for line, kept in zip(found, inside, strict=True))
        else:
            self.lengths.extend([found[0].size] * len(found))
            self.maps.extend(found)
        self.explaining.see(step)

    def result(self) -> SaliencyMaps:
        """All maps; those of shorter texts are filled up with zeros."""
        import numpy as np

        shapes = {line.shape for line in self.maps}
        if len(shapes) > 1:
            width = max(shape[0] for shape in shapes)
            self.maps = [np.pad(line, (0, width - len(line))) for line in self.maps]
        return SaliencyMaps(
            maps=np.stack(self.maps).astype(np.float32),
            lengths=np.array(self.lengths, dtype=np.int64),
            explained=self.explaining.result(),
        )


@dataclass
class _GradCam(Collector[GradCamMaps]):
    probe: GradCamProbe
    explaining: Explaining
    maps: list[Any] = field(default_factory=list)
    layer: str = ""

    def see(self, step: Step) -> None:
        """The maps of a batch."""
        from auditor.methods.attribution.grad_cam import grad_cam

        kept, slope = Tap("activation", self.probe.layer), Tap("activation_gradient", self.probe.layer)
        self.layer = step.layers[kept]
        activation = step.taps[kept]
        if activation.ndim != 4:
            raise NotApplicable(
                f"layer {self.layer!r} has no spatial extent: its output is {' x '.join(map(str, activation.shape))}"
            )
        found = grad_cam(activation, step.taps[slope], self.probe.weights, self.probe.relu)
        self.maps.append(found.float().cpu().numpy())
        self.explaining.see(step)

    def result(self) -> GradCamMaps:
        """All maps."""
        import numpy as np

        return GradCamMaps(np.concatenate(self.maps).astype(np.float32), self.layer, self.explaining.result())


def _passes(probe: Probe[Any]) -> Cost:
    count = probe.sweep.batch_count(probe.rows)
    return Cost(forwards=count, backwards=count)
