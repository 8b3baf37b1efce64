"""Influence: what each training example does to each decision, summed over the stages of a history (TracIn)."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.artifacts.content import batches_of
from auditor.artifacts.predictions import classes_of
from auditor.artifacts.roots import Batches
from auditor.artifacts.stages import Stages, stages_of
from auditor.errors import NotApplicable
from auditor.needs import Cost, Derived, Need
from auditor.sources.data.batch import BatchLoader
from auditor.subject import Subject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from auditor.methods.influence.layer import Layer
    from auditor.methods.influence.tracin import Products

    Floats = NDArray[np.float64]

SUSPECTS, SHOWN = 12, 4
WORDS = 160
"""Characters of a text, or of a row of numbers, that a table shows."""


@dataclass(frozen=True)
class Side:
    """The first n rows of a data set: labels and what a stage predicts (head indices, or numbers), float64 [n];
    rows: where they stand in the data set, from 0; groups: the unit of resampling, empty without."""

    name: str
    labels: "Floats"
    predicted: "Floats"
    rows: tuple[int, ...]
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Contents:
    """What some rows hold, by their places: pictures as the model saw them, or texts and numbers in words."""

    places: tuple[int, ...]
    pictures: "tuple[NDArray[np.uint8], ...]" = ()
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Influences:
    """pairs: float64 [n, m], the influence of n training examples on the loss of m others; own: [n], on their own.

    steps: the stages that were summed, of which the last predicts; left_out: those whose outputs or gradients are not
    finite. equal: whether their learning
    rates are not known, so that each has weight 1. layer: whose parameters, `size` numbers; made: whether the
    gradients had to be made one by one. shown_train: the most self-influential, then the strongest proponent and
    opponent of each of shown_test, where there is one.
    """

    pairs: "Floats"
    own: "Floats"
    train: Side
    test: Side
    steps: tuple[int, ...]
    left_out: tuple[int, ...]
    equal: bool
    layer: str
    size: int
    made: bool
    shown_train: Contents
    shown_test: Contents
    classes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    def name(self, value: float) -> str | float:
        """A label or prediction: the class's name, or the number."""
        return self.classes[int(value)] if self.classes else round(float(value), 4)


@dataclass(frozen=True)
class InfluencesOf(Derived[Influences]):
    """The influence of the first `train_rows` of the training data on the first `test_rows` of the data."""

    version: ClassVar[int] = 2
    artifact: ClassVar[type] = Influences
    stages: Need[Any]
    train: Batches
    test: Batches
    count: int
    train_rows: int
    test_rows: int
    layer: str
    classes: tuple[str, ...]

    @property
    def title(self) -> str:
        """Of which data on which."""
        return f"influence of {self.train.data.name} on {self.test.data.name}"

    def needs(self) -> Mapping[str, Need[Any]]:
        """The stages, and both data sets."""
        return {"stages": self.stages, "train": self.train, "test": self.test}

    def cost(self) -> Cost:
        """A forward and a short backward a batch and stage, and a forward more for the predictions."""
        sides = ((self.train, self.train_rows), (self.test, self.test_rows))
        batches = sum(-(-min(rows, each.rows) // each.batch_size) for each, rows in sides)
        return Cost(forwards=(self.count + 1) * batches, backwards=self.count * batches)

    def build(self, *args: Any, **upstream: Any) -> Influences:
        """Predictions of the last stage whose outputs are finite, then stage by stage up to it."""
        import numpy as np

        stages, loaders = upstream["stages"], (upstream["train"], upstream["test"])
        rows, task = (self.train_rows, self.test_rows), self.train.model.task
        last, train, test = _predicted(stages, loaders, rows)
        wanted = test.predicted if task == "classification" else test.labels
        sides = (_again(loaders[0], train.labels), _again(loaders[1], wanted))
        layer, found = _asked(stages, sides, self.layer, task)
        finite = {step: each for step, each in found.items() if each.finite and step <= last}
        if not finite:
            raise NotApplicable(f"the gradients of layer {layer.name} are finite at no stage")
        weights, equal = _weights(stages, tuple(finite))
        own = np.sum([weights[step] * each.own for step, each in finite.items()], axis=0)
        pairs = np.sum([weights[step] * each.pairs for step, each in finite.items()], axis=0)
        places = _places(pairs, own)
        remarks = (note for loader, side in zip(loaders, (train, test), strict=True)
                   for note in loader.remarks(len(side.labels)))  # fmt: skip
        return Influences(
            pairs=pairs, own=own, train=train, test=test, steps=tuple(finite),
            left_out=tuple(step for step in found if step not in finite), equal=equal,
            layer=layer.name, size=layer.size, made=any(each.made for each in finite.values()),
            shown_train=_contents(loaders[0], places),
            shown_test=_contents(loaders[1], tuple(range(min(SHOWN, len(test.labels))))), classes=self._names(train),
            remarks=tuple(remarks),
        )  # fmt: skip

    def _names(self, train: Side) -> tuple[str, ...]:
        if self.train.model.task != "classification":
            return ()
        known = len(self.classes)
        highest = int(max(train.labels.max(), train.predicted.max(), self.train.model.outputs - 1))
        return (*self.classes, *(f"class {index}" for index in range(known, highest + 1)))


def _predicted(stages: Stages, loaders: Any, rows: tuple[int, int]) -> tuple[int, Side, Side]:
    """The last stage whose outputs are finite for all rows, and both sides as it sees them: argmax of NaN is 0."""
    for step in reversed(stages.steps):
        _, model = next(iter(replace(stages, steps=(step,)).models()))
        train, test = (_side(model, loader, count) for loader, count in zip(loaders, rows, strict=True))
        if train is not None and test is not None:
            return step, train, test
    raise NotApplicable("the model's outputs are finite at no stage")


def _asked(
    stages: Stages, sides: "tuple[Callable[[], Iterable[Any]], Callable[[], Iterable[Any]]]", name: str, task: str
) -> "tuple[Layer, dict[int, Products]]":
    """The layer, found at the first stage, and the products of the gradients at every one."""
    from auditor.methods.influence.layer import find
    from auditor.methods.influence.tracin import products

    layer: Any = None
    found = {}
    for step, model in stages.models():
        if layer is None:
            layer = find(model.module, model.logits, next(iter(sides[0]()))[0], name)
        found[step] = products(model.module, model.logits, layer, *sides, task)
    return layer, found


def _weights(stages: Stages, steps: tuple[int, ...]) -> tuple[dict[int, float], bool]:
    """The learning rate of each step; 1 for all, and True, where one is not known, or where all are 0."""
    rates = {step: rate for step, rate in zip(stages.steps, stages.lrs, strict=True) if step in steps}
    known = all(isfinite(rate) for rate in rates.values()) and any(rates.values())
    return (rates, False) if known else (dict.fromkeys(steps, 1.0), True)


def _side(model: Any, loader: BatchLoader, rows: int) -> Side | None:
    """None where an output is not finite."""
    import numpy as np
    import torch

    labels, outputs = [], []
    groups: list[str] = []
    with torch.no_grad():
        for batch in loader.first(rows):
            labels.append(batch.labels.cpu().double().numpy())
            outputs.append(model.logits(batch.inputs).cpu().double().numpy())
            groups += batch.groups
    logits, rows = np.concatenate(outputs)[:rows], min(rows, loader.rows)
    if not np.isfinite(logits).all():
        return None
    classes = loader.dataset.ref.task == "classification"
    said = logits.argmax(axis=1).astype(np.float64) if classes else logits[:, 0]
    kept = tuple(groups[:rows]) if any(groups) else ()
    return Side(loader.dataset.ref.name, np.concatenate(labels)[:rows], said, loader.order[:rows], kept)


def _again(loader: BatchLoader, labels: "Floats") -> "Callable[[], Iterable[tuple[Any, Any]]]":
    """What gives the rows at each call: read once where their inputs are few enough numbers to be held."""
    from auditor.methods.influence.layer import HELD

    inputs, _ = next(iter(_pairs(loader, labels[:1])))
    each = sum(part.numel() for part in (inputs.values() if isinstance(inputs, Mapping) else (inputs,)))
    if each * len(labels) > HELD:
        return partial(_pairs, loader, labels)
    held = list(_pairs(loader, labels))
    return lambda: held


def _pairs(loader: BatchLoader, labels: "Floats") -> Iterable[tuple[Any, Any]]:
    """Inputs of the first rows exactly, with these labels for theirs."""
    import torch

    from auditor.methods.attribution.asked import take

    for batch in loader.first(len(labels)):
        mine = torch.as_tensor(labels[batch.start : batch.start + len(batch.labels)])
        yield take(batch.inputs, slice(0, len(mine))), mine.to(batch.labels.device, batch.labels.dtype)


def _places(pairs: "Floats", own: "Floats") -> tuple[int, ...]:
    """The training examples that figures show."""
    import numpy as np

    from auditor.methods.influence.ranking import strongest

    found = np.argsort(-own, kind="stable")[:SUSPECTS].tolist()
    for test in range(min(SHOWN, pairs.shape[1])):
        found += [*strongest(pairs, test, 1).tolist(), *strongest(pairs, test, 1, -1).tolist()]
    return tuple(dict.fromkeys(found))


def _contents(loader: BatchLoader, places: tuple[int, ...]) -> Contents:
    raw = loader.shown(list(places))
    if loader.dataset.ref.modality == "image":
        return Contents(places, pictures=tuple(raw))
    words = (each if isinstance(each, str) else ", ".join(f"{value:.3g}" for value in each) for each in raw)
    return Contents(places, words=tuple(each if len(each) <= WORDS else f"{each[:WORDS]} ..." for each in words))


def influences_of(subject: Subject, rows: int, test_rows: int, layer: str) -> InfluencesOf:
    """The influence of a subject's `train` on its data. ValueError without either, NotApplicable without weights."""
    stages, history = stages_of(subject), subject.model.history
    count = subject.model.recipe.keep if subject.model.recipe else len(history.steps if history else ())
    return InfluencesOf(
        stages, batches_of(subject, "train"), batches_of(subject), count, rows, test_rows, layer, classes_of(subject)
    )
