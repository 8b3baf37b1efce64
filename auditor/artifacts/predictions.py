"""Predictions: the logits of a model on a data set, beside the labels."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.artifacts.targets import aim_of
from auditor.needs import Collector, Cost, Derived, Need, Probe, Step
from auditor.subject import UNLABELLED, Subject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Predictions:
    """What a model said of each example.

    logits: float32 [n, classes]; of a regression its outputs [n, 1]. labels: int64 [n], indices of the head, -1 where
    there is none. targets: float64 [n], the true numbers of a regression, else None. examples: digest of each example.
    groups: the unit of resampling of each example, empty if the data has none. classes: names in head order.
    halved: how often the batch size was halved because memory ran out. remarks: what the data say of themselves
    (rows that could not be read, texts that were cut).
    """

    logits: "NDArray[np.float32]"
    labels: "NDArray[np.int64]"
    examples: tuple[str, ...]
    groups: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    halved: int = 0
    remarks: tuple[str, ...] = ()
    targets: "NDArray[np.float64] | None" = None

    def notes(self) -> tuple[str, ...]:
        """What the reader must know of how they were computed."""
        return (*self.remarks, *self._absent(), *halving_notes(self.halved))

    def _absent(self) -> tuple[str, ...]:
        present = set(self.labels.tolist())
        if present == {UNLABELLED}:
            return ()
        absent = [name for index, name in enumerate(self.classes) if index not in present]
        if not absent:
            return ()
        names = ", ".join(absent[:5]) + (" ..." if len(absent) > 5 else "")
        return (f"{len(absent)} of {len(self.classes)} classes have no example here; nothing is said of {names}.",)


def halving_notes(halved: int) -> tuple[str, ...]:
    """The sentence that marks a measurement whose batches were halved; nothing if none was."""
    times = "once" if halved == 1 else f"{halved} times"
    return (f"Memory ran out: the batch size was halved {times}, so numbers may differ in the last digits.",) * bool(
        halved
    )


@dataclass(frozen=True)
class PredictionsProbe(Probe[Predictions]):
    """The predictions on the first `rows` rows, or on all; `classes` are the names of the head's outputs."""

    version: ClassVar[int] = 3
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
    loader: Any = None

    def see(self, step: Step) -> None:
        """Keep the logits and labels of a batch."""
        self.logits.append(step.logits.float().cpu().numpy())
        self.labels.append(step.labels.cpu().numpy())
        self.examples.extend(step.examples)
        self.groups.extend(step.batch.groups)
        self.halved, self.loader = step.halved, step.loader

    def result(self) -> Predictions:
        """All batches in one."""
        import numpy as np

        labels = np.concatenate(self.labels)
        numbers = labels.dtype.kind == "f"
        return Predictions(
            logits=np.concatenate(self.logits).astype(np.float32),
            labels=np.full(len(labels), UNLABELLED, dtype=np.int64) if numbers else labels.astype(np.int64),
            targets=labels.astype(np.float64) if numbers else None,
            examples=tuple(self.examples),
            groups=tuple(self.groups) if any(self.groups) else (),
            classes=self.classes or tuple(f"class {index}" for index in range(self.logits[0].shape[1])),
            halved=self.halved,
            remarks=self.loader.remarks(len(self.examples)) if self.loader else (),
        )


def predictions_of(subject: Subject, rows: int | None = None) -> PredictionsProbe:
    """The predictions of a subject's model on its data; equal for all checks that ask for them."""
    from auditor.artifacts.roots import sweep_of

    return PredictionsProbe(sweep_of(subject), rows=rows, classes=classes_of(subject))


def classes_of(subject: Subject, target: str = "predicted") -> tuple[str, ...]:
    """The names of the outputs that are explained: classes in head order, as data and model were matched.

    Of a target that is the model's single output, its own name; of language models and encoders none.
    """
    model = subject.model
    if aim_of(target).kind != "plain":
        return (target,)
    if model.task == "regression":
        return model.classes or tuple(f"output[{index}]" for index in range(model.outputs))
    if model.task != "classification":
        return ()
    return (subject.data.classes if subject.data else ()) or model.classes


@dataclass(frozen=True)
class Others:
    """Predictions on further data sets, by the parameter that named each; empty if none was named."""

    found: Mapping[str, Predictions]


@dataclass(frozen=True)
class OthersOf(Derived[Others]):
    """Predictions on the further data sets that a check's spec names, however many these are."""

    artifact: ClassVar[type] = Others
    tensors: ClassVar[bool] = False
    probes: tuple[tuple[str, PredictionsProbe], ...] = ()

    @property
    def title(self) -> str:
        """A few words for plans and progress."""
        return "predictions on further data"

    def needs(self) -> Mapping[str, Need[Any]]:
        """The predictions on each."""
        return dict(self.probes)

    def build(self, *args: Any, **upstream: Any) -> Others:
        """All in one."""
        return Others(upstream)


def others_of(subject: Subject, parameters: tuple[str, ...], rows: int | None = None) -> OthersOf:
    """The predictions of a subject's model on those of its further data sets that were given."""
    given = [(name, subject.others[name]) for name in parameters if name in subject.others]
    return OthersOf(
        tuple((name, predictions_of(subject.model_copy(update={"data": data}), rows)) for name, data in given)
    )
