"""The desk of each test."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from desk import ROOT, Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """An empty desk with the shipped assets; no process may be left on it."""
    shutil.copytree(ROOT / "specs" / "assets", tmp_path / "assets", ignore=shutil.ignore_patterns("*.py"))
    made = Desk(tmp_path)
    yield made
    assert not made.processes()
