"""The press: one order, one answer, and no process left."""

import subprocess
import sys
from pathlib import Path

import pytest

from auditor.errors import StoreError
from auditor.report import folder, press
from auditor.report.press import Press
from tests import cases


def test_a_press_that_prints_nothing_leaves_no_process() -> None:
    with Press() as idle:
        process = idle._process
    assert process.returncode is not None


def test_a_folder_without_results_is_said_in_one_line(tmp_path: Path) -> None:
    with Press() as printing, pytest.raises(StoreError, match=r"printing failed: .*results"):
        printing.order(tmp_path, None)
        printing.wait()


def test_a_page_that_never_ends_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write_results(tmp_path, cases.report())
    monkeypatch.setattr(press, "SECONDS", 0.05)
    with Press() as printing, pytest.raises(StoreError, match="was ended"):
        printing.order(tmp_path, None)
        printing.wait()
    assert printing._process.returncode is not None
    assert not (tmp_path / folder.PDF).exists()


def test_without_an_order_it_ends_by_itself() -> None:
    done = subprocess.run([sys.executable, "-m", "auditor.report.pdf"], stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 0


def test_a_warm_press_makes_the_same_pages(tmp_path: Path) -> None:
    folder.write_results(tmp_path, cases.report())
    with Press() as warm:
        folder.write(tmp_path, ["html", "pdf"], None, warm)
    once = (tmp_path / folder.PDF).read_bytes()
    folder.write(tmp_path, ["html", "pdf"])
    assert (tmp_path / folder.PDF).read_bytes() == once
