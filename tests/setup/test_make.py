"""The set-up names each thing once: tested versions satisfy what the package asks for, and no place is written down."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement


@pytest.fixture(scope="module")
def declared(project: Path) -> dict[str, Any]:
    """pyproject.toml."""
    return tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def pinned(project: Path) -> dict[str, str]:
    """Package -> tested version, of constraints.txt."""
    lines = (project / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {_canonical(name): version for name, version in pairs}


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_dependency_has_a_tested_version_that_satisfies_it(
    declared: dict[str, Any], pinned: dict[str, str]
) -> None:
    project = declared["project"]
    wanted = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    for requirement in map(Requirement, wanted):
        assert pinned[_canonical(requirement.name)] in requirement.specifier


def test_the_floors_of_security_hold(declared: dict[str, Any]) -> None:
    lowest = {"torch": "2.10", "transformers": "5.3", "jinja2": "3.1.6", "weasyprint": "69", "pillow": "13"}
    found = {requirement.name: requirement for requirement in map(Requirement, declared["project"]["dependencies"])}
    for name, version in lowest.items():
        assert str(found[name].specifier) == f">={version}"
    assert "pyyaml" not in found


@pytest.mark.parametrize(
    "name", ["constraints.txt", "Makefile", ".ci/run", ".ci/python", ".ci/pango", "pyproject.toml"]
)
def test_no_place_of_one_machine_is_written_down(project: Path, name: str) -> None:
    text = (project / name).read_text(encoding="utf-8")
    assert not re.search(r"https?://|file://|/home/|/root/|/work/|index-url|find-links", text)


def test_each_target_of_the_ci_exists(project: Path) -> None:
    targets = re.findall(r"^make (\S+)$", (project / ".ci" / "run").read_text(), re.MULTILINE)
    assert targets == ["lint", "test", "slow", "real-models"]
    helped = subprocess.run(["make", "help"], cwd=project, capture_output=True, text=True, check=True).stdout
    assert {"audit", *targets} <= {line.split()[0] for line in helped.splitlines()}


def test_the_scripts_can_be_run(project: Path) -> None:
    assert all((project / ".ci" / name).stat().st_mode & 0o111 for name in ("run", "python", "pango"))


def test_what_runs_leave_is_not_part_of_the_project(project: Path) -> None:
    if not (project / ".git").exists():
        pytest.skip("not a checkout")
    listed = subprocess.run(["git", "ls-files"], cwd=project, capture_output=True, text=True, check=True).stdout
    folders = {Path(line).parts[0] for line in listed.splitlines() if "/" in line}
    known = {".ci", "auditor", "benchmarks", "docs", "report_templates", "specs", "tests"}
    assert folders <= known, f"not a folder of the project: {sorted(folders - known)}"
