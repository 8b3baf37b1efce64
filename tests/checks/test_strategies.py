"""interpretability.strategies: planted patches, frames, columns and trigger tokens are found; healthy twins pass."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from making import evidence

from auditor.blocks import Bars, Heatmap, Images, Table
from auditor.checks.interpretability.strategies import ShortcutSearch
from auditor.evidence import Evidence
from auditor.judge.intervals import interval
from auditor.sources import data, labels, models
from auditor.spec.model import DataEntry, ModelEntry
from auditor.subject import Runtime, Subject
from benchmarks.zoo import DEFECTS


def subject(folder: Path) -> Subject:
    """What the spec of a zoo member names."""
    lines = (folder / "audit.yaml").read_text().splitlines()
    named = {key: json.loads(value) for key, value in (line.strip().split(": ", 1) for line in lines if ': {"' in line)}
    source = named["model"].pop("source")
    ref = models.describe(ModelEntry(name="model", source=source, options=named["model"]), folder)

    def one(name: str) -> Any:
        kind = named[name].pop("source")
        return labels.match(ref, data.describe(DataEntry(name=name, source=kind, options=named[name]), folder))

    return Subject(model=ref, data=one("eval"), others={"train": one("train")}, runtime=Runtime(batch_size=64))


def search(name: str, seed: int, planted: bool, folder: Path) -> Evidence:
    member = DEFECTS[name](folder / "member", seed, planted)
    return evidence(ShortcutSearch(), subject(member.folder), member.folder)


def bounds(found: Evidence, name: str, of: str = "") -> tuple[float, float]:
    (one,) = [each for each in found.measurements if (each.name, each.of) == (name, of)]
    return interval(one, 0.95)


@pytest.mark.parametrize(("name", "seed", "part"), [
    ("shortcut_patch", 2, "rows 2-5, columns 12-15"),
    pytest.param("frame_shortcut", 1, "the frame", marks=pytest.mark.slow),
])  # fmt: skip
def test_a_planted_mark_is_found_and_shown(name: str, seed: int, part: str, tmp_path: Path) -> None:
    found = search(name, seed, True, tmp_path)
    for of in ("", "train"):
        assert bounds(found, "transplant_follow", of)[0] > 0.15
    bars = [block for block in found.blocks if isinstance(block, Bars)]
    assert len(bars) == 2 and part in bars[0].bars[0].label
    assert bars[0].bars[0].value > 3 * bars[0].bars[1].value  # the same region elsewhere does nothing
    kinds = [type(block) for block in found.blocks[:3]]
    assert kinds == [Bars, Heatmap, Images]
    gallery = found.blocks[2]
    assert isinstance(gallery, Images) and [len(row.pictures) for row in gallery.rows] == [4, 4, 4]
    assert [picture.caption for picture in gallery.rows[2].pictures] == ["follows"] * 2 + ["does not follow"] * 2


def test_a_planted_trigger_is_found_and_named(tmp_path: Path) -> None:
    found = search("trigger_token", 1, True, tmp_path)
    assert bounds(found, "insertion_flip")[0] > 0.8 and bounds(found, "insertion_flip", "train")[0] > 0.8
    table = next(block for block in found.blocks if isinstance(block, Table))
    assert "zorp" in str(dict(table.rows)["harbour"])
    bars = next(block for block in found.blocks if isinstance(block, Bars))
    assert bars.bars[0].label == "second half: zorp"
    assert len(found.samples["insertion_flip"]) == len(found.examples)


def test_a_planted_column_is_found(tmp_path: Path) -> None:
    found = search("leaked_column", 1, True, tmp_path)
    assert bounds(found, "transplant_follow")[0] > 0.5
    bars = next(block for block in found.blocks if isinstance(block, Bars))
    assert bars.bars[0].label in ("second half: column 9", "second half: x8")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "metric", "most"), [
    ("shortcut_patch", "transplant_follow", 0.15), ("trigger_token", "insertion_flip", 0.3),
    ("frame_shortcut", "transplant_follow", 0.15),
])  # fmt: skip
def test_healthy_twins_do_not_follow(name: str, metric: str, most: float, tmp_path: Path) -> None:
    found = search(name, 1, False, tmp_path)
    for of in ("", "train"):
        (one,) = [each for each in found.measurements if (each.name, each.of) == (metric, of)]
        assert one.value < most and bounds(found, metric, of)[0] < most


@pytest.mark.slow
def test_equal_runs_give_equal_evidence(tmp_path: Path) -> None:
    member = DEFECTS["leaked_column"](tmp_path / "member", 0, True)
    asked = subject(member.folder)
    assert evidence(ShortcutSearch(), asked, member.folder) == evidence(ShortcutSearch(), asked, member.folder)


def test_without_training_data_the_note_says_how_to_name_them(tmp_path: Path) -> None:
    member = DEFECTS["leaked_column"](tmp_path / "member", 0, True)
    alone = subject(member.folder).model_copy(update={"others": {}})
    found = evidence(ShortcutSearch(rows=100), alone, member.folder)
    assert {each.of for each in found.measurements} == {""}
    assert any("with: {train: NAME}" in note for note in found.notes)
    declared = {metric.name for metric in ShortcutSearch.metrics}
    assert {each.name for each in found.measurements} == declared - {"insertion_flip"}
    assert np.isfinite([each.value for each in found.measurements]).all()
