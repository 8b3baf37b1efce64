"""Influences of the shipped checkpoints and of a fine-tune, and what does not apply."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_trajectory import RUNTIME, digits, shipped, shop, tuned

from auditor.artifacts.influence import Influences
from auditor.checks.traceability.influence import TRAIN, Influence
from auditor.errors import NotApplicable
from auditor.execute.codec import decode, encode
from auditor.sources import labels
from auditor.subject import Subject


def subject(**ref: Any) -> Subject:
    model = tuned(None, **ref) if ref else shipped()
    train, test = (labels.match(model, digits(split, 256)) for split in ("train", "test"))
    return Subject(model=model, data=test, others={"train": train}, runtime=RUNTIME)


def test_the_shipped_checkpoints_and_a_fine_tune_are_asked_through_the_store(tmp_path: Path) -> None:
    made, check = shop(tmp_path), Influence(rows=40, test_rows=12, layer="auto")
    for each, equal in ((subject(), True), (subject(steps=4), False)):
        found = made.get(check.needs(each)["found"])
        assert found.equal is equal
        assert found.pairs.shape == (40, 12)
        assert len(found.steps) == len(each.model.history.steps) if equal else found.steps == (2, 4)
        back = decode(*encode(found), Influences)
        assert back.pairs.tobytes() == found.pairs.tobytes()
        evidence = check.measure(found=back, seed=1)
        assert {one.name for one in evidence.measurements} == {"self_influence_gini", "proponents_same_class"}
        assert [block.kind for block in evidence.blocks] == ["table", "images", "images", "lines"]
        assert f"layer {found.layer} (" in evidence.notes[0]
        assert ("not known" in evidence.notes[0]) is equal


def test_what_does_not_apply_names_the_line_to_add() -> None:
    whole = subject()
    check = Influence()
    assert check.applies(whole) is None
    assert check.applies(whole.model_copy(update={"others": {}})) == TRAIN
    bare = whole.data.model_copy(update={"labelled": False})  # type: ignore[union-attr]
    assert "name their column" in str(check.applies(whole.model_copy(update={"others": {"train": bare}})))
    assert "name their column" in str(check.applies(whole.model_copy(update={"data": bare})))
    assert "data set" in str(check.applies(whole.model_copy(update={"data": None})))
    for fields, said in (({"history": None}, "checkpoints"), ({"task": "causal_lm"}, "causal_lm")):
        model = whole.model.model_copy(update=fields)
        assert said in str(check.applies(whole.model_copy(update={"model": model})))


def test_a_last_stage_that_is_not_finite_neither_predicts_nor_counts(tmp_path: Path) -> None:
    made = shop(tmp_path)
    need = Influence(rows=40, test_rows=12, layer="auto").needs(subject())["found"]
    given = {name: made.get(each) for name, each in need.needs().items()}
    stages = given["stages"]
    *before, last = stages.steps

    def read(step: int) -> Any:
        state = stages.read(step)
        return {name: value * float("nan") if step == last else value for name, value in state.items()}

    short = replace(stages, steps=tuple(before), lrs=stages.lrs[:-1])
    whole = need.build(**{**given, "stages": short})
    found = need.build(**{**given, "stages": replace(stages, read=read)})
    assert (found.left_out, found.steps) == ((last,), tuple(before))
    assert found.test.predicted.tolist() == whole.test.predicted.tolist()
    np.testing.assert_array_equal(found.pairs, whole.pairs)
    assert {each.kind for each in Influence().measure(found=found, seed=1).measurements} == {"unreplicated"}
    with pytest.raises(NotApplicable, match="finite at no stage"):
        need.build(**{**given, "stages": replace(stages, steps=(last,), lrs=(1.0,), read=read)})
