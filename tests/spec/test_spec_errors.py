"""Broken specs: each one's whole message is a golden file. AUDITOR_GOLDEN=write rewrites them, to be read."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from auditor.errors import SpecError
from auditor.spec.load import load

GOLDEN = Path(__file__).parents[1] / "golden" / "spec"
CASES = sorted(GOLDEN.glob("*.yaml"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_broken_spec_says_what_is_wrong(case: Path, project: Path, catalogue: Any) -> None:
    shutil.copy(case, project / "audit.yaml")
    shutil.copytree(GOLDEN / "files", project / "files")
    with pytest.raises(SpecError) as caught:
        load(Path("audit.yaml"), catalogue)
    found = str(caught.value).replace(str(project.parent), "/home/ada") + "\n"
    golden = case.with_suffix(".txt")
    if os.environ.get("AUDITOR_GOLDEN") == "write":
        golden.write_text(found)
    assert found == golden.read_text()
    assert "Traceback" not in found


def test_there_are_enough_broken_specs() -> None:
    assert len(CASES) >= 30
