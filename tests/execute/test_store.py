"""The store: whole entries or none, digests at every read, and only known classes come back."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import fakes
import numpy as np
import pytest
from safetensors.numpy import save

from auditor.errors import StoreError
from auditor.evidence import Evidence, Failure
from auditor.execute.store import _MAGIC, CorruptError, MissingError, Store

if TYPE_CHECKING:
    from numpy.typing import NDArray

KEY = "ab" * 32


@dataclass(frozen=True)
class Inner:
    """A nested artifact."""

    weights: "dict[str, NDArray[np.float32]]"
    mask: "NDArray[np.bool_] | None"


@dataclass(frozen=True)
class Outer:
    """Everything that an artifact may hold."""

    inner: tuple[Inner, ...]
    steps: Mapping[int, float]
    names: frozenset[str]
    lost: float
    failure: Failure
    items: list[Any]
    scalar: "NDArray[np.int64]"


@dataclass(frozen=True)
class Stranger:
    """A class that Outer does not mention."""

    x: int = 1


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


def outer(**changes: Any) -> Outer:
    weights = np.arange(6, dtype=np.float32).reshape(2, 3).T
    plain: dict[str, Any] = {
        "inner": (Inner({"w": weights, "empty": np.zeros((0, 3), np.float16)}, None), Inner({}, np.array([True]))),
        "steps": {1: 0.5, 2: float("inf")},
        "names": frozenset({"b", "a"}),
        "lost": float("nan"),
        "failure": Failure(kind="oom", message="é"),
        "items": [1, None, "x", (2.5,), np.float32(0.5)],
        "scalar": np.array(3),
    }
    return Outer(**{**plain, **changes})


def test_artifacts_come_back_as_they_were(store: Store):
    before = outer()
    store.put(KEY, before)
    after = store.get(KEY, Outer)
    weights = after.inner[0].weights
    assert np.array_equal(weights["w"], before.inner[0].weights["w"])
    assert weights["empty"].shape == (0, 3)
    assert weights["empty"].dtype == np.float16
    assert after.inner[1].mask is not None
    assert after.inner[1].mask.dtype == np.bool_
    assert (after.steps, after.names, after.failure) == (before.steps, before.names, before.failure)
    assert after.items == [1, None, "x", (2.5,), 0.5]
    assert np.isnan(after.lost)
    assert after.scalar.shape == ()


def test_evidence_comes_back_equal(store: Store):
    numbers = fakes.Numbers(np.arange(5.0), "x")
    evidence = fakes.Mean().measure(numbers=numbers, seed=1)
    store.put(KEY, evidence)
    assert store.get(KEY, Evidence) == evidence
    assert store.has(KEY)
    assert KEY in store
    assert store.keys() == {KEY}


@pytest.mark.parametrize("bad", [np.array(["text"]), np.array([None]), Path("x"), object(), b"bytes", 1j])
def test_what_could_not_come_back_is_refused_and_leaves_nothing(store: Store, bad):
    with pytest.raises(TypeError, match="the store cannot hold"):
        store.put(KEY, outer(items=[bad]))
    assert store.keys() == frozenset()


def test_a_class_that_was_not_mentioned_is_not_made(store: Store):
    store.put(KEY, outer(items=[Stranger()]))
    with pytest.raises(CorruptError, match="Stranger"):
        store.get(KEY, Outer)


def test_another_class_than_asked_for_is_corrupt(store: Store):
    store.put(KEY, Stranger())
    with pytest.raises(CorruptError):
        store.get(KEY, Evidence)


@pytest.mark.parametrize("place", [0, 30, 90, 200, -1])
def test_a_changed_byte_is_found_and_the_entry_removed(store: Store, place: int):
    store.put(KEY, outer())
    path = store.root / "objects" / "ab" / KEY
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptError, match="computed again"):
        store.get(KEY, Outer)
    assert not store.has(KEY)


@pytest.mark.parametrize("length", [0, 10, 60, 100, 300])
def test_a_cut_entry_is_found(store: Store, length: int):
    store.put(KEY, outer())
    path = store.root / "objects" / "ab" / KEY
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(CorruptError):
        store.get(KEY, Outer)


def test_what_is_missing_says_so(store: Store):
    with pytest.raises(MissingError, match="not in the store"):
        store.get(KEY, Outer)
    with pytest.raises(StoreError, match="not a content address"):
        store.has("../../etc/passwd")


def test_a_full_disk_is_told_and_leaves_the_old_entry(store: Store, monkeypatch: pytest.MonkeyPatch):
    store.put(KEY, Stranger(1))

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left on device\n    free some space"):
        store.put(KEY, Stranger(2))
    assert store.get(KEY, Stranger) == Stranger(1)
    assert len(list((store.root / "objects" / "ab").iterdir())) == 1


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(StoreError, match="cannot be written"):
        Store(tmp_path / "cache").put(KEY, Stranger())
    with pytest.raises(StoreError, match="cannot be written"):
        Store(tmp_path / "cache").prepare()


def test_many_writers_of_one_key_leave_a_whole_entry(store: Store):
    writers = [Thread(target=store.put, args=(KEY, outer())) for _ in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert store.get(KEY, Outer).names == {"a", "b"}


def test_a_kill_while_writing_leaves_nothing_torn(tmp_path: Path):
    code = (
        "import sys, numpy as np; from pathlib import Path; from auditor.execute.store import Store; import fakes\n"
        f"store = Store(Path({str(tmp_path)!r})); n = fakes.Numbers(np.zeros(2_000_000), 'x')\n"
        "print('ready', flush=True)\n"
        "for i in range(10**6): store.put(f'{i % 7:064x}', n)\n"
    )
    for pause in (0.01, 0.03, 0.06, 0.1):
        writer = subprocess.Popen(
            [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{code}"], stdout=subprocess.PIPE
        )
        with writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(pause)
            writer.send_signal(signal.SIGKILL)
    store = Store(tmp_path)
    for key in sorted(store.keys()):
        assert store.get(key, fakes.Numbers).label == "x"


def test_seconds_are_remembered(store: Store):
    assert store.seconds(KEY) is None
    store.took(KEY, 1.23456)
    assert store.seconds(KEY) == 1.235
    assert store.keys() == frozenset()


def test_old_leftovers_are_removed_and_fresh_ones_left(store: Store):
    store.put(KEY, Stranger())
    folder = store.root / "objects" / "ab"
    for name, age in (("old", 7200), ("fresh", 60)):
        (folder / f".new-{name}").write_text("")
        os.utime(folder / f".new-{name}", (time.time() - age,) * 2)
    store.prepare()
    assert sorted(path.name for path in folder.iterdir()) == [".new-fresh", KEY]


def test_what_killed_builds_left_goes_once_it_is_stored_or_after_a_week(store: Store):
    mine, old, recent = (store.scratch(key) for key in (KEY, "cd" * 32, "ef" * 32))
    for folder, days in ((mine, 0), (old, 8), (recent, 6)):
        folder.mkdir(parents=True)
        (folder / "state").write_text("half")
        os.utime(folder, (time.time() - days * 86400,) * 2)
    store.prepare()
    assert mine.exists() and recent.exists() and not old.exists()
    store.put(KEY, Stranger())
    assert recent.exists() and not mine.exists()
    assert store.keys() == {KEY}


@pytest.mark.parametrize(
    "plain", [{"value": "{name}", "json": {}}, {"data": "{name}", "fields": [1]}, {"tuple": [[]]}, {"map": 3}]
)
def test_an_entry_whose_digest_fits_but_whose_text_claims_something_else_is_removed(store: Store, plain: object):
    name = f"{Inner.__module__}:{Inner.__qualname__}"
    text = json.dumps(plain).replace("{name}", name).encode()
    rest = len(text).to_bytes(8, "big") + text + save({})
    path = store._path(KEY)
    path.parent.mkdir(parents=True)
    path.write_bytes(_MAGIC + hashlib.sha256(rest).hexdigest().encode() + rest)
    with pytest.raises(CorruptError):
        store.get(KEY, Inner)
    assert not store.has(KEY)
