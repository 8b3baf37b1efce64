"""kill -9 of a worker amid a fine-tune: the next run goes on from the last record and ends with the same numbers."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from desk import Desk, ended, soon

RECIPE = {
    "from": "early", "data": "train", "validation": "eval", "lr": 4e-3, "schedule": "cosine", "steps": 60, "seeds": 1,
    "record_every": 6, "validation_rows": 256,
}  # fmt: skip
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def _written(desk: Desk) -> None:
    digits = {"source": "sklearn", "name": "digits"}
    early = {"source": "transformers", "path": "assets/digits-early"}
    desk.write(
        [{"id": "convergence", "use": "optimizability.convergence"}], model=None,
        models={"early": early, "tuned": {"finetune": RECIPE}},
        data={"train": {**digits, "split": "train"}, "eval": {**digits, "split": "test"}},
        defaults={"model": "tuned", "data": "eval"},
    )  # fmt: skip


def _worker(desk: Desk) -> int:
    """The process of the desk's worker."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            mine = str(desk.root / "tmp").encode() in (process / "environ").read_bytes()
            if mine and b"auditor.execute.worker" in (process / "cmdline").read_bytes():
                return int(process.name)
        except OSError:
            continue
    raise AssertionError("no worker")


def _steps(desk: Desk) -> list[int]:
    """The steps of the newest run's fine-tunes, as far as they were told."""
    lines = (desk.folders()[-1] / "log.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    return [event["done"] for event in events if event.get("kind") == "progress" and event.get("total") == 60]


def _objects(cache: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in cache.glob("objects/*/*")}


def test_a_killed_worker_costs_one_interval_at_most(desk: Desk) -> None:
    _written(desk)
    whole = desk.run("run", "audit.yaml", "--cache", desk.root / "other", "--out", desk.root / "runs")
    assert desk.outcomes() == {"convergence": "info"}, whole.out
    expected: Any = desk.results()["checks"]
    process = desk.start(*desk.words())
    soon(lambda: list(desk.root.glob("cache/scratch/*/*/kept-15")))
    os.kill(_worker(desk), signal.SIGKILL)
    end = ended(process)
    assert "crashed: the worker was killed from outside" in end.out
    [state] = desk.root.glob("cache/scratch/*/*/state")
    reached = max(_steps(desk))
    end = desk.audit()
    assert desk.outcomes() == {"convergence": "info"}, end.out
    assert reached - 6 <= _steps(desk)[0] - 1
    assert _steps(desk)[0] > 12
    assert not state.exists()
    ours, theirs = _objects(desk.root / "cache"), _objects(desk.root / "other")
    assert set(ours) == set(theirs)
    assert all(ours[key] == theirs[key] for key in ours)
    assert desk.results()["checks"] == expected
