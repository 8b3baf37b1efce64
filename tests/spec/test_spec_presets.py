"""The presets and the example audits, against the checks that really exist."""

import subprocess
import sys
from pathlib import Path

import pytest

from auditor.registry import Registry
from auditor.spec.layers import preset_names
from auditor.spec.load import load

SPECS = Path(__file__).parents[2] / "specs"
DATA = {
    "vision-classifier": "{source: image_folder, path: pictures/eval}",
    "text-classifier": "{source: csv, path: test.csv, text: review, label: stars}",
    "tabular-classifier": "{source: csv, path: test.csv, features: [review], label: stars}",
}


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_lists_only_checks_and_metrics_that_exist(name: str, project: Path) -> None:
    text = f"auditor: 1\nname: x\nextends: auditor:{name}\nmodel: {{source: transformers, path: models/reviews}}\n"
    Path("audit.yaml").write_text(text + f"data: {DATA[name]}\n")
    spec = load(Path("audit.yaml"), Registry()).spec
    assert len(spec.checks) >= 5
    rules = [rule for check in spec.checks for rule in check.rules]
    assert rules
    for rule in rules:
        assert rule.severity == "warn", "a project convention never fails an audit"
        assert rule.why.startswith("project convention, version ")


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
