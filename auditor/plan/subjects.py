"""Subjects: what each check looks at, every model and data set described once, without torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from auditor.errors import SourceError
from auditor.plan.runtime import runtime_of
from auditor.spec.model import CheckEntry, DataEntry, ModelEntry, Spec
from auditor.subject import DataRef, ModelRef, Subject

DescribeModel = Callable[[ModelEntry, Path], ModelRef]
DescribeTuned = Callable[[ModelEntry, ModelRef, DataRef, DataRef], ModelRef]
DescribeJoint = Callable[[ModelEntry, ModelRef, Mapping[str, DataRef]], ModelRef]
DescribeData = Callable[[DataEntry, Path], DataRef]
Match = Callable[[ModelRef, DataRef], DataRef]


OUTSIDE = "ood"
"""The parameter of a check that names data from outside the task."""


@dataclass(frozen=True)
class Described:
    """What the spec names, described: models and data by name, and the subject of each check by id."""

    models: Mapping[str, ModelRef]
    data: Mapping[str, DataRef]
    subjects: Mapping[str, Subject]


@dataclass(frozen=True)
class Sources:
    """How things are described: the functions of auditor.sources, or fakes of them."""

    model: DescribeModel
    tuned: DescribeTuned
    joint: DescribeJoint
    data: DescribeData
    match: Match


def sources() -> Sources:
    """The functions of auditor.sources."""
    names = ("models", "models.finetune", "models.joint", "data", "labels")
    models, finetune, joint, data, labels = (import_module(f"auditor.sources.{name}") for name in names)
    return Sources(models.describe, finetune.describe_finetune, joint.describe_joint, data.describe, labels.match)


def resolve(spec: Spec, root: Path, using: Sources | None = None) -> Described:
    """Describe everything that the spec names. Raises SourceError, with `where` it stands in the spec, on the first
    thing that is missing, unusable or does not fit."""
    desk = _Desk(spec, root, using or sources())
    models = {name: desk.model(name) for name in spec.models}
    data = {name: desk.data(name) for name in spec.data}
    subjects = {entry.id: desk.subject(entry) for entry in spec.checks}
    return Described(models, _as_first_seen(spec, data, subjects), subjects)


class _Desk:
    """Describes each thing when it is first asked for, and only once."""

    def __init__(self, spec: Spec, root: Path, using: Sources) -> None:
        self._spec, self._root, self._using = spec, root, using
        self._models: dict[str, ModelRef] = {}
        self._data: dict[str, DataRef] = {}
        self._matched: dict[tuple[str, str], DataRef] = {}

    def model(self, name: str, path: tuple[str, ...] = ()) -> ModelRef:
        """The model of that name; a fine-tune describes its parent first."""
        if name in path:
            raise SourceError(f"models that come from each other: {' -> '.join((*path, name))}", where=("models", name))
        if name not in self._models:
            entry = self._spec.models[name]
            described = self._using.model(entry, self._root) if entry.finetune is None else self._tuned(entry, path)
            self._models[name] = described
        return self._models[name]

    def data(self, name: str) -> DataRef:
        """The data set of that name, as it stands in its files."""
        if name not in self._data:
            self._data[name] = self._using.data(self._spec.data[name], self._root)
        return self._data[name]

    def matched(self, model: ModelRef, name: str) -> DataRef:
        """The data set with its labels in the order of the model's head."""
        pair = (model.name, name)
        if pair not in self._matched:
            self._matched[pair] = self._using.match(model, self.data(name))
        return self._matched[pair]

    def _other(self, model: ModelRef, parameter: str, name: str) -> DataRef:
        """A further data set. Data from outside the task (`ood`) have no class of the model, whatever their labels."""
        if parameter != OUTSIDE:
            return self.matched(model, name)
        return self._using.match(
            model, self.data(name).model_copy(update={"labelled": False, "counts": {}, "classes": ()})
        )

    def subject(self, entry: CheckEntry) -> Subject:
        """What one check looks at."""
        model = self.model(entry.model)
        return Subject(
            model=model,
            data=self.matched(model, entry.data) if entry.data else None,
            others={name: self._other(model, name, each) for name, each in entry.others.items()},
            against=tuple(self.model(each) for each in entry.against),
            runtime=runtime_of(self._spec.run, model.modality),
        )

    def _tuned(self, entry: ModelEntry, path: tuple[str, ...]) -> ModelRef:
        """A model that the audit fine-tunes: its parent and its data sets come first."""
        tune = entry.finetune
        assert tune is not None
        parent = self.model(tune.parent, (*path, entry.name))
        if tune.tasks:
            named = {each for task in tune.tasks for each in (task.train, task.validation)}
            return self._using.joint(entry, parent, {name: self.data(name) for name in sorted(named)})
        return self._using.tuned(entry, parent, self.data(tune.train), self.data(tune.validation))


def _as_first_seen(spec: Spec, data: Mapping[str, DataRef], subjects: Mapping[str, Subject]) -> dict[str, DataRef]:
    """The data sets as the first check on each sees them, its labels matched; others as they stand in their files."""
    seen: dict[str, DataRef] = {}
    for entry in spec.checks:
        subject = subjects[entry.id]
        if subject.data is not None:
            seen.setdefault(entry.data, subject.data)
        for parameter, name in entry.others.items():
            seen.setdefault(name, subject.others[parameter])
    return {name: seen.get(name, ref) for name, ref in data.items()}
