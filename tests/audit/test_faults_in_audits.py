"""Faults of checks, from the spec to the page: the audit is inconclusive, and the others keep their verdicts."""

import re
from xml.etree import ElementTree

import pytest
from desk import Desk, check

FAULTS = {
    "raise": ("exception", "ValueError: the numbers do not add up", "log.jsonl in the run folder holds"),
    "hang": ("timeout", "took longer than 4 s and was stopped", "raise run.timeout in the spec"),
    "leave": ("crashed", "the worker left with exit code 0", "ended the process"),
    "segfault": ("crashed", "the worker died of SIGSEGV", "a native library crashed"),
}
RUN = {"device": "cpu", "threads": 1, "timeout": "4s"}


def test_faulty_checks_beside_healthy_ones(desk: Desk) -> None:
    broken = [check(fault, with_={"fault": fault}) for fault in FAULTS]
    checks = [check("first"), *broken, check("last", with_={"rows": 50})]
    desk.write(checks, run=RUN, report={"formats": ["json", "junit", "html"]})
    end = desk.audit()
    assert end.code == 3, end.err
    assert end.err == ""
    assert desk.outcomes() == {"first": "pass", "last": "pass", **dict.fromkeys(FAULTS, "error")}
    results = desk.results()
    assert results["audit"]["outcome"] == "inconclusive"
    failures = {each["id"]: each["failure"] for each in results["checks"]}
    suites = ElementTree.parse(desk.folders()[-1] / "junit.xml").getroot()
    text = _text((desk.folders()[-1] / "report.html").read_text())
    for fault, (kind, message, hint) in FAULTS.items():
        assert failures[fault]["kind"] == kind
        assert message in failures[fault]["message"]
        assert hint in failures[fault]["hint"]
        assert f"  {fault}: {failures[fault]['hint']}" in end.out
        assert suites.find(f"testsuite[@name='{fault}']/testcase/error") is not None
        assert text.count(message) >= 1, f"the page does not say what happened to {fault}"
        assert hint in text
    summary = text[text.index("Findings that matter most") : text.index("Contents")]
    assert summary.count("the check broke.") == 3
    assert all(FAULTS[fault][1] in summary and FAULTS[fault][2] in summary for fault in ("raise", "hang", "leave"))
    log = (desk.folders()[-1] / "log.jsonl").read_text()
    assert "Traceback (most recent call last)" in log
    assert "Fatal Python error: Segmentation fault" in log


def test_a_check_that_passed_before_a_fault_is_mended_is_not_computed_again(desk: Desk) -> None:
    desk.write([check("a"), check("b", with_={"fault": "raise"})])
    assert desk.audit().code == 3
    desk.write([check("a"), check("b")])
    end = desk.audit()
    assert end.code == 0
    assert re.findall(r"^(\w+) \.\.\.$", end.out, re.M) == ["b"]


@pytest.mark.parametrize("fault", ["call_home", "look_up"])
def test_offline_refuses_to_reach_another_machine(desk: Desk, fault: str) -> None:
    desk.write([check("a"), check("b", with_={"fault": fault}), check("here", with_={"fault": "call_here"})])
    end = desk.audit("--offline")
    assert end.code == 3, end.err
    assert desk.outcomes() == {"a": "pass", "b": "error", "here": "pass"}
    failure = desk.results()["checks"][1]["failure"]
    assert failure["kind"] == "refused"
    assert re.search(r"refused to reach (192.0.2.1|example.org): the audit runs offline", failure["message"])
    assert "--offline" in failure["hint"]


def test_a_check_sees_only_the_variables_that_were_named(desk: Desk) -> None:
    desk.environment = {"TOKEN_OF_SOMEBODY": "secret", "CHOSEN": "yes", "HTTPS_PROXY": "http://127.0.0.1:1"}
    desk.write([check("a", with_={"fault": "spill"})])
    desk.audit("--env", "CHOSEN")
    seen = set(desk.results()["checks"][0]["failure"]["message"].split())
    assert {"CHOSEN", "HF_HUB_OFFLINE"} <= seen
    assert not {"TOKEN_OF_SOMEBODY", "HTTPS_PROXY"} & seen


def _text(page: str) -> str:
    """The words of a page, without its tags."""
    words = re.sub(r"<(style|script).*?</\1>|<[^>]+>", " ", page, flags=re.S)
    return re.sub(r"\s+", " ", words.replace("&#39;", "'").replace("&#34;", '"'))
