"""The columns of a CSV file are told by what they hold."""

from pathlib import Path

import pytest

from auditor.draft.columns import look
from auditor.errors import SourceError


def _table(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "table.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_the_label_is_the_column_of_the_models_classes(tmp_path: Path) -> None:
    path = _table(tmp_path, "id,said,mood", '1,"a long and happy sentence",Good', '2,"a long and sad sentence",bad')
    found = look(path, ("good", "bad"))
    assert (found.text, found.label, found.labels) == ("said", "mood", ("Good", "bad"))


def test_the_label_is_known_by_its_name(tmp_path: Path) -> None:
    path = _table(tmp_path, "review,stars", '"it was quite good indeed",5', '"it was quite bad indeed",1')
    assert (look(path).label, look(path).why) == ("stars", "by its name")


def test_the_label_is_the_column_of_fewest_values(tmp_path: Path) -> None:
    path = _table(tmp_path, "a,b,kind", "1.5,2,x", "2.5,3,y", "3.5,4,x")
    found = look(path)
    assert (found.label, found.features, found.text) == ("kind", ("a", "b"), "")
    assert found.why == "it has the fewest values, 2"


@pytest.mark.parametrize("lines", [("only",), ("label", "x", "y"), ("a,b",)])
def test_a_table_without_anything_to_read_is_an_error_that_lists_its_columns(
    tmp_path: Path, lines: tuple[str, ...]
) -> None:
    with pytest.raises(SourceError, match="found " + lines[0].replace(",", ", ")):
        look(_table(tmp_path, *lines))


def test_a_file_in_another_encoding_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "latin.csv"
    path.write_bytes("text,label\ncafé noir,1\n".encode("latin-1"))
    with pytest.raises(SourceError, match="UTF-8"):
        look(path)


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_other_tables_are_guessed_as_csv_is(tmp_path: Path, suffix: str) -> None:
    import json

    import pyarrow
    from pyarrow import parquet

    from auditor.draft.guessing import data_entry, is_data

    rows = [{"review": "it was quite good indeed", "age": 1, "stars": 5},
            {"review": "it was quite bad indeed", "age": 2, "stars": 1}]  # fmt: skip
    path = tmp_path / f"table{suffix}"
    if suffix == ".jsonl":
        path.write_text("\n".join(["broken", *map(json.dumps, rows)]))
    else:
        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    entry, columns = data_entry(path, None, lambda each: each.name)
    assert is_data(path) and columns is not None and columns.labels == ("1", "5")
    assert entry.source == suffix[1:]
    assert entry.options == {"path": path.name, "text": "review", "label": "stars"}
