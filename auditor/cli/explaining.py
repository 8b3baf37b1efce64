"""A check in words: the page of `auditor explain` and of docs/checks, generated from its class."""

import inspect
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from auditor.check import Check
from auditor.errors import UsageError
from auditor.evidence import Metric
from auditor.registry import Registry
from auditor.spec.places import did_you_mean


def pages(registry: Registry) -> dict[str, str]:
    """File name -> text of the pages of all checks, and of the page that lists them."""
    names = registry.names()
    listed = [f"- [{name}]({name}.md): {registry.summary(name)}" for name in names]
    head = ["# The checks", "", "Written by `make docs` from the code; `auditor explain ID` prints one.", ""]
    return {"README.md": "\n".join((*head, *listed)) + "\n"} | {
        f"{name}.md": page(name, registry.check(name)) for name in names
    }


def find(registry: Registry, name: str) -> str:
    """The full name of a check by it or by its last word, e.g. "saliency". UsageError where none or several fit."""
    names = registry.names()
    fitting = [use for use in names if name in (use, use.rpartition(".")[2])]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise UsageError(f"several checks are called {name!r}", hint=f"name one of {', '.join(fitting)}")
    near = did_you_mean(name, [*names, *(use.rpartition(".")[2] for use in names)])
    raise UsageError(f"no check is called {name!r}", near if near.startswith("did") else did_you_mean(name, names))


def page(name: str, check: type[Check]) -> str:
    """The Markdown page of one check, from question and definition to what to try, limits and source."""
    return "\n".join(_lines(name, check)).rstrip() + "\n"


def _lines(name: str, check: type[Check]) -> Iterator[str]:
    about = check.about
    yield from (f"# {name}", "", about.title + ".", "", f"*{about.question}*", "")
    yield from _section("Definition", about.formula)
    yield from _section("Method", about.method)
    yield from _section("Metrics", *_metrics(check.metrics))
    yield from _section("Parameters", *_parameters(check))
    yield from _section("Figure", figure(check))
    yield from _section("How to read it", about.reading)
    yield from _section("What to try", *_advice(check.metrics))
    yield from _section("Limits", about.limits)
    yield from _section("Source", about.citation)
    yield from _section("In a spec", "```yaml", "checks:", *_example(name, check), "```")


def figure(check: type[Check]) -> str:
    """What the check shows, as the paragraph "Figure: ..." of its docstring says; empty where there is none."""
    found = re.search(r"^Figure: (.+?)(?:\n\n|\Z)", inspect.getdoc(check) or "", re.MULTILINE | re.DOTALL)
    text = " ".join(found[1].split()) if found else ""
    return text[:1].upper() + text[1:]


def _advice(metrics: tuple[Metric, ...]) -> Iterator[str]:
    for metric in metrics:
        if metric.what_to_try:
            yield f"- `{metric.name}`: {metric.what_to_try}"


def _section(title: str, *lines: str) -> Iterator[str]:
    if any(lines):
        yield from (f"## {title}", "", *lines, "")


def _metrics(metrics: tuple[Metric, ...]) -> Iterator[str]:
    yield from ("| metric | unit | better | interval | drawn at random | meaning |", "|---|---|---|---|---|---|")
    for metric in metrics:
        better = metric.better if metric.thresholdable else "descriptive"
        cells = (f"`{metric.name}`", metric.unit, better, metric.interval, metric.resampling, metric.doc)
        yield _row(cells)
    if not all(metric.thresholdable for metric in metrics):
        yield from ("", "An expectation on a descriptive metric is a spec error.")


def _parameters(check: type[Check]) -> Iterator[str]:
    described = check.model_json_schema().get("properties", {})
    if not described:
        yield "None."
        return
    yield from ("| parameter | values | default | meaning |", "|---|---|---|---|")
    for name, schema in described.items():
        default = "required" if "default" not in schema else _plain(schema["default"])
        yield _row((f"`{name}`", _values(schema), default, schema.get("description", "")))


def _values(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(_plain(value) for value in schema["enum"])
    if "const" in schema:
        return _plain(schema["const"])
    if "anyOf" in schema:
        return " or ".join(_values(option) for option in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_values(schema.get('items', {}))}"
    bounds = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    words = [f"{word} {schema[key]:g}" for key, word in bounds.items() if key in schema]
    return " ".join((str(schema.get("type", "any")), *words))


def _plain(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return "[" + ", ".join(_plain(item) for item in value) + "]"
    return str(value)


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _example(name: str, check: type[Check]) -> Iterator[str]:
    yield f"  - use: {name}"
    judged = next((metric for metric in check.metrics if metric.thresholdable), None)
    if judged is not None:
        bound = "at_least" if judged.better == "up" else "at_most"
        yield f"    expect: {{{judged.name}: {{{bound}: ...}}}}"


if __name__ == "__main__":
    import sys

    for file, text in pages(Registry(plugins={})).items():
        (Path(sys.argv[1]) / file).write_text(text, encoding="utf-8")
