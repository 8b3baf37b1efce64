"""The worked example of CONTRIBUTING is a check that works as it stands."""

import ast
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auditor.artifacts.predictions import Predictions
from auditor.check import Check


@pytest.fixture(scope="module")
def example(project: Path) -> str:
    """The first Python block of CONTRIBUTING.md."""
    text = (project / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0]


@pytest.fixture(scope="module")
def check(example: str) -> type[Check]:
    """Its class."""
    space: dict[str, Any] = {"__name__": "auditor.checks.task.confidence"}
    exec(compile(example, "CONTRIBUTING.md", "exec"), space)
    found: type[Check] = space["Confidence"]
    return found


def _share(check: type[Check], logits: list[list[float]], labels: list[int]) -> float:
    said = Predictions(np.array(logits, np.float32), np.array(labels), tuple(map(str, labels)))
    return check().measure(predictions=said).measurements[0].value


def test_it_is_short(example: str) -> None:
    assert len(example.splitlines()) < 60
    assert ast.get_docstring(ast.parse(example)) is not None


def test_it_counts_confident_errors(check: type[Check]) -> None:
    sound = [[9.0, 0.0], [0.0, 9.0], [0.4, 0.0], [0.0, 9.0]]
    assert _share(check, sound, [0, 1, 1, 1]) == 0.0
    assert _share(check, sound, [1, 1, 1, 0]) == 0.5


def test_it_shares_the_predictions_of_other_checks(check: type[Check]) -> None:
    assert check.metric("confident_error_share").interval == "wilson"
    assert check.model_fields["level"].default == 0.9


def test_the_modules_that_the_design_notes_name_exist(project: Path) -> None:
    seams = (project / "docs" / "design" / "001-interfaces.md").read_text(encoding="utf-8")
    named = re.findall(r"\b(?:[a-z_]+/)+[a-z_]+\.py\b|^    [a-z_]+\.py\b", seams, re.MULTILINE)
    assert len(named) > 15
    assert [name for name in named if not (project / "auditor" / name.strip()).is_file()] == []
