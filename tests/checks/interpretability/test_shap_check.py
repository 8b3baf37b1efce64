"""interpretability.shap: two runs that agree and two that do not, exact values, figures, and sums that fail."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import healthy
import numpy as np
import pytest
import torch
from healthy import Trained
from making import digits, evidence, make
from tiny_transformers import bert, made, saved_texts
from torch import Tensor, nn

from auditor.artifacts.shap_runs import SharedOut
from auditor.blocks import Bars, Heatmap, Images, TokenMap
from auditor.checks.interpretability.shap import Shap
from auditor.errors import SourceError
from auditor.evidence import Evidence
from auditor.execute.codec import decode, encode
from auditor.execute.sweep import sweep
from auditor.judge.bounds import claim
from auditor.judge.intervals import interval
from auditor.spec.model import Rule


def artifact(given: Trained, **params: Any) -> SharedOut:
    need: Any = Shap(**params).needs(given.subject)["found"]
    probe = need.needs()["explained"]
    explained = sweep([probe], given.model, given.loader)[probe.key]
    return decode(*encode(need.build(**given.upstream(), explained=explained)), SharedOut)


def audited(given: Trained, **params: Any) -> Evidence:
    return Shap(**params).measure(found=artifact(given, **params))


def one(found: Evidence, name: str) -> Any:
    return next(m for m in found.measurements if m.name == name)


def outcome(found: Evidence, name: str, **bound: float) -> str:
    asked = claim(Rule(check="c", metric=name, set_by="spec.yaml:1", **bound))
    return asked.outcome(interval(one(found, name), 0.95))


def table(root: Path, module: nn.Module, columns: int, rows: int = 40) -> Trained:
    draw = np.random.default_rng(0).normal(size=(rows, columns))
    names = {f"f{at}": draw[:, at] for at in range(columns)}
    return healthy.of_table(root, names, ["no", "yes"] * (rows // 2), module)


class Parity(nn.Module):
    """Columns that matter all together only: whether an even number of them lies above the mean."""

    def forward(self, x: Tensor) -> Tensor:
        odd = torch.sign(x - 0.02).prod(dim=1)
        return torch.stack([odd, -odd], dim=1)


class Noisy(nn.Module):
    """Dropout that stays on."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(x, 0.5, training=True)[:, :2]


class Same(nn.Module):
    """The same scores for all."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.tensor([[1.0, 0.0]]).expand(len(x), 2)


def test_a_healthy_network_passes_and_its_figures_name_the_columns() -> None:
    given = healthy.trained("breast_cancer")
    found = audited(given, max_evals=122)
    assert outcome(found, "seed_agreement", at_least=0.9) == outcome(found, "relative_se", at_most=0.2) == "pass"
    signed, sizes, fifths = found.blocks
    assert isinstance(signed, Bars) and isinstance(sizes, Bars) and isinstance(fifths, Heatmap)
    assert len(sizes.bars) == 20 and all(bar.value > 0 and bar.low is not None for bar in sizes.bars)
    assert "of its own class" in fifths.reading
    assert [bar.label for bar in sizes.bars] == [*fifths.rows] == [bar.label for bar in signed.bars][:20]
    assert len(found.examples) == len(found.samples["relative_se"]) == 32


def test_columns_that_matter_only_all_together_need_more_evaluations_than_were_taken(tmp_path: Path) -> None:
    found = audited(table(tmp_path, Parity().eval(), 12), max_evals=4)
    assert outcome(found, "seed_agreement", at_least=0.9) == outcome(found, "relative_se", at_most=0.2) == "fail"


def test_few_columns_are_exact_and_say_so(tmp_path: Path) -> None:
    line = nn.Linear(4, 2)
    nn.init.constant_(line.weight, 1.0)
    found = audited(table(tmp_path, line.eval(), 4), target="class:1")
    assert one(found, "seed_agreement").value == pytest.approx(1) and one(found, "relative_se").value == 0
    assert "values are exact" in found.notes[0]
    fifths = found.blocks[2]
    assert "changes its colour once" in fifths.reading
    assert all(list(row) == sorted(row) for row in fifths.values), "a rising column rises from fifth to fifth"


def test_equal_values_of_a_column_stand_in_one_fifth(tmp_path: Path) -> None:
    made = artifact(table(tmp_path, nn.Linear(4, 2).eval(), 4))
    made.columns[:, 0] = np.arange(len(made.columns)) % 2
    fifths = Shap().measure(found=made).blocks[2]
    first = fifths.values[fifths.rows.index("f0")]
    assert [cell is None for cell in first] == [True, False, True, False, True]


def test_pictures_agree_more_with_more_evaluations_and_repeat() -> None:
    few, many = (evidence(Shap(max_evals=evals, rows=4), digits(8)) for evals in (4, 500))
    assert one(few, "seed_agreement").value < 0.65 < one(many, "seed_agreement").value
    assert one(few, "relative_se").value > one(many, "relative_se").value
    assert many == evidence(Shap(max_evals=500, rows=4), digits(8))
    assert len(many.blocks) == 1 and isinstance(many.blocks[0], Images)
    assert "different values for 49 parts" in many.notes[0] and "add up" in many.notes[1]
    assert "folded copy" in many.notes[2]


def test_one_evaluation_a_cell_is_not_enough_for_runs_to_agree() -> None:
    found = evidence(Shap(max_evals=4), digits(32))
    assert outcome(found, "seed_agreement", at_least=0.8) == outcome(found, "relative_se", at_most=0.25) == "fail"


def test_texts_have_a_value_a_token_and_none_on_special_ones(tmp_path: Path) -> None:
    subject = saved_texts(tmp_path, bert(), n=8)
    check = Shap(max_evals=40, rows=8)
    found: SharedOut = made(check.needs(subject)["found"], tmp_path)
    assert not found.maps.maps[:, 0].any() and found.maps.maps[:, 1].all() and not found.enumerated
    shown = check.measure(found=found)
    assert isinstance(shown.blocks[0], TokenMap) and shown.blocks[0].signed and len(shown.blocks) == 1
    assert -1 <= one(shown, "seed_agreement").value <= 1


def test_what_has_no_order_is_left_out_and_counted(tmp_path: Path) -> None:
    found = audited(table(tmp_path, Same().eval(), 4), rows=6)
    assert not found.measurements and not found.examples and "6 of 6 examples" in found.notes[1]


def test_groups_are_the_unit_where_there_are_some(tmp_path: Path) -> None:
    found = artifact(table(tmp_path, nn.Linear(4, 2).eval(), 4), rows=6)
    inside = replace(found.maps.explained, groups=("a", "a", "b", "b", "c", "c"))
    shown = Shap().measure(found=replace(found, maps=replace(found.maps, explained=inside)))
    assert one(shown, "seed_agreement").n == 3 and one(shown, "seed_agreement").unit_of_resampling == "group"


@pytest.mark.parametrize("columns", [4, 12])
def test_values_that_do_not_add_up_stop_the_check(tmp_path: Path, columns: int) -> None:
    with pytest.raises(SourceError, match="do not add up"):
        audited(table(tmp_path, Noisy().eval(), columns))


def test_it_shares_its_explained_examples_and_needs_data() -> None:
    subject = digits(8)
    assert Shap().applies(subject) is None
    assert "data" in (Shap().applies(subject.model_copy(update={"data": None})) or "")
    needs: Any = Shap(rows=4).needs(subject)["found"].needs()
    assert make(needs["explained"]).targets.shape == (4,)
