"""Wording: what a value is, and what was expected of it, in plain words."""

from collections.abc import Mapping
from typing import Any

from pydantic_core import ErrorDetails

from auditor.spec import units
from auditor.spec.document import SLUG
from auditor.spec.places import Node, did_you_mean

NUMERIC = {"int_type", "float_type"}
_TYPES = {
    "string_type": "text", "int_type": "a whole number", "int_from_float": "a whole number", "float_type": "a number",
    "bool_type": "true or false", "list_type": "a list", "tuple_type": "a list", "frozen_set_type": "a list",
    "set_type": "a list", "dict_type": "a mapping (key: value)", "model_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)", "none_required": "nothing",
    "string_too_short": "a text that is not empty",
}  # fmt: skip
_LIMITS = {
    "greater_than_equal": ("ge", "at least"), "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"), "less_than": ("lt", "less than"),
    "too_short": ("min_length", "a list of at least"), "too_long": ("max_length", "a list of at most"),
    "string_too_long": ("max_length", "a text of characters at most"),
}  # fmt: skip
_PATTERNS = {
    SLUG: "letters, digits, `.`, `_` and `-` (a letter or digit first, 80 at most)",
    r"^[\w.]+:[\w.]+$": "module:callable",
}


def show(value: Any) -> str:
    """A value as found, in few words.

    >>> show("abc"), show(3), show(True), show([1, 2]), show(None)
    ("the text 'abc'", 'the number 3', 'true', 'a list', 'nothing')
    """
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text {short(value)}"
        case dict():
            return "a mapping"
        case _:
            return "a list"


def short(text: str) -> str:
    """A text in quotes, cut at 60 characters."""
    return repr(text if len(text) <= 60 else text[:57] + "...")


def expected(faults: list[ErrorDetails]) -> str:
    """What was expected at one place; the members of a union joined by "or"."""
    return " or ".join(dict.fromkeys(_expected(fault) for fault in faults))


def _expected(fault: ErrorDetails) -> str:
    context: Mapping[str, Any] = fault.get("ctx", {})
    kind = fault["type"]
    if kind in _TYPES:
        return _TYPES[kind]
    if kind in _LIMITS:
        name, words = _LIMITS[kind]
        return f"{words} {context[name]:g}"
    if kind == "literal_error":
        return str(context["expected"]).replace("'", "")
    if kind == "string_pattern_mismatch":
        pattern = str(context["pattern"])
        return _PATTERNS.get(pattern, f"text of the form {pattern}")
    return fault["msg"].removeprefix("Input should be ").removeprefix("Value error, ")


def hint(node: Node, faults: list[ErrorDetails], unit: str = "") -> str:
    """What to do about the faults at one place; unit: what the value is measured in."""
    kinds = {fault["type"] for fault in faults}
    if "string_type" in kinds and node.raw and not isinstance(node.value, str):
        return f'put it in quotes: "{node.raw}"'
    if not isinstance(node.value, str):
        return ""
    options = [str(fault.get("ctx", {}).get("expected", "")) for fault in faults if fault["type"] == "literal_error"]
    words = [word.strip(" '") for option in options for word in option.replace(" or ", ",").split(",")]
    if words and not kinds & NUMERIC:
        return did_you_mean(node.value, words, "choose one of")
    return _number_hint(node.value, unit) if kinds & NUMERIC else ""


def _number_hint(text: str, unit: str) -> str:
    try:
        if not units.quantity(text)[1]:
            return "write the number without quotes"
    except ValueError:
        pass
    return "seconds, or a number with a unit of time: 90 s, 30m, 1.5 h" if unit == "s" else ""
