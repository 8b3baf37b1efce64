"""The last lines of a run: verdicts, one next step for each open check, and the paths of the pages."""

from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console

from auditor.check import About
from auditor.cli.summary import show
from auditor.evidence import Failure
from auditor.judge.verdict import NotTested, Verdict
from auditor.results import Audit, Report, Result
from auditor.spec.model import ModelEntry, Spec

ABOUT = About(title="", question="", formula="", method="", reading="", limits="", citation="")


def _result(name: str, outcome: Any, **more: Any) -> Result:
    return Result(id=name, use=f"task.{name}", pillar="task", about=ABOUT, model="m", outcome=outcome, **more)


def _verdict(outcome: Any, **more: Any) -> Verdict:
    return Verdict(metric="accuracy", expect=">= 0.9", outcome=outcome, set_by="a.yaml:9", **more)


def _printed(tmp_path: Path, *checks: Result, gaps: tuple[NotTested, ...] = (), **audit: Any) -> str:
    head = Audit(name="n", title="n", outcome="fail", spec_sha256="0", auditor_version="0", **audit)
    spec = Spec(name="n", models={"m": ModelEntry(name="m", source="torchvision")})
    gap = NotTested(what="traceability", why="no history", how="models:\n  m: {history: {checkpoints: ...}}")
    report = Report(audit=head, spec=spec, models={}, checks=checks, not_tested=gaps or (gap,))
    (tmp_path / "report.html").touch()
    out = StringIO()
    show(Console(file=out, width=100, no_color=True), report, tmp_path)
    return out.getvalue()


def test_a_fail_shows_its_numbers_and_what_to_try(tmp_path: Path) -> None:
    fail = _verdict("fail", value=0.5, low=0.4, high=0.6)
    text = _printed(tmp_path, _result("quality", "fail", verdicts=(fail,), what_to_try={"accuracy": "Train longer."}))
    assert "✗ fail" in text
    assert "[0.4, 0.6]" in text
    assert "  quality: Train longer.\n" in text


def test_an_inconclusive_verdict_says_what_would_decide(tmp_path: Path) -> None:
    unsure = _verdict("inconclusive", would_decide="about 900 examples would decide")
    assert "  quality: about 900 examples would decide\n" in _printed(
        tmp_path, _result("quality", "inconclusive", verdicts=(unsure,))
    )


def test_a_check_in_error_shows_its_hint(tmp_path: Path) -> None:
    failure = Failure(kind="oom", message="out of memory\ndetails", hint="lower batch_size")
    text = _printed(tmp_path, _result("maps", "error", failure=failure))
    assert "  maps: lower batch_size\n" in text
    assert "details" not in text


def test_a_waived_fail_is_marked_and_asks_for_no_step(tmp_path: Path) -> None:
    text = _printed(tmp_path, _result("quality", "pass", verdicts=(_verdict("fail", waived=True),)))
    assert "✗ fail (waived)" in text
    assert "Next steps" not in text


def test_a_check_that_was_not_run_is_one_line(tmp_path: Path) -> None:
    unsure = _verdict("inconclusive")
    text = _printed(tmp_path, _result("maps", "not_run", reason="deselected", verdicts=(unsure, unsure)))
    assert [line.split() for line in text.splitlines() if "maps" in line] == [["-", "not", "run", "maps", "deselected"]]


def test_where_no_bound_decides_it_shows_how_to_write_one(tmp_path: Path) -> None:
    preset = _verdict("pass", severity="warn", inherited=True)
    text = _printed(tmp_path, _result("quality", "pass", verdicts=(preset,)))
    assert '      - id: quality\n        expect: {accuracy: ">= 0.9"}\n' in text
    assert "write a bound" not in _printed(tmp_path, _result("quality", "pass", verdicts=(_verdict("pass"),)))


def test_a_reason_is_said_without_its_cure_and_gaps_alike_stand_together(tmp_path: Path) -> None:
    gaps = tuple(NotTested(what=what, why="no history; record one", how="a: b") for what in ("rates", "losses"))
    text = _printed(tmp_path, _result("rates", "skipped", reason="no history; record one"), gaps=gaps)
    assert "record one" not in text
    assert "  rates, losses: no history\n      a: b\n" in text


def test_what_was_not_tested_and_where_the_pages_are(tmp_path: Path) -> None:
    text = _printed(tmp_path, partial=True, interrupted=True)
    assert "  traceability: no history\n      models:\n        m: {history" in text
    assert "FAIL PARTIAL INTERRUPTED" in text
    assert str(tmp_path / "report.html") in text
    assert "report.pdf" not in text
