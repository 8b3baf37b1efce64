"""Validation: a node against a pydantic class, with every fault in plain words at its place."""

import json
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from auditor.spec import units
from auditor.spec.places import Findings, Mark, Node, Where, did_you_mean
from auditor.spec.wording import NUMERIC, expected, hint, show

M = TypeVar("M", bound=BaseModel)


def validate(cls: type[M], node: Node, found: Findings) -> M | None:
    """An instance of cls, or None with its problems added. Numbers may carry units."""
    data = node.plain()
    for _ in range(2):
        try:
            return cls.model_validate_json(json.dumps(data, allow_nan=False), strict=True)
        except ValidationError as error:
            faults = error.errors(include_url=False)
            if not _with_units(cls, data, faults):
                break
    _report(cls, node, faults, found)
    return None


def _with_units(cls: type[BaseModel], data: Any, faults: list[ErrorDetails]) -> bool:
    """Turn texts with units into numbers, in place; whether anything was changed."""
    changed = False
    for fault in faults:
        text = fault["input"]
        if fault["type"] not in NUMERIC or not isinstance(text, str):
            continue
        try:
            value, unit = units.quantity(text)
            if not unit:
                continue
            changed |= _put(data, fault["loc"], units.convert(value, unit, _unit(cls, fault["loc"])))
        except ValueError:
            continue
    return changed


def _put(data: Any, loc: Where, value: float) -> bool:
    if not loc:
        return False
    for part in loc[:-1]:
        data = _inside(data, part)
    inner = _inside(data, loc[-1])
    if inner is data:
        return False
    key: Any = loc[-1]
    data[key] = int(value) if value == int(value) else value
    return True


def _inside(data: Any, part: Any) -> Any:
    """The value inside by key or number; the value itself where pydantic's place holds a tag."""
    if (isinstance(data, dict) and part in data) or (isinstance(data, list) and isinstance(part, int)):
        return data[part]
    return data


def _unit(cls: type[BaseModel], loc: Where) -> str:
    parent = class_at(cls, loc[:-1]) if loc else None
    info = parent.model_fields.get(str(loc[-1])) if parent else None
    extra = info.json_schema_extra if info else None
    return str(extra.get("unit", "")) if isinstance(extra, dict) else ""


def class_at(cls: type[BaseModel], loc: Where) -> type[BaseModel] | None:
    """The class of the value at a place inside cls, as far as one is declared."""
    for part in loc:
        if isinstance(part, int):
            continue
        info = next((info for name, info in cls.model_fields.items() if part in (name, info.alias)), None)
        inner = _model_in(info.annotation) if info else None
        if inner is None:
            return cls if info is None else None
        cls = inner
    return cls


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _model_in(arg))), None)


def keys_of(cls: type[BaseModel]) -> list[str]:
    """The keys that people write for a class."""
    return [info.alias or name for name, info in cls.model_fields.items()]


def _report(cls: type[BaseModel], node: Node, faults: list[ErrorDetails], found: Findings) -> None:
    grouped: dict[tuple[Where, bool], list[ErrorDetails]] = {}
    for fault in faults:
        grouped.setdefault((_real(node, fault), fault["type"] == "missing"), []).append(fault)
    for (where, _), same in grouped.items():
        inner = node
        for part in where:
            inner = inner.child(part) or inner
        _one(cls, inner, same, found)


def _real(node: Node, fault: ErrorDetails) -> Where:
    """The place of a fault in the document: pydantic's place without the tags of unions."""
    where: list[str | int] = []
    for part in fault["loc"]:
        if (inner := node.child(part)) is not None:
            where.append(part)
            node = inner
    if fault["type"] == "missing":
        where.append(fault["loc"][-1])
    return tuple(where)


def _one(cls: type[BaseModel], node: Node, faults: list[ErrorDetails], found: Findings) -> None:
    fault = faults[0]
    kind, loc = fault["type"], fault["loc"]
    if kind == "missing":
        _missing(cls, node, loc, found)
    elif kind == "extra_forbidden":
        parent = class_at(cls, loc[:-1])
        known = did_you_mean(str(loc[-1]), keys_of(parent), "known keys") if parent else ""
        found.add(node.key or node.mark, f"unknown key {str(loc[-1])!r}", known)
    else:
        message = f"{_subject(loc)}expected {expected(faults)}, found {show(node.plain())}"
        found.add(node.mark, message, hint(node, faults, _unit(cls, loc)), unread=True)


def _missing(cls: type[BaseModel], node: Node, loc: Where, found: Findings) -> None:
    parent = class_at(cls, loc[:-1])
    info = next((i for n, i in parent.model_fields.items() if loc[-1] in (n, i.alias)), None) if parent else None
    mark: Mark = node.key or node.mark
    found.add(mark, f"the key {str(loc[-1])!r} is missing", info.description or "" if info else "")


def _subject(loc: Where) -> str:
    name = next((part for part in reversed(loc) if isinstance(part, str) and part.isidentifier()), "")
    return f"{name}: " if name else ""
