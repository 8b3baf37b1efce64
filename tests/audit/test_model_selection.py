"""specs/model-selection.yaml: three ways to read digits, and the report says which to ship."""

import os
import runpy
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from auditor.audit import Options, Outcome, run

SPECS = Path(__file__).parents[2] / "specs"
pytestmark = [pytest.mark.real, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    """The audit of the spec, on digits that are written here; the small network's module is found as the spec says."""
    folder = tmp_path_factory.mktemp("selection")
    shutil.copy(SPECS / "model-selection.yaml", folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SPECS / "assets"))
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(SPECS / "assets"), os.getenv("PYTHONPATH")))))
        runpy.run_path(str(SPECS / "assets" / "make_mnist.py"))["main"](folder / "assets")
        options = Options(out=folder / "runs", cache=folder / "cache", trust=frozenset({"efficientnet", "small"}))
        yield run(folder / "model-selection.yaml", options)


def test_the_small_network_is_shipped_and_every_verdict_passes(outcome: Outcome) -> None:
    assert outcome.exit_code == 0, outcome.report.audit.reason
    assert {check.id: check.outcome for check in outcome.report.checks} == {
        "which-to-ship": "pass", "convergence": "pass", "performance": "pass",
    }  # fmt: skip


def test_the_words_are_what_the_intervals_support(outcome: Outcome) -> None:
    (check,) = (each for each in outcome.report.checks if each.id == "which-to-ship")
    (text,) = (block.text for block in check.blocks if block.kind == "text")
    gaps = {one.of: one for one in check.measurements if one.name == "accuracy_difference"}
    assert set(gaps) == {"frozen", "tuned"} and gaps["frozen"].low is not None and gaps["frozen"].low > 0
    assert text == "scratch: by accuracy it is the best, ahead of frozen and tuned." or (
        text.startswith("Not frozen: by accuracy it is not the best. No difference in accuracy can be shown")
        and "scratch is the cheapest to run" in text
    )
    (table,) = (block for block in check.blocks if block.kind == "table")
    costs = {row[0]: (row[4], row[6]) for row in table.rows}
    assert costs["scratch"][0] < 0.1 * costs["tuned"][0] and costs["frozen"] == costs["tuned"]
