"""Workers from outside: a run end to end, and each fault in its own outcome."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import fakes
import pytest
from bench import Bench
from fakes import entry

from auditor.evidence import Evidence
from auditor.execute.process import environment
from auditor.execute.protocol import Begun, Finished, Note, Output, Progress


def test_runs_checks_that_share_a_need(bench):
    found = bench.run(entry("a"), entry("b", "task.fake_twice"))
    assert all(isinstance(each, Evidence) for each in found.values())
    assert fakes.diary(bench.root) == ["load m"]
    assert [(event.done, event.total) for event in bench.events if isinstance(event, Progress)] == [(1, 1)]


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("raise", "exception", "ValueError: the numbers do not add up (tests/fakes.py:"),
        ("hang", "timeout", "took longer than 3 s"),
        ("leave", "crashed", "exit code 0"),
        ("segfault", "crashed", "SIGSEGV"),
        ("grandchild", "exception", "left a child behind"),
        ("memory", "oom", "no room"),
        ("skip", "not_applicable", "the built model has no numbers"),
    ],
)
def test_a_fault_ends_in_its_own_outcome_and_harms_nobody(bench, fault, kind, words):
    found = bench.run(entry("a"), entry("bad", fault=fault), entry("c", rows=50), timeout=3)
    assert found["bad"].kind == kind
    assert words in found["bad"].message
    assert isinstance(found["a"], Evidence)
    assert isinstance(found["c"], Evidence)
    assert not processes_of(bench.root)


def test_a_flood_of_output_is_kept_apart_and_capped(bench):
    found = bench.run(entry("a", fault="flood"), entry("b"))
    assert all(isinstance(each, Evidence) for each in found.values())
    text = "".join(event.text for event in bench.events if isinstance(event, Output))
    assert 100_000 < len(text) < 300_000
    assert text.endswith("[more output was dropped]\n")


@pytest.mark.parametrize("fault", ["grandchild_hang", "escape"])
def test_a_grandchild_is_gone_when_its_worker_is_timed_out(bench, fault):
    found = bench.run(entry("a", fault=fault), timeout=2)
    assert found["a"].kind == "timeout"
    assert not processes_of(bench.root)


def test_a_failing_need_is_tried_once_and_fails_every_check_on_it(bench):
    checks = [entry("a", need_fault="raise"), entry("b", "task.fake_twice", need_fault="raise"), entry("c")]
    found = bench.run(*checks)
    assert found["a"] == found["b"]
    assert found["a"].kind == "exception"
    assert isinstance(found["c"], Evidence)
    assert sum(isinstance(event, Begun) and event.title == "Draw" for event in bench.events) == 2


def test_a_live_need_that_fails_is_loaded_once(bench):
    found = bench.run(entry("a", load_fault="raise"), entry("b", rows=50, load_fault="raise"))
    assert found["a"] == found["b"]
    assert fakes.diary(bench.root) == ["load m"]


def test_numbers_do_not_depend_on_workers_or_order(bench, tmp_path):
    checks = [entry("a"), entry("b", "task.fake_twice"), entry("c", rows=50), entry("d", rows=60)]
    one = bench.run(*checks)
    two = Bench(tmp_path / "two").run(*checks, workers=2)
    turned = Bench(tmp_path / "turned").run(*reversed(checks))
    assert one == two == turned


def test_two_workers_work_at_once(bench):
    checks = [entry("a", pause=1.5), entry("b", pause=1.5, rows=50)]
    running: list[int] = []
    most = 0

    def watch(event):
        nonlocal most
        if isinstance(event, Begun):
            running.append(1)
            most = max(most, len(running))
        elif isinstance(event, Finished):
            running.pop()

    bench.run(*checks, workers=2, on_event=watch)
    assert most == 2


def test_a_second_run_starts_no_worker(bench, monkeypatch):
    first = bench.run(entry("a"), entry("b", "task.fake_twice"))
    monkeypatch.setattr("auditor.execute.local.Process", forbidden)
    assert bench.run(entry("a"), entry("b", "task.fake_twice")) == first


def test_a_run_goes_on_from_what_is_done(bench):
    bench.run(entry("a"), entry("bad", "task.fake_twice", fault="raise"))
    bench.events.clear()
    bench.run(entry("a"), entry("bad", "task.fake_twice"))
    assert [event.title for event in bench.events if isinstance(event, Begun)] == ["bad"]


def from_the_callback() -> None:
    raise KeyboardInterrupt


def from_the_keyboard() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("interrupt", [from_the_callback, from_the_keyboard])
def test_an_interruption_keeps_what_is_done_and_kills_the_worker(bench, interrupt):
    def on_event(event):
        if isinstance(event, Begun) and event.title == "slow":
            interrupt()

    found = bench.run(entry("a"), entry("slow", fault="hang"), entry("c", rows=50), on_event=on_event)
    assert isinstance(found["a"], Evidence)
    assert found["slow"].kind == found["c"].kind == "interrupted"
    assert not processes_of(bench.root)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_workers_end_when_the_parent_is_killed(bench):
    code = (
        "import fakes; from bench import Bench; from pathlib import Path\n"
        f"bench = Bench(Path({str(bench.root)!r}))\n"
        "bench.run(fakes.entry('a', fault='grandchild_hang'), on_event=lambda event: print(event.kind, flush=True))\n"
    )
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{code}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        for line in parent.stdout:
            if line.startswith("finished"):
                break
        while len(processes_of(bench.root)) < 3:  # the parent, its worker, and the worker's child
            time.sleep(0.02)
        parent.kill()
    deadline = time.monotonic() + 5
    while (left := processes_of(bench.root)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not left


def test_a_corrupt_artifact_is_made_again_and_said(bench):
    bench.run(entry("a"))
    draw = fakes.Draw(fakes.Source("m"))
    path = bench.root / "cache" / "objects" / draw.key[:2] / draw.key
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    found = bench.run(entry("b"))
    assert isinstance(found["b"], Evidence)
    notes = [event.text for event in bench.events if isinstance(event, Note)]
    assert len(notes) == 1
    assert "does not match its digest" in notes[0]
    assert bench.store.get(draw.key, fakes.Numbers).label == "40 rows"


def test_a_worker_that_cannot_start_fails_everything_once(bench, monkeypatch):
    monkeypatch.setattr("sys.executable", "/bin/false")
    found = bench.run(entry("a"), entry("b", rows=50))
    assert {each.kind for each in found.values()} == {"crashed"}
    assert "its start" in found["a"].message


def test_a_worker_inherits_only_named_variables(monkeypatch):
    outer = {"PATH": "/bin", "SECRET": "x", "CHOSEN": "y"}
    inner = environment(3, ["CHOSEN"], outer)
    assert "SECRET" not in inner
    assert (inner["CHOSEN"], inner["OMP_NUM_THREADS"]) == ("y", "3")


def test_threads_wait_in_a_loop_only_where_a_worker_is_alone():
    """Two workers of two threads on two processors took nine times as long as with threads that sleep."""
    assert "OMP_WAIT_POLICY" not in environment(2, outer={})
    assert environment(2, outer={}, workers=2)["OMP_WAIT_POLICY"] == "PASSIVE"


def forbidden(*args):
    raise AssertionError("a worker was started")


def processes_of(root: Path) -> list[str]:
    """Command lines of processes, zombies left out, that work for an audit in this folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(root).encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text())
    return found
