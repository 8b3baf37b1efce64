"""traceability.lineage: a true fine-tune passes, a false parent fails, one of another kind cannot pass."""

from pathlib import Path

import pytest
from descended import ASSETS, RUNTIME, anew, on_disk, shipped, tuned
from making import evidence, make
from safetensors.torch import save_file
from tiny_transformers import perceptron

from auditor.artifacts.lineage import Family, family_of
from auditor.checks.traceability.lineage import Lineage
from auditor.evidence import Evidence
from auditor.execute.codec import decode, encode
from auditor.sources import models
from auditor.spec.model import ModelEntry
from auditor.subject import Subject


def values(found: Evidence) -> dict[str, float]:
    return {f"{one.name}{one.of}": one.value for one in found.measurements}


def test_a_fine_tune_comes_from_its_parent_and_its_new_head_is_declared() -> None:
    for head in (None, 10):
        ref = tuned(steps=8, lr=1e-3, head=head)
        assert ref.parent is not None
        found = evidence(Lineage(), Subject(model=ref, against=(ref.parent,), runtime=RUNTIME), ASSETS)
        assert values(found)["parent_correlation"] > 0.9
        assert values(found)["unexplained_tensors"] == 0
        assert 0 < values(found)["changed_share"] <= 1
        assert values(found)["update_stable_rank"] >= 1
        assert {one.kind for one in found.measurements} == {"exact"}
        assert [block.kind for block in found.blocks] == ["table", "table", "lines"]
        assert any("declared new head" in note for note in found.notes) == (head is not None)


def test_a_claimed_parent_of_the_same_architecture_that_is_none_fails(tmp_path: Path) -> None:
    child, stranger = on_disk(tmp_path, "child"), on_disk(tmp_path, "stranger", anew)
    found = values(evidence(Lineage(), Subject(model=child, against=(stranger,), runtime=RUNTIME), tmp_path))
    assert abs(found["parent_correlation"]) < 0.1
    assert found["unexplained_tensors"] >= 5


def test_a_copy_is_told_by_its_digests(tmp_path: Path) -> None:
    child, copy = on_disk(tmp_path, "child"), on_disk(tmp_path, "copy")
    found = evidence(Lineage(), Subject(model=child, against=(copy,), runtime=RUNTIME), tmp_path)
    assert values(found) == {"parent_correlation": pytest.approx(1), "unexplained_tensors": 0, "changed_share": 0}
    sums = {str(what): digest for what, digest in found.blocks[0].rows if "sha256" in str(what)}  # type: ignore[union-attr]
    assert len(set(sums.values())) == 2  # of the file, and of all tensors: each the same for both


def test_another_architecture_measures_no_correlation_and_explains_nothing(tmp_path: Path) -> None:
    child = on_disk(tmp_path, "child")
    save_file(perceptron().state_dict(), tmp_path / "other.safetensors")
    options = {"factory": "tiny_transformers:perceptron", "weights": "other.safetensors", "modality": "tabular",
               "classes": ["x", "y"]}  # fmt: skip
    other = models.describe(ModelEntry(name="other", source="factory", options=options), tmp_path)
    found = evidence(Lineage(), Subject(model=child, against=(other,), runtime=RUNTIME), tmp_path)
    assert "parent_correlation" not in values(found)
    assert values(found)["unexplained_tensors"] > 5
    assert any("parent_correlation is not measured" in note for note in found.notes)


def test_several_parents_are_told_apart_and_survive_the_store(tmp_path: Path) -> None:
    child, copy, stranger = (on_disk(tmp_path, "child"), on_disk(tmp_path, "copy"), on_disk(tmp_path, "far", anew))
    subject = Subject(model=child, against=(copy, stranger), runtime=RUNTIME)
    family: Family = make(family_of(subject), tmp_path)
    back = decode(*encode(family), Family)
    found = values(Lineage().measure(family=back))
    assert found == values(Lineage().measure(family=family))
    assert found["parent_correlationcopy"] > 0.99 > 0.1 > found["parent_correlationfar"]


def test_without_a_claimed_parent_the_line_that_names_one_is_said() -> None:
    reason = Lineage().applies(Subject(model=shipped())) or ""
    assert "against: MODEL" in reason and "history: {from: MODEL}" in reason
    assert Lineage().applies(Subject(model=shipped(), against=(shipped(),))) is None
