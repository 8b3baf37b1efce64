"""Reading YAML: typed scalars, places, and the examples in the docstrings."""

import doctest
import importlib
from pathlib import Path

import pytest

from auditor.spec.places import Findings, Node, Places, Source
from auditor.spec.reading import parse, scalar

TEXT = """\
auditor: 1
models:
  mine: {source: transformers, path: models/mine}
checks:
  - id: first
    expect: {accuracy: ">= 0.9"}
"""


def read(text: str) -> tuple[Node | None, Findings]:
    found = Findings()
    return parse(Source("a.yaml", "a.yaml", tuple(text.splitlines()), Path("a.yaml")), found), found


@pytest.mark.parametrize("module", ["places", "reading", "references", "schema", "units", "wording"])
def test_the_examples_in_the_docstrings(module: str) -> None:
    result = doctest.testmod(importlib.import_module(f"auditor.spec.{module}"))
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001), ("1_000", 1000), ("012", 12), ("0x1F", 31), ("0o17", 15), ("-3", -3), (".5", 0.5), ("5.", 5.0),
        ("no", "no"), ("yes", "yes"), ("on", "on"), ("true", True), ("~", None), ("", None),
        ("2027-03-31", "2027-03-31"), ("12:30:00", "12:30:00"),
        ("1.2.3", "1.2.3"), ("5 %", "5 %"), ("e5", "e5"), ("-", "-"), (".", "."), ("0x", "0x"),
    ],
)  # fmt: skip
def test_a_scalar_has_one_type(text: str, value: object) -> None:
    assert scalar(text) == value
    assert type(scalar(text)) is type(value)


@pytest.mark.parametrize("text", [".inf", "-.INF", ".nan", "1e999", "-1e400"])
def test_a_number_is_finite(text: str) -> None:
    with pytest.raises(ValueError, match="finite"):
        scalar(text)


def test_quoted_scalars_are_text() -> None:
    node, found = read("a: '1'\nb: \"true\"\nc: !!str 3\nd: |\n  5\n")
    assert node is not None
    assert node.plain() == {"a": "1", "b": "true", "c": "3", "d": "5\n"}
    assert not found.problems


def test_places_of_values_keys_and_what_is_not_there() -> None:
    node, _ = read(TEXT)
    assert node is not None
    places = Places(node)
    assert places.at(("models", "mine", "path")) == ("a.yaml:3:32", "  mine: {source: transformers, path: models/mine}")
    assert places.at(("models", "mine", "sha256")).place == "a.yaml:3:3"
    assert places.at(("checks", 0, "expect", "accuracy")).place == "a.yaml:6:14"
    assert places.at(("checks", "first", "expect", "accuracy")).place == "a.yaml:6:14"
    assert places.at(("nothing",)).place == "a.yaml:1:1"


def test_every_duplicate_is_found() -> None:
    _, found = read("a: 1\na: 2\nb: {c: 1, c: 2, c: 3}\n")
    assert [problem.place for _, problem in found.problems] == ["a.yaml:2:1", "a.yaml:3:11", "a.yaml:3:17"]


def test_aliases_share_their_value_and_are_counted() -> None:
    node, found = read("a: &x [1, 2]\nb: *x\nc: *x\n")
    assert node is not None
    assert node.plain() == {"a": [1, 2], "b": [1, 2], "c": [1, 2]}
    assert node.size == 10
    _, found = read("a: &x 1\nb: [" + "*x, " * 65 + "]\n")
    assert "more than 64 aliases" in found.problems[0][1].message
