"""Influences of the shipped checkpoints and of a fine-tune, and what does not apply."""

from pathlib import Path
from typing import Any

from test_trajectory import RUNTIME, digits, shipped, shop, tuned

from auditor.artifacts.influence import Influences
from auditor.checks.traceability.influence import TRAIN, Influence
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
