"""specs/sentiment-minilm.yaml: an encoder that the audit fine-tunes, looked at before and after, in one report."""

from pathlib import Path

import pytest

from auditor.audit import Options, Outcome, run

SPECS = Path(__file__).parents[2] / "specs"
pytestmark = [pytest.mark.real, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """The audit of the spec, on the sentences that `make real-models` writes."""
    options = Options(out=tmp_path_factory.mktemp("runs"), cache=tmp_path_factory.mktemp("cache"))
    return run(SPECS / "sentiment-minilm.yaml", options)


def test_all_three_pillars_are_in_one_report(outcome: Outcome) -> None:
    report = outcome.report
    outcomes = {check.id: check.outcome for check in report.checks}
    assert outcome.exit_code == 0, outcomes
    assert {check.pillar for check in report.checks} >= {"interpretability", "traceability", "optimizability"}
    assert not {"error", "skipped", "not_run"} & set(outcomes.values()), outcomes


def test_fine_tuning_taught_it_more_than_its_head_could_read_before(outcome: Outcome) -> None:
    found = {
        (check.id, one.name): one.value for check in outcome.report.checks for one in check.measurements if not one.of
    }
    assert found["performance", "accuracy"] > 0.65
    assert found["lineage", "parent_correlation"] > 0.9
