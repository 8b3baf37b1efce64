"""Ctrl-C of a real command: a readable report of what is done, no process left, and the next run goes on from there."""

import json
import re
import signal
from pathlib import Path
from xml.etree import ElementTree

import pytest
from desk import ROOT, Desk, check, ended, heard, soon

from auditor.report.folder import verify

QUICKSTART = (ROOT / "specs" / "quickstart.yaml").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_leaves_a_report_and_the_next_one_goes_on(desk: Desk, number: int) -> None:
    desk.write([check("a"), check("slow", with_={"fault": "hang"}), check("c", with_={"rows": 50})])
    process = desk.start(*desk.words())
    heard(process, "slow ...")
    process.send_signal(number)
    end = ended(process)
    assert (end.code, end.err) == (130, "")
    assert "INCONCLUSIVE INTERRUPTED" in end.out
    assert desk.results()["audit"]["interrupted"] is True
    assert desk.outcomes() == {"a": "pass", "slow": "not_run", "c": "not_run"}
    assert not (desk.root / "runs" / "desk" / "latest").exists()
    desk.write([check("a"), check("slow"), check("c", with_={"rows": 50})])
    end = desk.audit()
    assert end.code == 0, end.out
    assert re.search(r"^a \.\.\.", end.out, re.M) is None
    assert "stored already: 1 of the checks' results" in end.out
    assert (desk.root / "runs" / "desk" / "latest").resolve() == desk.folders()[-1]


def test_a_second_ctrl_c_ends_the_writing_at_once_and_tears_nothing(desk: Desk) -> None:
    formats = {"formats": ["json", "junit", "html", "pdf"]}
    desk.write([check("a"), check("slow", with_={"fault": "hang"})], report=formats)
    process = desk.start(*desk.words(), "-q")
    soon(lambda: list(desk.root.glob("cache/seconds/*/*")))
    soon(lambda: any("worker" in each for each in desk.processes()))
    process.send_signal(signal.SIGINT)
    soon(lambda: list(desk.root.glob("runs/*/*/MANIFEST.json")))
    process.send_signal(signal.SIGINT)
    end = ended(process)
    assert end.code == 130
    assert "Traceback" not in end.err
    [folder] = desk.folders()
    assert not (folder / "report.pdf").exists()
    assert not list(folder.glob(".*"))
    verify(folder)
    assert json.loads((folder / "results.json").read_text())["audit"]["interrupted"] is True
    soon(lambda: not desk.processes(), 5)
    assert desk.run("render", folder, "--format", "html").code == 0


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_an_interrupted_fine_tune(desk: Desk) -> None:
    few = {"steps: 160": "steps: 40", "seeds: 5": "seeds: 2", "record_every: 8": "record_every: 4"}
    text = QUICKSTART
    for found, wanted in few.items():
        assert found in text
        text = text.replace(found, wanted)
    (desk.root / "audit.yaml").write_text(text)
    process = desk.start(*desk.words())
    heard(process, "seed 2 ...")
    process.send_signal(signal.SIGINT)
    end = ended(process)
    assert end.code == 130, end.err
    outcomes = desk.outcomes()
    assert {outcomes[name] for name in ("saliency", "grad-cam")} == {"pass"}
    assert outcomes["performance"] in {"pass", "warn", "fail", "inconclusive"}
    assert {outcomes[name] for name in ("change-rate", "convergence", "gradient-norm")} == {"not_run"}
    [folder] = desk.folders()
    assert "Interrupted: the checks that had not ended did not run." in (folder / "report.html").read_text()
    assert (folder / "report.pdf").read_bytes().endswith(b"%%EOF\n")
    assert ElementTree.parse(folder / "junit.xml").getroot().tag == "testsuites"
    verify(folder)
    assert not Path(desk.root / "runs" / "quickstart" / "latest").exists()
    end = desk.audit()
    assert "seed 2 ..." in end.out
    assert "seed 1 ..." not in end.out
    assert "not_run" not in desk.outcomes().values()
