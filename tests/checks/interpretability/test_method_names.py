"""Names of methods: a spec may write those that there are, and is told at once which when it writes another."""

from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from auditor.artifacts.method_names import MethodName, SignedName
from auditor.check import Check
from auditor.checks.interpretability.agreement import Agreement
from auditor.checks.interpretability.class_sensitivity import SIGNS, ClassSensitivity
from auditor.checks.interpretability.drift import Drift
from auditor.checks.interpretability.faithfulness import Faithfulness
from auditor.checks.interpretability.infidelity import Infidelity
from auditor.checks.interpretability.randomization import Randomization
from auditor.checks.interpretability.sensitivity import Sensitivity
from auditor.checks.interpretability.strategies import ShortcutSearch
from auditor.cli.explaining import page
from auditor.methods.attribution.explain import METHODS, method_of
from auditor.spec.places import Findings, Source
from auditor.spec.reading import parse
from auditor.spec.validation import validate

NAMED: tuple[tuple[type[Check], dict[str, Any]], ...] = (
    *((check, {"methods": ["saliency", "gradcam"]})
      for check in (Agreement, Drift, Faithfulness, Infidelity, Randomization)),
    *((check, {"method": "gradcam"}) for check in (ClassSensitivity, Sensitivity, ShortcutSearch)),
)  # fmt: skip


def test_the_names_are_those_of_the_methods_that_there_are() -> None:
    assert set(get_args(MethodName)) == set(METHODS)
    signed = {name for name in METHODS if getattr(METHODS[name], "signed", False)}
    assert set(get_args(SignedName)) == signed | set(SIGNS)
    for name, options in SIGNS.items():
        method_of(name, **options)


@pytest.mark.parametrize(("check", "written"), NAMED, ids=lambda given: getattr(given, "__name__", ""))
def test_another_name_is_refused_where_the_spec_is_read(check: type[Check], written: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="grad_cam"):
        check.model_validate(written)
    assert "grad_cam" in page("it", check).partition("## Parameters")[2], "the page lists the names"


def test_the_refusal_names_the_place_and_the_nearest_name() -> None:
    source, found = Source("audit.yaml", "audit.yaml", ("rows: 8", "methods: [saliency, gradcam]"), Path()), Findings()
    node = parse(source, found)
    assert node is not None and validate(Faithfulness, node, found) is None
    ((mark, problem),) = found.problems
    assert mark is not None and (mark.line, mark.col) == (2, 21)
    assert "shap" in problem.message and "gradcam" in problem.message and problem.hint == "did you mean 'grad_cam'?"


@pytest.mark.parametrize("check", [Agreement, Drift, Faithfulness, Infidelity, Randomization])
def test_a_method_named_twice_is_refused(check: type[Check]) -> None:
    with pytest.raises(ValidationError, match="each method once"):
        check.model_validate({"methods": ["saliency", "rise", "saliency"]})
