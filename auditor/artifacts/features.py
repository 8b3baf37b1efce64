"""Features: a short description of each example in numbers, beside what the model said of it."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.artifacts.predictions import classes_of, halving_notes
from auditor.artifacts.roots import sweep_of
from auditor.errors import NotApplicable
from auditor.needs import Collector, Cost, Probe, Step, Tap
from auditor.subject import Subject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HEAD = Tap("units", "head-input")


@dataclass(frozen=True)
class Features:
    """table: float32 [n, features]; predicted: int64 [n], the class that the model says.

    names: of the features: a table's columns, or the units that enter the head, each averaged over the places of the
    example where it has some. head: the head's name, empty where the features are columns. classes: in head order.
    """

    table: "NDArray[np.float32]"
    names: tuple[str, ...]
    head: str
    predicted: "NDArray[np.int64]"
    classes: tuple[str, ...]
    examples: tuple[str, ...]
    groups: tuple[str, ...] = ()
    halved: int = 0
    remarks: tuple[str, ...] = ()

    def notes(self) -> tuple[str, ...]:
        """What the reader must know of how they were computed."""
        return (*self.remarks, *halving_notes(self.halved))


@dataclass(frozen=True)
class FeaturesProbe(Probe[Features]):
    """The columns of a table as the model takes them, or else what enters the model's last linear layer."""

    version: ClassVar[int] = 1
    artifact: ClassVar[type] = Features
    names: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """A few words for plans and progress."""
        return "features of the examples"

    def cost(self) -> Cost:
        """One forward a batch."""
        return Cost(forwards=self.sweep.batch_count(self.rows))

    def collect(self) -> Collector[Features]:
        """A fresh collector."""
        return _Describing(self)


def features_of(subject: Subject, rows: int) -> FeaturesProbe:
    """The features of a subject's data."""
    tabular = subject.model.modality == "tabular"
    names = subject.data.columns if tabular and subject.data is not None else ()
    taps = frozenset() if tabular else frozenset({HEAD})
    return FeaturesProbe(sweep_of(subject), taps, rows, names, classes_of(subject))


@dataclass
class _Describing(Collector[Features]):
    probe: FeaturesProbe
    tables: list[Any] = field(default_factory=list)
    predicted: list[Any] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    head: str = ""
    outputs: int = 0
    halved: int = 0
    loader: Any = None

    def see(self, step: Step) -> None:
        """Describe the examples of one batch."""
        if HEAD in self.probe.taps:
            if not step.taps[HEAD]:
                raise NotApplicable("the model has no linear layer whose input could describe its examples")
            ((self.head, seen),) = step.taps[HEAD].items()
            self.tables.append(seen.mean.float().numpy())
        else:
            self.tables.append(step.inputs.flatten(1).float().cpu().numpy())
        self.predicted.append(step.logits.argmax(dim=1).cpu().numpy())
        self.examples.extend(step.examples)
        self.groups.extend(step.batch.groups)
        self.outputs, self.halved, self.loader = step.logits.shape[1], step.halved, step.loader

    def result(self) -> Features:
        """All batches in one."""
        import numpy as np

        table = np.concatenate(self.tables).astype(np.float32)
        noun = "unit" if self.head else "column"
        first = 0 if self.head else 1
        names = self.probe.names if len(self.probe.names) == table.shape[1] else ()
        return Features(
            table=table,
            names=names or tuple(f"{noun} {at + first}" for at in range(table.shape[1])),
            head=self.head,
            predicted=np.concatenate(self.predicted).astype(np.int64),
            classes=self.probe.classes or tuple(f"class {index}" for index in range(self.outputs)),
            examples=tuple(self.examples),
            groups=tuple(self.groups) if any(self.groups) else (),
            halved=self.halved,
            remarks=self.loader.remarks(len(self.examples)) if self.loader else (),
        )
