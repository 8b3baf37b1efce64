"""Fixtures of the machinery's tests."""

import os
from pathlib import Path

import pytest
from bench import Bench


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    here = str(Path(__file__).parents[1])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH", "")))))
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # marks its processes
    return Bench(tmp_path)
