"""Fixtures of the machinery's tests."""

import os
from pathlib import Path

import pytest
from bench import Bench


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    folders = (str(Path(__file__).parents[1]), str(Path(__file__).parent), os.environ.get("PYTHONPATH", ""))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, folders)))
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # marks its processes
    return Bench(tmp_path)
