"""Whatever is asked wrongly gets one clear message and its exit code, and never a traceback."""

import os
from pathlib import Path

import pytest

from auditor.cli import entry

QUICKSTART = "specs/quickstart.yaml"


@pytest.fixture(autouse=True)
def in_the_project(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)


WRONG = {
    "an unknown command": (("rnu", "x"), "Did you mean 'run'?"),
    "no spec": (("run",), "Missing argument 'SPEC'"),
    "a missing spec": (("run", "nothing.yaml"), "error: cannot read nothing.yaml"),
    "a folder as spec": (("run", "specs"), "error: specs is a folder\n    name the spec file inside it"),
    "a folder to validate": (("validate", "specs"), "error: specs is a folder"),
    "-k selects nothing": (("plan", QUICKSTART, "-k", "nosuch"), "-k 'nosuch' selects no check of this spec\n    its"),
    "-k that is no expression": (("plan", QUICKSTART, "-k", "a and"), "expected a word"),
    "-p without a value": (("plan", QUICKSTART, "-p", "x"), "expected NAME=VALUE, found 'x'"),
    "-p of an undeclared parameter": (("plan", QUICKSTART, "-p", "x=1"), "declares no such parameter"),
    "--trust of nobody": (("plan", QUICKSTART, "--trust", "nobody"), "--trust nobody: the spec has no such model"),
    "no workers": (("run", QUICKSTART, "-j", "0"), "0 is not in the range"),
    "an unknown check": (
        ("explain", "perfromance"),
        "no check is called 'perfromance'\n    did you mean 'performance'?",
    ),
    "a run that is none": (("render", "specs"), "found no results.json there"),
    "a model that is none": (("init", "README.md", "specs"), "expected a transformers folder"),
    "a model that is not there": (("init", "nope", "specs"), "no such file or folder: nope"),
}


@pytest.mark.parametrize("case", WRONG)
def test_it_is_said_clearly(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, words = WRONG[case]
    assert entry.code(arguments) == 2
    said = capsys.readouterr().err
    assert words in said
    assert "Traceback" not in said


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_spec_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = tmp_path / "a.yaml"
    spec.write_text("auditor: 1")
    spec.chmod(0)
    assert entry.code(["validate", str(spec)]) == 2
    assert "cannot read" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--cache", "--out"])
def test_a_file_where_a_folder_must_be_is_refused_before_anything_runs(
    flag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    flags = {"--cache": str(tmp_path / "cache"), "--out": str(tmp_path / "runs"), flag: str(tmp_path / "file" / "x")}
    assert entry.code(["run", QUICKSTART, "-k", "performance", *(part for each in flags.items() for part in each)]) == 2
    said = capsys.readouterr()
    assert "cannot be written" in said.err
    assert " ...\n" not in said.out


def test_a_check_is_found_by_its_last_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.code(["explain", "saliency"]) == 0
    assert capsys.readouterr().out.startswith("# interpretability.saliency")
