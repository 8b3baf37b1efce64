"""How a model's inputs are made, in words instead of a dictionary."""

from typing import Any

from auditor.report import formatting

_ORIGINS = {"model files": "the model’s files", "spec": "the spec", "assumed": "assumption"}


def preprocessing(steps: dict[str, Any]) -> str:
    """The steps in the order in which they happen, and where they were read.

    >>> preprocessing({"kind": "image", "resize": [32, 32], "rescale": 1 / 255, "channels": 1,
    ...     "interpolation": "bilinear", "origin": {"resize": "model files", "rescale": "model files"}})
    'grey, resized to 32 × 32 (bilinear), scaled by 1/255; all from the model’s files'
    """
    known = {"kind", "resize", "crop", "interpolation", "rescale", "mean", "std", "channels", "offset", "origin"}
    words = [
        {1: "grey", 3: "RGB"}.get(steps.get("channels", 0), ""), _resized(steps),
        f"centre crop {_sides(steps['crop'])}" if steps.get("crop") else "", _rescaled(steps.get("rescale")),
        f"mean {_list(steps['mean'])}" if steps.get("mean") else "",
        f"sd {_list(steps['std'])}" if steps.get("std") else "",
        f"cut at {steps['max_length']} tokens" if steps.get("max_length") else "",
        *(f"{key.replace('_', ' ')} {_list(value)}" for key, value in steps.items()
          if key not in {*known, "max_length"}),
    ]  # fmt: skip
    told = ", ".join(word for word in words if word)
    return "; ".join(part for part in (told, _origins(steps.get("origin"))) if part)


def options(entry: dict[str, Any]) -> str:
    """The options of a data entry as `key value` pairs, without its name and source.

    >>> options({"name": "eval", "source": "sklearn", "options": {"name": "digits", "split": "test"}})
    'name digits, split test'
    """
    inner = entry.get("options")
    found = {key: value for key, value in entry.items() if key not in ("name", "source", "options")}
    found |= inner if isinstance(inner, dict) else {}
    return ", ".join(
        f"{key.replace('_', ' ')} {_list(value)}" for key, value in found.items() if value not in ("", None)
    )


def _resized(steps: dict[str, Any]) -> str:
    if not steps.get("resize"):
        return ""
    how = f" ({steps['interpolation']})" if steps.get("interpolation") else ""
    return f"resized to {_sides(steps['resize'])}{how}"


def _sides(sides: Any) -> str:
    if not isinstance(sides, list | tuple):
        return str(sides)
    return f"shorter side {sides[0]}" if len(sides) == 1 else " × ".join(str(side) for side in sides)


def _rescaled(factor: Any) -> str:
    if not isinstance(factor, int | float) or factor in (0, 1):
        return ""
    whole = round(1 / factor)
    return f"scaled by 1/{whole}" if abs(factor * whole - 1) < 1e-9 else f"scaled by {formatting.number(factor, 4)}"


def _list(value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case float():
            return formatting.number(value, 4)
        case list() | tuple():
            return " / ".join(_list(item) for item in value)
        case dict():
            return ", ".join(f"{key} {_list(item)}" for key, item in value.items())
        case _:
            return str(value)


def _origins(origin: Any) -> str:
    """Where the steps were read: one place for all, or the exceptions."""
    if not isinstance(origin, dict) or not origin:
        return ""
    places = {
        place: [key for key, found in origin.items() if found == place] for place in dict.fromkeys(origin.values())
    }
    if len(places) == 1:
        return f"all from {_ORIGINS.get(next(iter(places)), next(iter(places)))}"
    return "; ".join(f"{', '.join(keys)} from {_ORIGINS.get(place, place)}" for place, keys in places.items())
