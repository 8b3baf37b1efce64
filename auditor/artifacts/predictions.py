"""Predictions: the logits of a model on a data set, beside the labels."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from auditor.needs import Collector, Cost, Probe, Step
from auditor.subject import Subject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Predictions:
    """What a model said of each example.

    logits: float32 [n, classes]. labels: int64 [n], indices of the head. examples: digest of each example.
    groups: the unit of resampling of each example, empty if the data has none. classes: names in head order.
    halved: how often the batch size was halved because memory ran out.
    """

    logits: "NDArray[np.float32]"
    labels: "NDArray[np.int64]"
    examples: tuple[str, ...]
    groups: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    halved: int = 0

    def notes(self) -> tuple[str, ...]:
        """What the reader must know of how they were computed."""
        return halving_notes(self.halved)


def halving_notes(halved: int) -> tuple[str, ...]:
    """The sentence that marks a measurement whose batches were halved; nothing if none was."""
    times = "once" if halved == 1 else f"{halved} times"
    return (f"Memory ran out: the batch size was halved {times}, so numbers may differ in the last digits.",) * bool(
        halved
    )


@dataclass(frozen=True)
class PredictionsProbe(Probe[Predictions]):
    """The predictions on the first `rows` rows, or on all; `classes` are the names of the head's outputs."""

    artifact = Predictions
    classes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """A few words for plans and progress."""
        return "predictions"

    def cost(self) -> Cost:
        """One forward a batch."""
        return Cost(forwards=self.sweep.batch_count(self.rows))

    def collect(self) -> Collector[Predictions]:
        """A fresh collector."""
        return _Logits(self.classes)


@dataclass
class _Logits(Collector[Predictions]):
    classes: tuple[str, ...]
    logits: list[Any] = field(default_factory=list)
    labels: list[Any] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    halved: int = 0

    def see(self, step: Step) -> None:
        """Keep the logits and labels of a batch."""
        self.logits.append(step.logits.float().cpu().numpy())
        self.labels.append(step.labels.cpu().numpy())
        self.examples.extend(step.examples)
        self.groups.extend(step.batch.groups)
        self.halved = step.halved

    def result(self) -> Predictions:
        """All batches in one."""
        import numpy as np

        return Predictions(
            logits=np.concatenate(self.logits).astype(np.float32),
            labels=np.concatenate(self.labels).astype(np.int64),
            examples=tuple(self.examples),
            groups=tuple(self.groups) if any(self.groups) else (),
            classes=self.classes or tuple(f"class {index}" for index in range(self.logits[0].shape[1])),
            halved=self.halved,
        )


def predictions_of(subject: Subject, rows: int | None = None) -> PredictionsProbe:
    """The predictions of a subject's model on its data; equal for all checks that ask for them."""
    from auditor.artifacts.roots import sweep_of

    return PredictionsProbe(sweep_of(subject), rows=rows, classes=classes_of(subject))


def classes_of(subject: Subject) -> tuple[str, ...]:
    """The class names in head order, as data and model were matched."""
    return (subject.data.classes if subject.data else ()) or subject.model.classes
