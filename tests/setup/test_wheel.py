"""The wheel, installed into an empty environment outside the checkout, has all it needs: templates, fonts, presets."""

import os
import site
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from auditor.check import About
from auditor.judge.verdict import Verdict
from auditor.report.folder import write_results
from auditor.results import Audit, Report, Result
from auditor.spec.model import ModelEntry, Spec

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def wheel(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    out = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(project))
    return next(out.glob("auditor-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an empty environment with the wheel; what it depends on comes from the present one."""
    place = tmp_path_factory.mktemp("empty") / "env"
    _run(sys.executable, "-m", "venv", "--without-pip", str(place))
    python = place / "bin" / "python"
    packages = next((place / "lib").glob("python*/site-packages"))
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    _run(sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", "-q", str(wheel))
    return place / "bin"


def test_templates_fonts_and_presets_are_in_the_wheel(wheel: Path, project: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    for source, target in (("report_templates", "auditor/report_templates"), ("auditor/spec", "auditor/spec")):
        files = [path for path in (project / source).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
        assert {f"{target}/{path.relative_to(project / source).as_posix()}" for path in files} <= held
    assert any(name.endswith("presets/text-classifier.yaml") for name in held)
    assert {"auditor/draft/architectures.json", "auditor/py.typed"} <= held
    assert not any(name.startswith(("tests/", "specs/")) for name in held)


def test_it_is_the_installed_package_that_runs(installed: Path, tmp_path: Path) -> None:
    place = _run(str(installed / "python"), "-c", "import auditor; print(auditor.__file__)", cwd=tmp_path).strip()
    assert Path(place).is_relative_to(installed.parent)


def test_it_renders_a_report_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    write_results(run, _report())
    printed = _run(str(installed / "auditor"), "render", str(run), cwd=tmp_path)
    assert "report.pdf" in printed
    assert (run / "report.pdf").read_bytes().startswith(b"%PDF")
    assert "Are the digits read?" in (run / "report.html").read_text(encoding="utf-8")


def test_it_finds_its_checks(installed: Path, tmp_path: Path) -> None:
    assert "task.performance" in _run(str(installed / "auditor"), "checks", cwd=tmp_path)


def _report() -> Report:
    words = dict.fromkeys(("title", "formula", "method", "reading", "limits", "citation"), "words")
    about = About(question="Are the digits read?", **words)
    verdict = Verdict(
        metric="accuracy", expect=">= 0.9", outcome="pass", set_by="a.yaml:3", value=0.95, low=0.92, high=0.97, n=300
    )
    result = Result(
        id="performance",
        use="task.performance",
        pillar="task",
        about=about,
        model="m",
        outcome="pass",
        verdicts=(verdict,),
    )
    return Report(
        audit=Audit(name="a", title="A", outcome="pass", spec_sha256="0" * 64, auditor_version="0"),
        spec=Spec(name="a", models={"m": ModelEntry(name="m", source="torchvision")}),
        models={},
        checks=(result,),
    )


def _run(*command: str, cwd: Path | None = None) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
