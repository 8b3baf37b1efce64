"""Labels match by name, then by index, then by order; what does not fit names both sides."""

from typing import Any

import pytest

from auditor.errors import SourceError
from auditor.sources.labels import match
from auditor.subject import DataRef, ModelRef


def model(*classes: str, outputs: int = 0, **changes: Any) -> ModelRef:
    return ModelRef(
        digest="m", name="net", source="torchvision", entry={}, architecture="resnet18", modality="image",
        outputs=outputs or len(classes), classes=classes, **changes,
    )  # fmt: skip


def data(*found: str, classes: tuple[str, ...] = (), labels: dict[str, str] | None = None) -> DataRef:
    options: dict[str, Any] = {"path": "x", **({"labels": labels} if labels else {})}
    return DataRef(
        digest="d", name="eval", source="image_folder", modality="image", rows=len(found), used=len(found),
        entry={"name": "eval", "source": "image_folder", "options": options},
        counts=dict.fromkeys(found, 1), classes=classes,
    )  # fmt: skip


def test_by_name_whatever_the_order() -> None:
    matched = match(model("dog", "cat", "cow"), data("cat", "dog"))
    assert matched.labels == {"cat": 1, "dog": 0} and matched.classes == ("dog", "cat", "cow")


def test_by_name_but_for_case() -> None:
    assert match(model("Dog", "CAT"), data("cat", "dog")).labels == {"cat": 1, "dog": 0}
    with pytest.raises(SourceError):
        match(model("Cat", "CAT", "dog"), data("cat", "dog"))


def test_a_name_that_two_outputs_share_is_no_match() -> None:
    assert match(model("crane", "dog", "crane"), data("dog")).labels == {"dog": 1}
    with pytest.raises(SourceError, match="do not fit the head"):
        match(model("crane", "dog", "crane"), data("dog", "crane"))


def test_integers_are_indices() -> None:
    assert match(model("dog", "cat"), data("1", "0")).labels == {"0": 0, "1": 1}
    assert match(model(outputs=12), data("2", "10")).labels == {"2": 2, "10": 10}
    with pytest.raises(SourceError, match="labels in the data: 0, 2"):
        match(model("dog", "cat"), data("0", "2"))


def test_names_of_digits_win_over_indices() -> None:
    assert match(model("1", "0"), data("0", "1")).labels == {"0": 1, "1": 0}


def test_folders_sort_when_the_model_has_no_names() -> None:
    matched = match(model(outputs=2), data("dog", "cat"))
    assert matched.labels == {"cat": 0, "dog": 1} and matched.classes == ("cat", "dog")
    assert match(model(outputs=2), data("b", "a", classes=("b", "a"))).labels == {"b": 0, "a": 1}
    with pytest.raises(SourceError, match="no names, indices 0 to 2"):
        match(model(outputs=3), data("dog", "cat"))


def test_numbers_of_a_table_sort_by_size() -> None:
    """Counted from 1, they are no indices; sorted as text, 10 would be the second class."""
    found = match(model(outputs=10), data(*map(str, range(1, 11))))
    assert found.labels == {str(number): number - 1 for number in range(1, 11)}


def test_long_labels_are_cut_in_a_mismatch() -> None:
    with pytest.raises(SourceError, match=r"a{40} \.\.\.\n") as caught:
        match(model("x", "y"), data("a" * 5000))
    assert len(str(caught.value)) < 500


def test_a_declared_map() -> None:
    declared = {"Hund": "dog", "Katze": "cat"}
    assert match(model("cat", "dog"), data("Hund", "Katze", labels=declared)).labels == {"Hund": 1, "Katze": 0}
    assert match(model(outputs=2), data("a", "b", labels={"a": "1", "b": "0"})).labels == {"a": 1, "b": 0}
    with pytest.raises(SourceError, match=r"without an entry: Katze; names that the model has not: Dog; .*cat, dog"):
        match(model("cat", "dog"), data("Hund", "Katze", labels={"Hund": "Dog"}))


def test_a_mismatch_lists_both_sides() -> None:
    with pytest.raises(SourceError) as caught:
        match(model("cat", "dog"), data("cat", "wolf"))
    assert "labels in the data: cat, wolf" in str(caught.value) and "classes of the model: cat, dog" in str(
        caught.value
    )
    assert caught.value.where == ("data", "eval", "labels")


def test_the_match_is_part_of_the_digest() -> None:
    assert (
        match(model("dog", "cat"), data("cat", "dog")).digest != match(model("cat", "dog"), data("cat", "dog")).digest
    )


def test_modalities_must_agree_and_regression_needs_numbers() -> None:
    with pytest.raises(SourceError, match="holds image data"):
        match(model("a", "b").model_copy(update={"modality": "text"}), data("a", "b"))
    assert match(model("y", task="regression"), data("1.5", "-2")).task == "regression"
    with pytest.raises(SourceError, match="found red, nan"):
        match(model("y", task="regression"), data("1.5", "red", "nan"))
