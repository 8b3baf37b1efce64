"""specs/traceability-digits.yaml: two records of one training agree; what is done to the history by hand is found."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from auditor.audit import Options, Outcome, run

SPECS = Path(__file__).parents[2] / "specs"
SPEC = "traceability-digits.yaml"
CHECKPOINTS = Path("assets/digits-shipped/ckpt")
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def outcome(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return run(SPECS / SPEC, Options(cache=cache, out=tmp_path_factory.mktemp("runs")))


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """A folder with the spec and its assets, to be tampered with."""
    shutil.copytree(SPECS / "assets" / "digits-shipped", tmp_path / "assets" / "digits-shipped")
    shutil.copytree(SPECS / "assets" / "digits-early", tmp_path / "assets" / "digits-early")
    shutil.copy(SPECS / SPEC, tmp_path)
    return tmp_path


def audited(folder: Path, only: str, cache: Path) -> dict[str, str]:
    """The outcome of each verdict of the checks that were asked, by metric."""
    options = Options(cache=cache, out=folder / "runs", only=only)
    report = run(folder / SPEC, options).report
    return {f"{check.id}.{one.metric}": one.outcome for check in report.checks for one in check.verdicts}


def measured(outcome: Outcome, check_id: str) -> dict[str, Any]:
    (found,) = (check for check in outcome.report.checks if check.id == check_id)
    return {one.name: one.value for one in found.measurements if not one.of}


def test_it_passes_and_all_its_checks_have_evidence(outcome: Outcome) -> None:
    assert outcome.exit_code == 0, outcome.report.audit.reason
    outcomes = {check.id: check.outcome for check in outcome.report.checks}
    assert {outcomes.pop("score"), outcomes.pop("influence")} == {"info"}
    assert set(outcomes.values()) == {"pass"}, outcomes
    assert all(check.measurements and check.blocks for check in outcome.report.checks)


def test_the_checkpoints_and_the_trace_of_one_run_agree(outcome: Outcome) -> None:
    on_disk, traced = measured(outcome, "change-rate"), measured(outcome, "change-rate-traced")
    for name in ("change_rate", "change_rate_p95", "early_rate_ratio", "final_to_peak"):
        assert traced[name] == pytest.approx(on_disk[name], rel=1e-5)
    assert measured(outcome, "phases-traced")["path_efficiency"] == pytest.approx(
        measured(outcome, "phases")["path_efficiency"], rel=1e-5
    )
    (agree,) = (check for check in outcome.report.checks if check.id == "agree")
    assert all(one.value <= 1e-5 for one in agree.measurements) and len(agree.measurements) == 8


def test_a_learning_rate_that_is_known_takes_the_schedule_out_of_stability(outcome: Outcome) -> None:
    assert measured(outcome, "change-rate-traced")["stability"] < 0.3 * measured(outcome, "change-rate")["stability"]


def test_the_report_tells_all_of_it(outcome: Outcome) -> None:
    results = json.loads((outcome.folder / "results.json").read_text())
    history = results["models"]["traced"]["history"]
    assert history["source"] == "trace" and "learning_rates" in history["holds"]
    page = (outcome.folder / "report.html").read_text()
    assert "a trace of its training" in page and "21 checkpoints" in page


@pytest.mark.slow
def test_two_checkpoints_that_were_swapped_fail(beside: Path, cache: Path) -> None:
    one, two = (beside / CHECKPOINTS / f"step-{step:04d}.safetensors" for step in (50, 120))
    content = one.read_bytes()
    shutil.copy(two, one)
    two.write_bytes(content)
    assert audited(beside, "phases", cache)["phases.order_inversions"] == "fail"


@pytest.mark.slow
def test_shipped_weights_that_were_edited_after_the_last_checkpoint_fail(beside: Path, cache: Path) -> None:
    path = beside / "assets" / "digits-shipped" / "model.safetensors"
    tensors = load_file(path)
    tensors["classifier.1.bias"][0] += 5
    save_file(tensors, path, metadata={"format": "pt"})
    found = audited(beside, "phases", cache)
    assert (found["phases.unrecorded_tensors"], found["phases.order_inversions"]) == ("fail", "pass")


@pytest.mark.slow
def test_weights_that_were_edited_between_two_checkpoints_fail(beside: Path, cache: Path) -> None:
    name = "resnet.encoder.stages.1.layers.0.layer.0.convolution.weight"
    for path in sorted((beside / CHECKPOINTS).glob("*.safetensors"))[15:]:  # trained on from the edited weights
        tensors = load_file(path)
        tensors[name][3] = 0
        save_file(tensors, path)
    assert audited(beside, "local", cache)["local.unexplained_jumps"] == "fail"


@pytest.mark.slow
def test_a_parent_that_it_does_not_come_from_fails(beside: Path, cache: Path) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForImageClassification

    folder = beside / "assets" / "digits-early"
    with torch.random.fork_rng():
        torch.manual_seed(99)
        AutoModelForImageClassification.from_config(AutoConfig.from_pretrained(folder)).save_pretrained(folder)
    assert audited(beside, "lineage", cache)["lineage.parent_correlation"] == "fail"


@pytest.mark.slow
def test_a_trace_of_another_run_does_not_agree(beside: Path, cache: Path) -> None:
    draw = np.random.default_rng(0)
    for path in sorted((beside / CHECKPOINTS).glob("*.safetensors")):
        tensors = load_file(path)
        for name, value in tensors.items():
            if value.ndim > 1:
                tensors[name] = value + np.float32(0.01) * draw.standard_normal(value.shape, dtype=np.float32)
        save_file(tensors, path)
    assert audited(beside, "agree", cache)["agree.rate_difference"] == "fail"
