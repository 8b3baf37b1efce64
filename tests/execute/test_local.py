"""Workers from outside: a run end to end, and each fault in its own outcome."""

import fakes
from fakes import entry

from auditor.evidence import Evidence


def test_runs_checks_that_share_a_need(bench):
    found = bench.run(entry("a"), entry("b", "task.fake_twice"))
    assert all(isinstance(each, Evidence) for each in found.values())
    assert fakes.diary(bench.root) == ["load m"]
