"""The presets and the example audits, against the checks that really exist."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from auditor.registry import Registry
from auditor.spec.layers import PRESETS, preset_names
from auditor.spec.load import load

SPECS = Path(__file__).parents[2] / "specs"
DATA = {
    "vision-classifier": "{source: image_folder, path: pictures/eval}",
    "text-classifier": "{source: csv, path: test.csv, text: review, label: stars}",
    "language-model": "{source: csv, path: test.csv, text: review, label: stars}",
    "tabular-classifier": "{source: csv, path: test.csv, features: [review], label: stars}",
}


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_lists_only_checks_and_metrics_that_exist(name: str, project: Path) -> None:
    text = f"auditor: 1\nname: x\nextends: auditor:{name}\nmodel: {{source: transformers, path: models/reviews}}\n"
    Path("audit.yaml").write_text(text + f"data: {DATA[name]}\n")
    spec = load(Path("audit.yaml"), Registry()).spec
    assert len(spec.checks) >= 10
    assert all(check.question for check in spec.checks)
    rules = [rule for check in spec.checks for rule in check.rules]
    assert any(rule.severity == "error" for rule in rules), "a preset alone must be able to fail an audit"
    for rule in rules:
        assert rule.why.startswith("project convention, version 4: ")


@pytest.mark.parametrize("name", preset_names())
def test_every_bound_that_can_fail_was_calibrated_on_healthy_models_and_says_so(name: str, project: Path) -> None:
    calibrated = json.loads((PRESETS / f"{name}.calibration.json").read_text())
    assert len(calibrated["models"]) == len(set(calibrated["models"])) >= 20
    text = f"auditor: 1\nname: x\nextends: auditor:{name}\nmodel: {{source: transformers, path: models/reviews}}\n"
    Path("audit.yaml").write_text(text + f"data: {DATA[name]}\n")
    rules = {f"{rule.check}.{rule.metric}": rule for each in load(Path("audit.yaml"), Registry()).spec.checks
             for rule in each.rules}  # fmt: skip
    for metric, rule in rules.items():
        found = calibrated["metrics"].get(metric)
        if found is None:
            assert rule.severity == "warn", f"{metric} can fail an audit and was not calibrated"
            continue
        assert f"{found['q05']:g} / {found['q50']:g} / {found['q95']:g} (n = {found['n']})" in rule.why
        if rule.severity == "error":
            held = found["min"] >= rule.at_least if rule.at_least is not None else found["max"] <= (rule.at_most or 0)
            assert held, f"{metric}: a healthy model lies beyond its bound"


def test_the_quickstart_is_read(project: Path) -> None:
    spec = load(SPECS / "quickstart.yaml", Registry()).spec
    assert spec.name == "quickstart"
    assert spec.checks[0].rules[0].set_by.startswith("specs/quickstart.yaml:")


def test_reading_a_spec_imports_no_tensor_library() -> None:
    code = (
        "import sys; from pathlib import Path;"
        "from auditor.registry import Registry; from auditor.spec.load import load;"
        f"load(Path({str(SPECS / 'quickstart.yaml')!r}), Registry());"
        "print(sorted({'torch', 'numpy', 'transformers', 'matplotlib', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
