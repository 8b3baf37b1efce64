"""The codec of artifacts: frozen dataclasses of arrays and plain values, and pydantic values, as JSON + safetensors."""

import builtins
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from math import isfinite
from typing import Any, TypeVar, get_args, get_type_hints

from auditor.values import Value

T = TypeVar("T")
Plain = Any
Arrays = dict[str, Any]


def encode(value: Any) -> tuple[Plain, Arrays]:
    """JSON data and named arrays that stand for a value. TypeError for anything that decode() could not bring back."""
    arrays: Arrays = {}
    return _encode(value, arrays), arrays


def decode(data: Plain, arrays: Mapping[str, Any], cls: type[T]) -> T:
    """The inverse of encode(). Only `cls` and the classes that its annotations name are made; nothing is imported.

    Raises TypeError when the data names any other class, or is not a `cls`.
    """
    value = _decode(data, arrays, {_name(each): each for each in _known(cls)})
    if not isinstance(value, cls):
        raise TypeError(f"expected {_name(cls)}, found {_name(type(value))}")
    return value


def _name(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def _encode(value: Any, arrays: Arrays) -> Plain:
    import numpy as np

    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else {"number": repr(value)}
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biuf":
            raise TypeError(f"the store cannot hold an array of {value.dtype}; give it numbers or booleans")
        arrays[str(len(arrays))] = value
        return {"array": str(len(arrays) - 1)}
    if isinstance(value, Value):
        return {"value": _name(type(value)), "json": value.to_json()}
    if is_dataclass(value) and not isinstance(value, type):
        return {"data": _name(type(value)), "fields": _encode_fields(value, arrays)}
    return _encode_container(value, arrays)


def _encode_fields(value: Any, arrays: Arrays) -> Plain:
    return {field.name: _encode(getattr(value, field.name), arrays) for field in fields(value)}


def _encode_container(value: Any, arrays: Arrays) -> Plain:
    if isinstance(value, tuple):
        return {"tuple": [_encode(item, arrays) for item in value]}
    if isinstance(value, list):
        return [_encode(item, arrays) for item in value]
    if isinstance(value, frozenset):
        return {"set": [_encode(item, arrays) for item in sorted(value, key=repr)]}
    if isinstance(value, Mapping):
        return {"map": [[_encode(key, arrays), _encode(item, arrays)] for key, item in value.items()]}
    raise TypeError(
        f"the store cannot hold a {_name(type(value))}; an artifact is a frozen dataclass of arrays and plain values"
    )


def _decode(data: Plain, arrays: Mapping[str, Any], known: Mapping[str, type]) -> Any:
    if isinstance(data, list):
        return [_decode(item, arrays, known) for item in data]
    if not isinstance(data, dict):
        return data
    if "value" in data:
        return _class(data["value"], known).model_validate(data["json"])  # type: ignore[attr-defined]  # a Value
    if "data" in data:
        plain = {key: _decode(item, arrays, known) for key, item in data["fields"].items()}
        return _class(data["data"], known)(**plain)
    [(tag, inner)] = data.items()
    return _DECODERS[tag](inner, lambda item: _decode(item, arrays, known), arrays)


_DECODERS: dict[str, Callable[[Any, Callable[[Any], Any], Mapping[str, Any]], Any]] = {
    "number": lambda inner, again, arrays: float(inner),
    "array": lambda inner, again, arrays: arrays[inner],
    "tuple": lambda inner, again, arrays: tuple(again(item) for item in inner),
    "set": lambda inner, again, arrays: frozenset(again(item) for item in inner),
    "map": lambda inner, again, arrays: {again(key): again(item) for key, item in inner},
}


def _class(name: str, known: Mapping[str, type]) -> type:
    if name not in known:
        raise TypeError(f"found a {name}, which {', '.join(known)} do not mention")
    return known[name]


def _known(cls: type) -> tuple[type, ...]:
    found: dict[type, None] = {}
    waiting = [cls]
    while waiting:
        each = waiting.pop()
        if each not in found:
            found[each] = None
            waiting.extend(_mentioned(each))
    return tuple(found)


def _mentioned(cls: type) -> Iterator[type]:
    """Dataclasses and values in the annotations of a dataclass; a Value decodes its own fields."""
    if not is_dataclass(cls):
        return
    names = _Names()
    for base in reversed(cls.__mro__):
        names.update(vars(sys.modules[base.__module__]))
    for hint in get_type_hints(cls, localns=names).values():
        yield from _classes(hint)


def _classes(hint: Any) -> Iterator[type]:
    if (
        isinstance(hint, type)
        and not isinstance(hint, types.GenericAlias)
        and (is_dataclass(hint) or issubclass(hint, Value))
    ):
        yield hint
    for inner in get_args(hint):
        yield from _classes(inner)


class _Unread(type):
    """Stands for names that only type checkers import, such as numpy's; it names no class of ours."""

    def __getattr__(cls, name: str) -> "_Unread":
        if name.startswith("__"):
            raise AttributeError(name)
        return cls

    def __getitem__(cls, item: Any) -> "_Unread":
        return cls


class _Anything(metaclass=_Unread):
    pass


class _Names(dict[str, Any]):
    """The names of modules, where one that is missing at run time stands for nothing."""

    def __missing__(self, name: str) -> Any:
        return getattr(builtins, name, _Anything)
