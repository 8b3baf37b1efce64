"""The doctor tells what is missing, and the command that mends it."""

from importlib import metadata
from pathlib import Path

import pytest

from auditor.cli import doctor


def test_a_sound_machine_has_nothing_to_mend(tmp_path: Path) -> None:
    found = doctor._disk(tmp_path), doctor._python(), doctor._loading()
    assert all(finding.works for finding in found)


def test_an_old_package_is_named_with_the_command_that_mends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "requires", lambda _: ["pillow>=13", "absent-one>=2", "pytest; extra == 'dev'"])
    monkeypatch.setattr(doctor, "_installed", {"pillow": "9.1"}.get)
    old, absent = doctor._packages()
    assert str(old) == "MISSING  pillow>=13: 9.1\n         pip install -U 'pillow>=13'"
    assert (absent.found, absent.works) == ("not installed", False)


def test_a_library_that_crashes_on_import_does_not_take_the_doctor_with_it() -> None:
    finding = doctor._imports(
        "pango", "import sys; sys.stderr.write('cannot load pango\\n'); sys.exit(3)", "brew install"
    )
    assert str(finding) == "MISSING  pango: cannot load pango\n         brew install"


def test_unsafe_loading_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(doctor.UNSAFE_LOADING, "1")
    assert not doctor._loading().works
    assert doctor._loading().mend == f"unset {doctor.UNSAFE_LOADING}"


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "FREE_GIGABYTES", 1e9)
    finding = doctor._disk(tmp_path / "not" / "yet" / "there")
    assert not finding.works
    assert "--cache DIR" in finding.mend
