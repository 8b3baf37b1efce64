"""interpretability.permutation_importance: a leaked column is seen, a healthy model passes, texts and pictures work."""

from pathlib import Path
from typing import Any

import healthy
import numpy as np
import torch
from healthy import Trained
from making import evidence
from torch import nn

from auditor.artifacts.permutation import Importances
from auditor.blocks import Bars, Heatmap
from auditor.checks.interpretability.permutation_importance import PermutationImportance
from auditor.evidence import Evidence
from auditor.execute.codec import decode, encode
from auditor.judge.bounds import claim
from auditor.judge.intervals import interval
from auditor.spec.model import Rule


def artifact(given: Trained, **params: Any) -> Importances:
    need: Any = PermutationImportance(**params).needs(given.subject)["found"]
    return decode(*encode(need.build(**given.upstream())), Importances)


def audited(given: Trained, **params: Any) -> Evidence:
    return PermutationImportance(**params).measure(found=artifact(given, **params), seed=1)


def one(found: Evidence, name: str, of: str = "") -> Any:
    return next(m for m in found.measurements if m.name == name and of in ("", m.of))


def outcome(found: Evidence, name: str, **bound: float) -> str:
    asked = claim(Rule(check="c", metric=name, set_by="spec.yaml:1", **bound))
    return asked.outcome(interval(one(found, name), 0.95))


def leaky(root: Path, leak: bool) -> Trained:
    """A net on ten columns of which, with a leak, one is the label with a little noise."""
    rng = np.random.default_rng(0)
    table = rng.normal(size=(700, 10))
    labels = (table[:, :6].sum(axis=1) + 0.3 * rng.normal(size=700) > 0).astype(int)
    if leak:
        table[:, 9] = labels * 2 - 1 + 0.1 * rng.normal(size=700)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = healthy.columns_net(10)
    healthy.fit(module, torch.tensor(table[:400], dtype=torch.float32), torch.tensor(labels[:400]))
    names = {f"f{at}": table[400:, at] for at in range(10)}
    return healthy.of_table(root, names, [("no", "yes")[label] for label in labels[400:]], module)


def test_a_healthy_model_passes(tmp_path: Path) -> None:
    found = audited(leaky(tmp_path, leak=False))
    assert outcome(found, "best_single_feature_gap", at_least=0.01) == "pass"
    assert outcome(found, "top_share", at_most=0.5) == "pass"
    assert one(found, "importance", "f2").value > 10 * abs(one(found, "importance", "f8").value)


def test_a_planted_leak_is_seen(tmp_path: Path) -> None:
    found = audited(leaky(tmp_path, leak=True))
    assert outcome(found, "best_single_feature_gap", at_least=0.01) == "fail"
    assert one(found, "best_single_feature_gap").value <= 0
    assert outcome(found, "top_share", at_most=0.5) == "fail"
    assert one(found, "top_share").of == "f9"
    assert "(f9)" in found.notes[0]


def test_pictures_are_cut_into_cells() -> None:
    given = healthy.trained("digits", rows=200)
    found = audited(given, repeats=1)
    grid, bars = found.blocks
    assert isinstance(grid, Heatmap) and np.shape(grid.values) == (4, 4)
    assert isinstance(bars, Bars) and len(bars.bars) == 16
    assert grid.values[1][2] == one(found, "importance", "row 2, column 3").value
    assert outcome(found, "top_share", at_most=0.6) == "pass"
    assert len(found.samples) == 5 and {len(column) for column in found.samples.values()} == {200}


def test_a_constant_model_rests_on_nothing_and_says_so() -> None:
    given = healthy.trained("breast_cancer", rows=100)
    nn.init.zeros_(given.model.module[2].weight)  # type: ignore[index,arg-type]  # a Sequential
    found = audited(given, repeats=1)
    assert not [m for m in found.measurements if m.name == "top_share"]
    assert any("no group raises the loss" in note for note in found.notes)
    assert outcome(found, "best_single_feature_gap", at_least=0.01) == "fail"


def test_groups_are_the_unit_where_there_are_some() -> None:
    plain = artifact(healthy.trained("breast_cancer", rows=120), repeats=1)
    grouped = Importances(**{**vars(plain), "groups": tuple(f"g{row // 2}" for row in range(120))})
    found = PermutationImportance().measure(found=grouped, seed=1)
    for name in ("importance", "top_share", "best_single_feature_gap"):
        assert one(found, name).unit_of_resampling == "group"
    assert one(found, "importance").n == 60 and one(found, "top_share").n == 30


def test_the_same_question_has_the_same_answer() -> None:
    given = healthy.trained("breast_cancer", rows=60)
    assert audited(given, repeats=1) == audited(given, repeats=1)


def test_where_it_applies() -> None:
    subject = healthy.trained("digits").subject
    assert PermutationImportance().applies(subject) is None
    assert "data" in str(PermutationImportance().applies(subject.model_copy(update={"data": None})))
    bare = subject.data.model_copy(update={"labelled": False})
    assert "labels" in str(PermutationImportance().applies(subject.model_copy(update={"data": bare})))
    causal = subject.model.model_copy(update={"task": "causal_lm"})
    assert "causal_lm" in str(PermutationImportance().applies(subject.model_copy(update={"model": causal})))


def test_tokens_of_texts_are_permuted_by_name(tmp_path: Path) -> None:
    subject = healthy.reviews(tmp_path)
    found = evidence(PermutationImportance(repeats=1), subject, tmp_path, seed=1)
    assert {m.of for m in found.measurements if m.name == "importance"} == {"a", "good", "bad", "film"}
    tenths = evidence(PermutationImportance(repeats=1, by="segments"), subject, tmp_path, seed=1)
    assert len([m for m in tenths.measurements if m.name == "importance"]) == 10
