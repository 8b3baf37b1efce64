"""Attributions: maps of one method over the first examples; those of one pass come from the sweep that predicts."""

from abc import abstractmethod
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from auditor.artifacts.explained import Explained, Explaining
from auditor.needs import Collector, Cost, Probe, Step, Tap

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

INPUT, GRADIENT = Tap("input"), Tap("input_gradient")
Channels = Literal["max", "sum"]
Weights = Literal["mean", "elementwise"]


@dataclass(frozen=True)
class Attributions:
    """Maps of one method, row for row with `explained`.

    maps: float32 at native resolution: pictures [n, h, w], texts [n, tokens] (special ones included, padding cut off
    and the shorter texts filled up with zeros), rows [n, columns]. lengths: places of each example that are its own.
    layer: where they come from, if from a layer. facts: further numbers of each example, float64 [n], by name.
    halved: how often batches were halved for them, beyond those that predicted. difference: of the quick copy that
    they ran on, see methods/quick.py; None for the model itself.
    """

    maps: "NDArray[np.float32]"
    lengths: "NDArray[np.int64]"
    explained: Explained
    layer: str = ""
    facts: "dict[str, NDArray[np.float64]]" = field(default_factory=dict)
    halved: int = 0
    difference: float | None = None

    def notes(self) -> tuple[str, ...]:
        """What the reader must know of how they were computed."""
        said = replace(self.explained, halved=self.explained.halved + self.halved).notes()
        return (*said, *copy_notes(self.difference))

    @property
    def without_order(self) -> "NDArray[np.bool_]":
        """Which maps have the same value everywhere, [n]: nothing in them comes before anything else."""
        import numpy as np

        return np.array([np.ptp(row.ravel()[:size]) == 0 for row, size in zip(self.maps, self.lengths, strict=True)])

    def empty(self) -> list[bool]:
        """Which maps are zero at every place."""
        return [not line.any() for line in self.maps]

    def concentrations(self) -> tuple[list[float], tuple[str, ...]]:
        """The Gini coefficients of the maps that are not empty, over their own places, and the groups of these."""
        from auditor.methods.attribution.concentration import gini

        groups = self.explained.groups
        kept = [row for row, empty in enumerate(self.empty()) if not empty]
        found = [gini(self.maps[row].ravel()[: self.lengths[row]]) for row in kept]
        return found, tuple(groups[row] for row in kept) if groups else ()


def copy_notes(difference: float | None) -> tuple[str, ...]:
    """The sentence that tells how far the quick copy of a model is from it; nothing for the model itself.

    >>> copy_notes(4.2e-06), copy_notes(None)
    (('Many passes ran on a folded copy of the model; its logits differ by at most 4e-06 of their spread.',), ())
    """
    if difference is None:
        return ()
    size = f"{difference:.0e} of their spread"
    return (f"Many passes ran on a folded copy of the model; its logits differ by at most {size}.",)


@dataclass
class Lines:
    """Gathers maps batch by batch; what lies on padding is no part of a text's map."""

    maps: list[Any] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    facts: dict[str, list[Any]] = field(default_factory=dict)
    layer: str = ""
    halved: int = 0

    def add(self, found: Any, inputs: Any) -> None:
        """The Maps of one batch, made from these inputs."""
        import numpy as np

        values = found.values.float().cpu().numpy()
        own = inputs.get("attention_mask") if isinstance(inputs, dict) else None
        inside = np.ones(values.shape, dtype=bool) if own is None else own.cpu().numpy().astype(bool)
        self.lengths += inside.reshape(len(values), -1).sum(axis=1).tolist()
        self.maps += list(values) if own is None else [line[kept] for line, kept in zip(values, inside, strict=True)]
        self.layer, self.halved = found.layer, self.halved + found.halved
        for name, column in found.facts.items():
            self.facts.setdefault(name, []).append(column.double().cpu().numpy())

    def result(self, explained: Explained) -> Attributions:
        """All maps; those of shorter texts are filled up with zeros."""
        import numpy as np

        if len({line.shape for line in self.maps}) > 1:
            width = max(line.shape[0] for line in self.maps)
            self.maps = [np.pad(line, (0, width - len(line))) for line in self.maps]
        return Attributions(
            maps=np.stack(self.maps).astype(np.float32),
            lengths=np.array(self.lengths, dtype=np.int64),
            explained=explained,
            layer=self.layer,
            facts={name: np.concatenate(parts) for name, parts in self.facts.items()},
            halved=self.halved,
        )


@dataclass(frozen=True)
class PassProbe(Probe[Attributions]):
    """What all maps of a single pass share. classes: names in head order."""

    version: ClassVar[int] = 4
    artifact: ClassVar[type] = Attributions
    classes: tuple[str, ...] = ()

    def cost(self) -> Cost:
        """One forward and one backward a batch."""
        count = self.sweep.batch_count(self.rows)
        return Cost(forwards=count, backwards=count)

    def collect(self) -> Collector[Attributions]:
        """A fresh collector."""
        return _Gathering(self, Explaining(self.classes))

    @abstractmethod
    def of(self, step: Step) -> Any:
        """The Maps of one batch."""


@dataclass(frozen=True)
class SaliencyProbe(PassProbe):
    """Saliency; `channels` says how the channels of a picture become one value."""

    channels: Channels = "max"

    @property
    def title(self) -> str:
        """A few words for plans and progress."""
        return "saliency maps"

    def of(self, step: Step) -> Any:
        """Absolute gradients."""
        from auditor.methods.attribution.method import Maps
        from auditor.methods.attribution.saliency import saliency

        return Maps(saliency(step.taps[GRADIENT], self.channels))


@dataclass(frozen=True)
class InputXGradientProbe(PassProbe):
    """Input x gradient."""

    @property
    def title(self) -> str:
        """A few words for plans and progress."""
        return "input x gradient maps"

    def of(self, step: Step) -> Any:
        """Products, summed over what belongs to one place."""
        from auditor.methods.attribution.input_x_gradient import input_x_gradient
        from auditor.methods.attribution.method import Maps

        return Maps(input_x_gradient(step.taps[INPUT], step.taps[GRADIENT]))


@dataclass(frozen=True)
class GradCamProbe(PassProbe):
    """Grad-CAM at one layer, or at "auto"."""

    layer: str = "auto"
    weights: Weights = "mean"
    relu: bool = True

    @property
    def title(self) -> str:
        """A few words for plans and progress."""
        return f"Grad-CAM maps ({self.layer})"

    def of(self, step: Step) -> Any:
        """The maps of a batch; NotApplicable for a layer without spatial extent."""
        from auditor.methods.attribution.grad_cam import grad_cam, require_extent
        from auditor.methods.attribution.method import Maps

        kept, slope = Tap("activation", self.layer), Tap("activation_gradient", self.layer)
        activation, layer = step.taps[kept], step.layers[kept]
        require_extent(activation, layer)
        return Maps(grad_cam(activation, step.taps[slope], self.weights, self.relu), layer=layer)


@dataclass
class _Gathering(Collector[Attributions]):
    probe: PassProbe
    explaining: Explaining
    lines: Lines = field(default_factory=Lines)

    def see(self, step: Step) -> None:
        """The maps of a batch, and its examples."""
        self.lines.add(self.probe.of(step), step.inputs)
        self.explaining.see(step)

    def result(self) -> Attributions:
        """All batches in one."""
        return self.lines.result(self.explaining.result())
