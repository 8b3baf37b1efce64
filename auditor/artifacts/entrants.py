"""Entrants: who competes: the audited model, those it is compared with, and its own recipe with a factor changed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from auditor.artifacts.costs import unpriced
from auditor.errors import SourceError
from auditor.sources.models.loaded import LANGUAGE
from auditor.subject import DataRef, ModelRef, Recipe, Subject

Factors = Mapping[str, tuple[Any, ...]]
"""By the name of a part of the recipe, the values that it shall have."""

HINT = "name models, `against: [MODEL]`, or values of a factor of its own recipe, `with: {lr: [1e-4, 1e-3, 1e-2]}`"


@dataclass(frozen=True)
class Entrant:
    """A candidate before it was run: the name that the report uses, and the data as its head reads their labels.

    factor: which part of the recipe differs from the audited model's ("" for another model), and how it stands there.
    """

    name: str
    ref: ModelRef
    data: DataRef
    factor: str = ""

    @property
    def seeds(self) -> int:
        """How many models it is: one a seed, or one."""
        return self.ref.recipe.seeds if self.ref.recipe else 1


def entrants_of(subject: Subject, factors: Factors) -> tuple[tuple[Entrant, ...], tuple[str, ...]]:
    """All that can be compared, each once, the audited model first; and a sentence for each that cannot."""
    found = list(_entrants(subject, factors))
    first: dict[str, Entrant] = {}
    for one in found:
        if isinstance(one, Entrant):
            first.setdefault(one.ref.digest, one)
    return tuple(first.values()), tuple(one for one in found if isinstance(one, str))


def incomparable(subject: Subject, factors: Factors) -> str | None:
    """Why there is nothing to compare, or None: for what a check's applies() says."""
    if reason := unpriced(subject):
        return reason
    if any(factors.values()) and subject.model.recipe is None:
        return f"factors change a recipe, and {subject.model.name} is not fine-tuned here: name models, `against: [..]`"
    if any(factors.values()) and subject.model.tasks:
        return f"{subject.model.name} trains several tasks: change its recipe in the spec, and name it in `against`"
    if subject.data and _learned(subject.model, subject.data):
        return f"{subject.model.name} was trained on rows of these very data: name data that no candidate has seen"
    found, said = entrants_of(subject, factors)
    if len(found) < 2:
        return " ".join((*said, f"there is nothing to compare with: {HINT}"))
    wrong = _named_in_vain(subject)
    return f"{' '.join(wrong)} Leave it out of `against`, or give it what it lacks." if wrong else None


def _named_in_vain(subject: Subject) -> list[str]:
    """What is said of models of `against` that cannot be compared: without them an expectation would speak of fewer
    than were named. What a fine-tune began from need not be one, since it is there unless others are named."""
    model, data = subject.model, subject.data
    others = [other for other in subject.against if model.parent is None or other.digest != model.parent.digest]
    found = [_beside(model, other, data) for other in others] if data else []
    return [one for one in found if isinstance(one, str)]


def _entrants(subject: Subject, factors: Factors) -> Iterator[Entrant | str]:
    """The audited model, the models of `against`, and the model's own recipe with one factor changed at a time; a
    sentence for each that cannot be compared."""
    data = subject.data
    if data is None:
        return
    yield Entrant(subject.model.name, subject.model, data)
    for other in subject.against:
        yield _beside(subject.model, other, data)
    for factor, values in factors.items():
        for value in values:
            found = varied(subject.model, factor, value)
            if found is not None:
                yield Entrant(_named(factor, value), found, data, factor)


def _beside(model: ModelRef, other: ModelRef, data: DataRef) -> Entrant | str:
    """The other model with the labels matched to its own head, which must have the same classes in any order."""
    from auditor.sources.labels import match

    same = model.task == other.task and model.modality == other.modality
    if not same or (model.outputs != other.outputs and model.task not in LANGUAGE):
        return f"{other.name} is no candidate: its task is {other.task} with {other.outputs} outputs."
    if _learned(other, data):
        return f"{other.name} is no candidate: it was trained on rows of these very data."
    if model.classes and other.classes and {*model.classes} != {*other.classes}:
        return f"{other.name} is no candidate: it has other classes."
    try:
        return Entrant(other.name, other, match(other, data))
    except SourceError as error:
        return f"{other.name} is no candidate: {error}"


def _learned(model: ModelRef, data: DataRef) -> bool:
    """Whether a fine-tune saw rows of these data."""
    from auditor.sources.digest import same_rows

    seen = [model.train, *(task.model.train for task in model.tasks)]
    return any(same_rows(train, data) for train in seen if train)


def varied(model: ModelRef, factor: str, value: Any) -> ModelRef | None:
    """The fine-tune with one part of its recipe changed; None where that is how it stands already."""
    from auditor.sources.digest import seal_model

    recipe = model.recipe
    if recipe is None:
        raise ValueError(f"model {model.name!r} is no fine-tune")
    changed = Recipe.model_validate({**recipe.model_dump(), factor: value})
    if changed == recipe:
        return None
    name = f"{model.name}, {_named(factor, value)}"
    return seal_model(model.model_copy(update={"name": name, "recipe": changed}))


def _named(factor: str, value: Any) -> str:
    """lr 0.001; optimizer sgd; freeze conv1.*; freeze nothing"""
    if isinstance(value, float):
        return f"{factor} {value:g}"
    return f"{factor} {value}" if isinstance(value, str) else f"{factor} {' '.join(value) or 'nothing'}"
