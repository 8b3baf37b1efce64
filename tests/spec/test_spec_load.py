"""Specs that are right: what they resolve to."""

from pathlib import Path
from typing import Any

import pytest

from auditor.errors import SourceError, SpecError
from auditor.spec.load import Loaded, as_spec_error, load

HEAD = """\
auditor: 1
name: reviews
model: {source: transformers, path: models/reviews}
data: {source: csv, path: test.csv, text: review, label: stars}
"""


@pytest.fixture
def read(project: Path, catalogue: Any) -> Any:
    def read(text: str, **options: Any) -> Loaded:
        Path("audit.yaml").write_text(text)
        return load(Path("audit.yaml"), catalogue, **options)

    return read


def test_the_smallest_spec(read: Any) -> None:
    spec = read(HEAD + 'checks: [{use: task.performance, expect: {accuracy: ">= 0.85"}}]\n').spec
    (check,) = spec.checks
    assert (check.id, check.model, check.data) == ("performance", "model", "data")
    assert check.params == {"top": 5, "average": "macro"}
    (rule,) = check.rules
    assert (rule.at_least, rule.at_most, rule.set_by, rule.inherited) == (0.85, None, "audit.yaml:5", False)
    assert spec.models["model"].options == {"path": "models/reviews"}
    assert spec.data["data"].options == {"path": "test.csv", "text": "review", "label": "stars"}


def test_a_later_stage_reports_with_the_place(read: Any) -> None:
    loaded = read(HEAD)
    error = as_spec_error(loaded, SourceError("no column 'review'", where=("data", "data", "text")))
    assert isinstance(error, SpecError)
    assert error.problems[0].place.startswith("audit.yaml:4:")
