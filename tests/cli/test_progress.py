"""Progress tells what is at work, how far it is and what failed, on terminals and in logs."""

from io import StringIO

import pytest
from rich.console import Console

from auditor.audit.journal import Planned
from auditor.cli import progress
from auditor.evidence import Failure
from auditor.execute import protocol as say

EVENTS: tuple[say.Event | Planned, ...] = (
    Planned(jobs=3, stored=2),
    say.Begun(job="a", title="one sweep over eval"),
    say.Progress(job="a", done=1, total=4),
    say.Failed(job="a", key="k1", failure=Failure(kind="oom", message="out of memory\nlong trace")),
    say.Failed(job="a", key="k2", failure=Failure(kind="oom", message="out of memory\nlong trace")),
    say.Failed(job="a", key="k3", failure=Failure(kind="not_applicable", message="no pictures")),
    say.Note(job="a", text="an entry was computed again"),
    say.Output(job="a", text="hello from user code"),
    say.Finished(job="a", seconds=2.5),
)


def _told(*, terminal: bool, quiet: bool = False) -> str:
    out = StringIO()
    with progress.told(Console(file=out, width=80, force_terminal=terminal, no_color=True), quiet=quiet) as hear:
        for event in EVENTS:
            hear(event)
    return out.getvalue()


def test_a_log_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "EVERY_SECONDS", 0.0)
    assert _told(terminal=False).splitlines() == [
        "3 jobs to do; stored already: 2 of the checks' results",
        "one sweep over eval ...",
        "one sweep over eval: 1 of 4",
        "one sweep over eval: oom: out of memory",
        "note: an entry was computed again",
        "one sweep over eval: 2.5 s",
    ]


def test_training_says_how_it_goes_and_how_long_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter((10.0, 10.0, 12.0))
    monkeypatch.setattr(progress, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(progress, "monotonic", lambda: next(clock))
    out = StringIO()
    with progress.told(Console(file=out, width=80, force_terminal=False)) as hear:
        hear(say.Begun(job="a", title="fine-tune"))
        hear(say.Progress(job="a", done=60, total=100, said="loss 0.5"))
        hear(say.Progress(job="a", done=70, total=100, said="loss 0.4"))
    assert out.getvalue().splitlines() == [
        "fine-tune ...",
        "fine-tune: 60 of 100, loss 0.5",
        "fine-tune: 70 of 100, loss 0.4, about 6 s left",
    ]


def test_a_bar_says_how_it_goes() -> None:
    out = StringIO()
    with progress.told(Console(file=out, width=120, force_terminal=True, no_color=True)) as hear:
        for event in (Planned(jobs=1, stored=0), say.Begun(job="a", title="fine-tune")):
            hear(event)
        hear(say.Progress(job="a", done=60, total=100, said="loss 0.5, accuracy 0.9"))
    assert "fine-tune: loss 0.5, accuracy 0.9" in out.getvalue()


def test_a_long_job_is_mentioned_only_now_and_then() -> None:
    assert "1 of 4" not in _told(terminal=False)


def test_a_terminal_gets_a_bar_that_becomes_a_line() -> None:
    text = _told(terminal=True)
    assert "one sweep over eval: 2.5 s" in text
    assert "━" in text


def test_after_the_last_job_the_bar_says_what_still_takes_time() -> None:
    out = StringIO()
    with progress.told(Console(file=out, width=80, force_terminal=True, no_color=True)) as hear:
        for event in (Planned(jobs=1, stored=0), say.Begun(job="a", title="a sweep"), say.Finished(job="a", seconds=1)):
            hear(event)
    assert "judging and writing the report" in out.getvalue()


def test_quiet_still_tells_what_failed() -> None:
    assert _told(terminal=False, quiet=True).splitlines() == [
        "one sweep over eval: oom: out of memory",
        "note: an entry was computed again",
    ]
