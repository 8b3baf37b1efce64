"""The workshop in this process: what is made, kept, told and reported when the store or a need fails."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fakes
import numpy as np
import pytest

from auditor.errors import StoreError
from auditor.evidence import Evidence
from auditor.execute.store import Store
from auditor.execute.workshop import Workshop
from auditor.needs import Derived, Probe, Tell
from auditor.plan.measure import measure_of

DRAW = fakes.Draw(fakes.Source("m"))


@pytest.fixture
def notes() -> list[str]:
    return []


@pytest.fixture
def workshop(tmp_path: Path, notes: list[str]) -> Workshop:
    return Workshop(tmp_path, Store(tmp_path / "cache"), 1, notes.append)


def silent(done: int, total: int, said: str = "") -> None:
    pass


def test_a_job_is_made_and_stored(workshop: Workshop):
    assert workshop.make([DRAW], silent) == {}
    assert workshop.store.get(DRAW.key, fakes.Numbers).label == "40 rows"


@dataclass(frozen=True)
class Patient(Derived[fakes.Numbers]):
    """Counts the builds that were begun in its folder; the first one is killed."""

    artifact = fakes.Numbers
    tensors = False

    def build(self, *args: Any, scratch: Path, progress: Tell, **upstream: Any) -> fakes.Numbers:
        scratch.mkdir(parents=True, exist_ok=True)
        (scratch / f"build-{len(list(scratch.iterdir()))}").touch()
        begun = len(list(scratch.iterdir()))
        progress(begun, 2, f"build {begun}")
        if begun == 1:
            raise ValueError("killed")
        return fakes.Numbers(np.array([float(begun)]), "")


def test_what_a_killed_build_left_is_there_again_until_it_is_stored(workshop: Workshop):
    told: list[tuple[int, int, str]] = []
    tell = lambda done, total, said="": told.append((done, total, said))  # noqa: E731
    assert set(workshop.make([Patient()], tell)) == {Patient().key}
    assert workshop.make([Patient()], tell) == {}
    assert workshop.store.get(Patient().key, fakes.Numbers).values.tolist() == [2.0]
    assert told == [(1, 2, "build 1"), (2, 2, "build 2")]
    assert not workshop.store.scratch(Patient().key).exists()


def test_a_live_thing_is_loaded_once(workshop: Workshop):
    workshop.make([DRAW], silent)
    workshop.make([fakes.Draw(fakes.Source("m"), rows=50)], silent)
    assert fakes.diary(workshop.root) == ["load m"]


def test_what_went_missing_is_made_again_and_said(workshop: Workshop, notes: list[str]):
    measure = measure_of(fakes.Mean(), "a", 0, {"numbers": DRAW})
    assert workshop.make([measure], silent) == {}
    assert notes == ["Draw: not in the store any more; computed again"]
    assert isinstance(workshop.store.get(measure.key, Evidence), Evidence)


def test_a_full_disk_is_the_failure_of_the_need(workshop: Workshop, monkeypatch: pytest.MonkeyPatch):
    def full(key: str, artifact: object) -> None:
        raise StoreError("x: cannot be written: No space left on device", "free some space")

    monkeypatch.setattr(workshop.store, "put", full)
    failure = workshop.make([DRAW], silent)[DRAW.key]
    assert (failure.kind, failure.hint) == ("exception", "free some space")
    assert "No space left" in failure.message


def test_the_seed_of_a_check_depends_on_run_and_check_only():
    seeds = [measure_of(fakes.Mean(), name, seed, {"numbers": DRAW}).check_seed for name, seed in
             (("a", 0), ("a", 1), ("b", 0))]  # fmt: skip
    assert len(set(seeds)) == 3
    assert measure_of(fakes.Mean(), "a", 0, {"numbers": fakes.Draw()}).check_seed == seeds[0]
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_what_cannot_be_made_says_so(workshop: Workshop):
    need = Nothing(DRAW)
    assert "neither Derived, Live nor a Probe" in workshop.make([need], silent)[need.key].message
    assert not isinstance(need, Probe)


class Nothing(fakes.Need):
    """A need without a way to make it."""

    artifact = int
    tensors = False

    def __init__(self, draw: fakes.Draw) -> None:
        self.__dict__["draw"] = draw
