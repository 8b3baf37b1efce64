"""Explained: the examples behind attribution maps, and the few of them that a report can show."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.artifacts.predictions import halving_notes
from auditor.needs import Collector, Cost, Probe, Step
from auditor.sources.encode import Texts
from auditor.subject import UNLABELLED

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SHOWN = 6


@dataclass(frozen=True)
class Explained:
    """The examples of attribution maps, row for row.

    labels, targets and predicted: int64 [n], head indices; `targets` is whose logit was explained. confidence:
    float32 [n], the softmax of the predicted class, for captions only. scores: float32 [n], the
    explained logit. classes: names in head order; names: of a language model's tokens, only those that occur here.
    columns: names of a table's inputs. pictures:
    uint8 [h, w, 3] of the first examples, as the model saw them. tokens: those of the first texts. halved: how often
    the batch size was halved because memory ran out. remarks: what the data say of themselves.
    """

    labels: "NDArray[np.int64]"
    targets: "NDArray[np.int64]"
    predicted: "NDArray[np.int64]"
    confidence: "NDArray[np.float32]"
    examples: tuple[str, ...]
    groups: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    scores: "NDArray[np.float32] | None" = None
    pictures: "tuple[NDArray[np.uint8], ...]" = ()
    tokens: tuple[tuple[str, ...], ...] = ()
    halved: int = 0
    remarks: tuple[str, ...] = ()
    names: dict[int, str] = field(default_factory=dict)
    columns: tuple[str, ...] = ()

    def name(self, index: int) -> str:
        """The name of an output."""
        return self.classes[index] if self.classes else self.names[int(index)]

    def column(self, index: int) -> str:
        """The name of a table's input."""
        return self.columns[index] if self.columns else f"column {index + 1}"

    def caption(self, row: int) -> str:
        """What the model said of the example, how sure it was, and the label and the explained class where they differ.

        >>> import numpy as np
        >>> one, other = np.array([1]), np.array([0])
        >>> sure = np.array([0.9])
        >>> Explained(one, one, one, sure, ("x",), classes=("cat", "dog")).caption(0)
        'dog 0.90'
        >>> Explained(other, other, one, sure, ("x",), classes=("cat", "dog")).caption(0)
        'dog 0.90, label cat, explained cat'

        A single output has a score and no rivals: 'unit:layer4[3] 0.21'.
        """
        if len(self.classes) == 1:
            return self.classes[0] if self.scores is None else f"{self.classes[0]} {self.scores[row]:.3g}"
        said = [f"{self.name(self.predicted[row])} {self.confidence[row]:.2f}"]
        others = (("label", self.labels[row]), ("explained", self.targets[row]))
        known = [(word, index) for word, index in others if index not in (UNLABELLED, self.predicted[row])]
        said += [f"{word} {self.name(index)}" for word, index in known if self.classes or word != "label"]
        return ", ".join(said)

    def notes(self) -> tuple[str, ...]:
        """What the reader must know of how they were computed."""
        return (*self.remarks, *halving_notes(self.halved))


@dataclass
class Explaining(Collector[Explained]):
    """Gathers Explained batch by batch."""

    classes: tuple[str, ...]
    columns: dict[str, list[Any]] = field(default_factory=lambda: {"labels": [], "targets": [], "predicted": []})
    confidence: list[Any] = field(default_factory=list)
    scores: list[Any] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    pictures: list[Any] = field(default_factory=list)
    tokens: list[tuple[str, ...]] = field(default_factory=list)
    outputs: int = 0
    halved: int = 0
    loader: Any = None

    def see(self, step: Step) -> None:
        """Note the examples of one batch."""
        self.columns["labels"].append(step.labels.cpu().numpy())
        self.columns["targets"].append(step.targets.cpu().numpy())
        self.columns["predicted"].append(step.logits.argmax(dim=1).cpu().numpy())
        self.confidence.append(step.logits.softmax(dim=1).amax(dim=1).cpu().numpy())
        self.scores.append(step.logits.gather(1, step.targets[:, None])[:, 0].float().cpu().numpy())
        self._show(step)
        self.examples.extend(step.examples)
        self.groups.extend(step.batch.groups)
        self.outputs, self.halved, self.loader = step.logits.shape[1], step.halved, step.loader

    def _show(self, step: Step) -> None:
        places = range(step.start, min(step.start + len(step.examples), SHOWN))
        for raw in step.loader.shown(places) if places else ():
            if isinstance(raw, str):
                self.tokens.append(step.loader.encoder.tokens(raw))
            elif getattr(raw, "ndim", 0) == 3:
                self.pictures.append(raw)

    def result(self) -> Explained:
        """All batches in one."""
        import numpy as np

        labels, targets, predicted = (np.concatenate(parts).astype(np.int64) for parts in self.columns.values())
        names = self._names(np.union1d(targets, predicted).tolist())
        return Explained(
            labels=labels,
            targets=targets,
            predicted=predicted,
            confidence=np.concatenate(self.confidence).astype(np.float32),
            scores=np.concatenate(self.scores).astype(np.float32),
            examples=tuple(self.examples),
            groups=tuple(self.groups) if any(self.groups) else (),
            classes=() if names else self.classes or tuple(f"class {index}" for index in range(self.outputs)),
            pictures=tuple(self.pictures),
            tokens=tuple(self.tokens),
            halved=self.halved,
            remarks=self.loader.remarks(len(self.examples)) if self.loader else (),
            names=names,
            columns=self._inputs(),
        )

    def _names(self, used: list[int]) -> dict[int, str]:
        """The tokens of a language model by their ids; nothing for other models."""
        encoder = getattr(self.loader, "encoder", None)
        if self.classes or not isinstance(encoder, Texts) or not encoder.is_language_model:
            return {}
        return {index: encoder.tokenizer.convert_ids_to_tokens(index) for index in used}

    def _inputs(self) -> tuple[str, ...]:
        dataset = getattr(self.loader, "dataset", None)
        return dataset.ref.columns if dataset is not None else ()


@dataclass(frozen=True)
class ExplainedProbe(Probe[Explained]):
    """The first `rows` examples, as what explains them needs to know them."""

    artifact: ClassVar[type] = Explained
    classes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """A few words for plans and progress."""
        return "explained examples"

    def cost(self) -> Cost:
        """One forward a batch."""
        return Cost(forwards=self.sweep.batch_count(self.rows))

    def collect(self) -> Collector[Explained]:
        """A fresh collector."""
        return Explaining(self.classes)
