"""Detection in small: the presets alone fail planted models and no twin; docs/detection.md has the whole table."""

import json
from pathlib import Path

import pytest

from benchmarks.audits import audit, deciding
from benchmarks.detection import table
from benchmarks.zoo import DEFECTS, Unproven
from benchmarks.zoo.member import Member

CAUGHT_BY = {
    "leaked_column": "permutation_importance.best_single_feature_gap",
    "over_confidence": "calibration.calibration_slope",
    "never_predicted": "performance.never_predicted",
    "dead_layer": "feature_maps.worst_layer_dead_share",
    "frozen_layer": "local.frozen_share",
    "swapped_checkpoints": "learning_phases.order_inversions",
    "claimed_parent": "lineage.parent_correlation",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CAUGHT_BY)
def test_the_preset_alone_fails_a_planted_model_and_not_its_twin(name: str, tmp_path: Path) -> None:
    for planted in (True, False):
        member = _proven(name, planted, tmp_path)
        found = audit(member.spec, tmp_path / f"cache-{planted}", member.trust, deciding(member.spec))
        assert found.broken() == {}
        assert (CAUGHT_BY[name] in found.failed()) is planted, member.proof
        assert (found.judgement.outcome == "fail") is planted


def _proven(name: str, planted: bool, folder: Path) -> Member:
    """The first member from seed 200 on that learned what it should, as the table takes them."""
    for seed in range(200, 205):
        try:
            return DEFECTS[name](folder / f"{planted}-{seed}", seed, planted)
        except Unproven:
            continue
    pytest.fail(f"{name}: none of five seeds learned it")


def test_the_table_counts_what_failed_and_names_what_was_left_out() -> None:
    row = {"name": "dead_layer", "planted": True, "proven": True, "proof": {"alive": 0.0}, "open": [], "seconds": 2.0,
           "trained": 1.0, "failed": ["feature_maps.worst_layer_dead_share"]}  # fmt: skip
    missed, twin = {**row, "failed": []}, {**row, "planted": False, "seed": 4}
    unlearned = {"name": "trigger_token", "planted": True, "seed": 3, "proven": False, "seconds": 1.0}
    text = table(json.loads(json.dumps([row, missed, twin, unlearned])), "COMMAND")
    assert "| dead layer | 1 of 2 | feature_maps.worst_layer_dead_share (1) | alive 0.00 |" in text
    assert "failed: **1 of 1**" in text and "- dead layer, seed 4: feature_maps.worst_layer_dead_share" in text
    assert "did not hold: trigger token 3." in text and "| trigger token | 0 of 0 | nothing |  |" in text
