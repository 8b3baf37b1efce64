"""Targets: whose score is explained, as a spec names it, and which of them fit a model."""

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from auditor.subject import Subject, Task

_UNIT = r"unit:(?P<layer>[\w.]+)\[(?P<unit>\d+)\]"
_PATTERN = rf"predicted|label|class:(?P<class>\d+)|token:(?P<token>.+)|{_UNIT}|similarity:(?P<similarity>.+)|"
_PATTERN = rf"^({_PATTERN}output\[(?P<output>\d+)\])$"
TargetName = Annotated[
    str,
    Field(
        pattern=re.sub(r"\?P<\w+>", "", _PATTERN),
        description='Whose logit: predicted, label, class:K; token:"x" of a language model; unit:LAYER[i], the mean '
        "of a layer's unit; similarity:TEXT or similarity:#N (a place in the reading order) of an encoder; output[i].",
    ),
]
"""The type of a check's `target:` parameter."""

Kind = Literal["plain", "token", "unit", "similarity", "output"]
TOKEN, UNIT, SIMILARITY, OUTPUT = 'token:"x"', "unit:LAYER[i]", "similarity:REFERENCE", "output[i]"
FITTING: dict[Task, tuple[str, ...]] = {
    "classification": ("predicted", "label", "class:K", UNIT),
    "regression": ("predicted", OUTPUT, UNIT),
    "causal_lm": ("predicted", TOKEN, UNIT),
    "masked_lm": ("predicted", TOKEN, UNIT),
    "encoder": (UNIT, SIMILARITY, OUTPUT),
}
"""The targets that each task has."""


@dataclass(frozen=True)
class Aim:
    """A target, read. plain: predicted, label or class:K, a column of the logits; others give one score an example.

    name: the layer, token or reference; index: of a class, unit or output.
    """

    kind: Kind
    name: str = ""
    index: int = 0


def aim_of(target: str) -> Aim:
    """A target name, read. ValueError for what no target is called.

    >>> aim_of("unit:layer4.1[3]"), aim_of('token:"good"').name
    (Aim(kind='unit', name='layer4.1', index=3), 'good')
    """
    found = re.match(_PATTERN, target)
    if found is None:
        raise ValueError(f"no target is called {target!r}")
    part = found.groupdict()
    if part["token"] is not None:
        quoted = re.fullmatch(r'"(.+)"', part["token"])
        return Aim("token", quoted[1] if quoted else part["token"])
    if part["layer"] is not None:
        return Aim("unit", part["layer"], int(part["unit"]))
    if part["similarity"] is not None:
        return Aim("similarity", part["similarity"])
    if part["output"] is not None:
        return Aim("output", index=int(part["output"]))
    return Aim("plain", index=int(part["class"] or 0))


def form_of(target: str) -> str:
    """The name of a target's form, as FITTING lists it.

    >>> form_of("class:3"), form_of("predicted")
    ('class:K', 'predicted')
    """
    forms = {"token": TOKEN, "unit": UNIT, "similarity": SIMILARITY, "output": OUTPUT}
    return forms.get(aim_of(target).kind) or ("class:K" if target.startswith("class:") else target)


def misfit(subject: Subject, target: str) -> str | None:
    """Why a target does not fit the model and data as described, or None; it names the targets that do."""
    model, aim = subject.model, aim_of(target)
    fitting = FITTING[model.task]
    if form_of(target) not in fitting:
        return f"the target {target!r} is none of a model for {model.task}: use one of {', '.join(fitting)}"
    if target == "predicted" and model.task == "regression" and model.outputs != 1:
        return f"the model has {model.outputs} outputs: name one, output[0] to output[{model.outputs - 1}]"
    if target == "label":
        lacking = subject.lacks_labels()
        return f"the target 'label': {lacking}" if lacking else None
    numbered = target.startswith("class:") or aim.kind == "output"
    if numbered and 0 < model.outputs <= aim.index:
        name = form_of(target).replace("K", "{0}").replace("[i]", "[{0}]")
        first, last = name.format(0), name.format(model.outputs - 1)
        return f"the target {target!r}: the model has {model.outputs} outputs, {first} to {last}"
    if aim.kind == "similarity" and not aim.name.startswith("#") and model.modality != "text":
        return f"the target {target!r}: name a reference by its place in the reading order, similarity:#0"
    return None


def refusal(subject: Subject, what: str, target: str = "") -> str | None:
    """Why nothing can be asked of a subject's explanations, or None: they need data, and a model that has the target.

    Without a target, a classifier.
    """
    if subject.data is None:
        return f"{what} needs a data set"
    if target:
        return misfit(subject, target)
    return None if subject.model.task == "classification" else f"the model's task is {subject.model.task}"
