"""Schema: the JSON Schema of a spec, from the classes that read it and from the checks of the catalogue."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from auditor.spec.catalogue import Catalogue, metrics_of
from auditor.spec.document import (
    NOT_YET_DATA,
    NOT_YET_MODELS,
    SLUG,
    Bounds,
    Document,
    WrittenCheck,
    WrittenFinetune,
    WrittenHistory,
    WrittenTasks,
    WrittenWaiver,
)
from auditor.spec.layers import preset_names
from auditor.spec.options import DATA_OPTIONS, MODEL_OPTIONS

Json = dict[str, Any]
_WORD_OR_LIST = ("extends", "after", "against", "out_of_scope", "reviewers", "formats")
_SHORT: Json = {
    "type": "string",
    "pattern": r"^\s*((>=|<=|≥|≤)\s*([-+]?\.?[0-9]|\$\{params\.)|\$\{params\.)",
    "description": 'A bound, e.g. ">= 0.85" or "<= 3 pp".',
}
_NOT_YET: Json = {"description": "Not in this version of auditor.", "deprecated": True}


def schema(catalogue: Catalogue) -> Json:
    """The JSON Schema (draft 2020-12) of a spec. Each check's `with` and `expect` follow its `use`.

    >>> from types import SimpleNamespace
    >>> empty = SimpleNamespace(names=lambda: ())
    >>> sorted(schema(empty)["properties"])[:4]
    ['auditor', 'baseline', 'checks', 'context']
    """
    checks = {use: catalogue.check(use) for use in catalogue.names()}
    written = [Document, WrittenCheck, WrittenWaiver, WrittenFinetune, WrittenTasks, WrittenHistory, Bounds]
    classes: list[Any] = [*written, *MODEL_OPTIONS.values(), *DATA_OPTIONS.values(), *checks.values()]
    refs, shared = models_json_schema(
        [(cls, "validation") for cls in dict.fromkeys(classes)], by_alias=True, ref_template="#/$defs/{model}"
    )
    definitions: Json = shared["$defs"]
    ref = {cls: refs[cls, "validation"] for cls in classes}
    document = _inline(ref[Document], definitions)
    model, data = _model(ref, definitions), _data(ref, definitions)
    names = {"propertyNames": {"pattern": SLUG}}
    document["properties"] |= {
        "model": model | {"description": "The one model; short for `models` with one entry."},
        "models": {"type": "object", "additionalProperties": model, **names},
        "data": {
            "anyOf": [data, {"type": "object", "additionalProperties": data, **names}],
            "description": "The one data set, or several by name.",
        },
        "checks": {"type": "array", "items": _check(checks, ref, definitions)},
        "waivers": {"type": "array", "items": ref[WrittenWaiver]},
    }
    presets = [f"auditor:{name}" for name in preset_names()]
    document["properties"]["extends"]["items"] = {"anyOf": [{"enum": presets}, {"type": "string"}]}
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "auditor spec, version 1", **document}
    whole["$defs"] = definitions
    _relax(whole)
    return whole


def _inline(ref: Json, definitions: Json) -> Json:
    definition: Json = definitions[ref["$ref"].rpartition("/")[2]]
    return {**definition, "properties": dict(definition["properties"])}


def _entry(source: str, options: Json, more: Json) -> Json:
    properties = {"source": {"const": source}, **options["properties"], **more}
    return {
        "type": "object",
        "title": source,
        "description": options.get("description", ""),
        "properties": properties,
        "required": ["source", *options.get("required", [])],
        "additionalProperties": False,
    }


def _later(source: str) -> Json:
    return {"type": "object", "title": source, "properties": {"source": {"const": source}}, **_NOT_YET}


def _model(ref: dict[type[BaseModel], Json], definitions: Json) -> Json:
    history = {"history": ref[WrittenHistory]}
    entries = [_entry(name, _inline(ref[cls], definitions), history) for name, cls in MODEL_OPTIONS.items()]
    finetune = {
        "type": "object",
        "title": "finetune",
        "properties": {"finetune": {"anyOf": [ref[WrittenFinetune], ref[WrittenTasks]]}},
        "required": ["finetune"],
        "additionalProperties": False,
    }
    return {"oneOf": [*entries, finetune, *(_later(name) | {"required": ["source"]} for name in NOT_YET_MODELS)]}


def _data(ref: dict[type[BaseModel], Json], definitions: Json) -> Json:
    entries = [_entry(name, _inline(ref[cls], definitions), {}) for name, cls in DATA_OPTIONS.items()]
    return {"oneOf": [*entries, *(_later(name) | {"required": ["source"]} for name in NOT_YET_DATA)]}


def _check(checks: dict[str, Any], ref: dict[type[BaseModel], Json], definitions: Json) -> Json:
    """One check of the list: what every check has, and by its `use` the parameters and metrics."""
    base = _inline(ref[WrittenCheck], definitions)
    lines = {use: (cls.__doc__ or use).strip().splitlines()[0] for use, cls in checks.items()}
    base["properties"]["use"] = {
        "description": "The check's name in the catalogue.",
        "anyOf": [{"const": use, "description": line} for use, line in lines.items()] or [{"type": "string"}],
    }
    base["allOf"] = [
        {
            "if": {"properties": {"use": {"const": use}}, "required": ["use"]},
            "then": {"properties": {"with": ref[cls], "expect": _expect(cls, ref[Bounds])}},
        }
        for use, cls in checks.items()
    ]
    return base


def _expect(cls: Any, bounds: Json) -> Json:
    whole = {**bounds, "anyOf": [{"required": [name]} for name in ("at_least", "at_most", "versus")]}
    either = {"anyOf": [_SHORT, {"type": "array", "items": _SHORT, "minItems": 1, "maxItems": 2}, whole]}
    metrics = [metric for metric in metrics_of(cls).values() if metric.thresholdable]
    properties = {metric.name: {**either, "description": metric.doc} for metric in metrics}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _relax(node: Any, name: str = "") -> None:
    """Allow what the reader allows beyond the classes: units and ${params.x} for numbers, one word for a list."""
    if isinstance(node, list):
        for item in node:
            _relax(item)
    if not isinstance(node, dict):
        return
    if node.get("type") in ("number", "integer", "boolean"):
        node["type"] = [node["type"], "string"]
        node["pattern"] = r"^([-+.]?[0-9]|\$\{params\.)"
    elif node.get("type") == "array" and name in _WORD_OR_LIST:
        node["type"] = ["array", "string"]
    for key, inner in node.items():
        _relax(inner, key)
