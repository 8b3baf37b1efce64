"""Storage that fails, fills up, is emptied or is shared: a clear message or the right result, and nothing torn."""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from desk import Desk, check, ended, heard

from auditor.report.folder import verify

CHECKS = [check("a"), check("b", "task.fake_twice"), check("c", with_={"rows": 50})]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    place = tmp_path / "small"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if not shutil.which("mount") or subprocess.run(words, capture_output=True).returncode != 0:
        pytest.skip("mounting a small disk needs root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_cache_on_a_full_disk_is_refused_before_anything_runs(desk: Desk, small_disk: Path) -> None:
    fill(small_disk)
    desk.write(CHECKS)
    end = desk.run("run", "audit.yaml", "--cache", small_disk / "cache", "--out", "runs")
    assert end.code == 2
    assert "cannot be written: No space left on device" in end.err
    assert "name another folder with --cache" in end.err
    assert not desk.folders()


def test_a_cache_that_fills_up_ends_its_checks_in_error_and_keeps_the_others(desk: Desk, small_disk: Path) -> None:
    large = check("large", with_={"rows": 20_000})  # 160 kB
    desk.write([check("a"), large, check("c", with_={"rows": 50})])
    end = desk.run("run", "audit.yaml", "--cache", small_disk / "cache", "--out", "runs")
    assert end.code == 3
    assert desk.outcomes() == {"a": "pass", "large": "error", "c": "pass"}
    failure = desk.results()["checks"][1]["failure"]
    assert "No space left on device" in failure["message"]
    assert "--cache" in failure["hint"]
    assert not [path for path in small_disk.rglob(".new-*") if path.is_file()]


def test_a_run_folder_on_a_full_disk_loses_nothing(desk: Desk, small_disk: Path) -> None:
    desk.write(CHECKS)
    words = ("run", "audit.yaml", "--cache", desk.root / "cache", "--out")
    process = desk.start(*words, small_disk / "runs")
    heard(process, "c ...")
    fill(small_disk)
    end = ended(process)
    assert end.code == 2, end
    assert "No space left on device" in end.err
    assert "name another folder with --out; what was computed is stored" in end.err
    assert not list(small_disk.rglob("results.json"))
    end = desk.run(*words, desk.root / "runs")
    assert (end.code, "nothing to compute" in end.out) == (0, True)


def test_an_unwritable_out_is_refused_before_anything_runs(desk: Desk) -> None:
    desk.write(CHECKS)
    (desk.root / "runs").write_text("a file in the way")
    end = desk.audit()
    assert end.code == 2
    assert re.search(r"runs: cannot be written: .*\n.*--out", end.err)
    assert not list(desk.root.glob("cache/objects/*/*"))


def test_an_unwritable_cache_is_refused_before_anything_runs(desk: Desk) -> None:
    desk.write(CHECKS)
    (desk.root / "cache").write_text("a file in the way")
    end = desk.audit()
    assert end.code == 2
    assert re.search(r"cannot be written: .*\n.*--cache", end.err)


def test_something_else_in_the_place_of_latest_is_said(desk: Desk) -> None:
    desk.write(CHECKS)
    (desk.root / "runs" / "desk" / "latest").mkdir(parents=True)
    end = desk.audit()
    assert end.code == 2
    assert "latest: cannot be written" in end.err
    verify(next(path for path in desk.folders() if path.name != "latest"))


@pytest.mark.parametrize("damage", ["torn", "changed", "gone", "all gone"])
def test_a_damaged_cache_gives_the_same_findings(desk: Desk, damage: str) -> None:
    desk.write(CHECKS)
    assert desk.audit().code == 0
    first = desk.results()
    entries = sorted(desk.root.glob("cache/objects/*/*"))
    for path in entries:
        content = path.read_bytes()
        if damage == "torn":
            path.write_bytes(content[: len(content) // 2])
        elif damage == "changed":
            path.write_bytes(content[:-1] + b"?")
        elif path == entries[0] or damage == "all gone":
            path.unlink()
    end = desk.audit()
    assert end.code == 0, end
    again = desk.results()
    assert {**again, "run": 0} == {**first, "run": 0}
    assert ("computed again" in end.out) is (damage in {"torn", "changed"})


def test_a_cache_emptied_while_an_audit_runs(desk: Desk) -> None:
    desk.write([check("a"), check("slow", with_={"pause": 1.5}), check("c", with_={"rows": 50})])
    process = desk.start(*desk.words())
    heard(process, "slow ...")
    (desk.root / "cache" / "objects").rename(desk.root / "emptied")  # at once: the audit may be writing there
    end = ended(process)
    assert end.code == 0, end
    assert set(desk.outcomes().values()) == {"pass"}
    assert "not in the store; it is computed again" in end.out


def test_two_audits_at_once_on_one_cache_and_one_folder(desk: Desk) -> None:
    desk.write(CHECKS)
    both = [desk.start(*desk.words()) for _ in range(2)]
    ends = [ended(process) for process in both]
    assert [end.code for end in ends] == [0, 0], ends
    folders = desk.folders()
    assert len(folders) == 2
    found = [json.loads((folder / "results.json").read_text()) for folder in folders]
    assert {**found[0], "run": 0} == {**found[1], "run": 0}
    for folder in folders:
        verify(folder)
    assert (desk.root / "runs" / "desk" / "latest").resolve() in folders
    assert not [path for path in desk.root.glob("cache/**/.new-*") if path.is_file()]


def test_a_kill_amid_a_run_leaves_a_sound_cache(desk: Desk) -> None:
    desk.write([check("a"), check("slow", with_={"pause": 30})])
    process = desk.start(*desk.words())
    heard(process, "slow ...")
    os.kill(process.pid, signal.SIGKILL)
    ended(process)
    desk.write([check("a"), check("slow")])
    end = desk.audit()
    assert end.code == 0
    assert "stored already: 1 of the checks' results" in end.out


def fill(disk: Path) -> None:
    """Leave no room."""
    with (disk / "ballast").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 1024)
        except OSError:
            return
