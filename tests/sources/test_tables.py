"""Tables from CSV, JSON lines and Parquet: the same rows, bad rows counted and named, hostile files refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from auditor.errors import RefusedError, SourceError
from auditor.sources import data
from auditor.sources.data.batch import BatchLoader
from auditor.sources.data.parquet import Parquet
from auditor.sources.encode import Columns
from auditor.spec.model import DataEntry
from auditor.subject import DataRef

ROWS = [
    {"review": "good, very", "age": 1, "size": 2.5, "stars": "pos"},
    {"review": "bad", "age": -3, "size": 1e-3, "stars": "neg"},
    {"review": "two\nlines", "age": 4, "size": 0.1, "stars": "pos"},
]


def described(root: Path, source: Any, **options: Any) -> DataRef:
    return data.describe(DataEntry(name="d", source=source, options=options), root)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The same three rows in three files."""
    lines = ["review,age,size,stars"]
    lines += [f'"{row["review"]}",{row["age"]},{row["size"]},{row["stars"]}' for row in ROWS]
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, ROWS)) + "\n\n")
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "rows.parquet")
    return tmp_path


@pytest.mark.parametrize("source", ["csv", "jsonl", "parquet"])
def test_three_files_give_the_same_rows(root: Path, source: str) -> None:
    texts = described(root, source, path=f"rows.{source}", text="review", label="stars")
    assert (texts.modality, texts.rows, texts.counts) == ("text", 3, {"neg": 1, "pos": 2})
    dataset = data.load(texts, root)
    assert [dataset.fetch(row) for row in range(3)] == [row["review"] for row in ROWS]
    table = described(root, source, path=f"rows.{source}", features=["size", "age"], label="stars")
    assert (table.modality, table.columns, table.corrupt) == ("tabular", ("size", "age"), 0)
    np.testing.assert_array_equal([data.load(table, root).fetch(row) for row in range(3)],
                                  [[row["size"], row["age"]] for row in ROWS])  # fmt: skip


@pytest.mark.parametrize("source", ["csv", "jsonl", "parquet"])
def test_rows_without_labels(root: Path, source: str) -> None:
    ref = described(root, source, path=f"rows.{source}", text="review")
    assert (ref.labelled, ref.counts, ref.rows) == (False, {}, 3)
    assert data.load(ref, root).targets() == (-1.0, -1.0, -1.0)
    with pytest.raises(SourceError, match="no labels whose shares"):
        described(root, source, path=f"rows.{source}", text="review", sample={"n": 2, "stratify": True})
    with pytest.raises(SourceError, match=r"no column 'revue'.*\n.*did you mean 'review'"):
        described(root, source, path=f"rows.{source}", text="revue")


BAD = {
    "csv": "x,y\n1,a\nnan,a\n2,b\n3\n,b\n4, \n",
    "jsonl": '{"x": 1, "y": "a"}\n{"x": NaN, "y": "a"}\n{"x": 2, "y": "b"}\n[1, 2]\n{"y": "b"}\n{"x": 3, "y": null}\n',
}
FAULTS = {
    "csv": [
        "finite number, found 'nan'",
        "expected 2 fields, found 1",
        "finite number, found ''",
        "label (column 'y')",
    ],
    "jsonl": ["finite number, found 'nan'", "expected an object, found a list", "found nothing", "found null"],
}


@pytest.mark.parametrize("source", BAD)
def test_bad_rows_are_left_out_counted_and_named(tmp_path: Path, source: str) -> None:
    (tmp_path / "rows").write_text(BAD[source])
    ref = described(tmp_path, source, path="rows", label="y")
    dataset = data.load(ref, tmp_path)
    assert (ref.rows, ref.used, ref.corrupt, ref.counts) == (2, 2, 4, {"a": 1, "b": 1})
    assert [dataset.fetch(row).tolist() for row in range(2)] == [[1.0], [2.0]]
    assert all(told in left.reason for left, told in zip(dataset.left_out, FAULTS[source], strict=True))
    (said,) = BatchLoader(dataset, Columns(), 4).remarks(2)
    assert said.startswith("4 of 6 rows of d could not be read and were left out: rows:")


def test_bad_rows_of_parquet(tmp_path: Path) -> None:
    table = pyarrow.table({"x": [1.0, None, float("nan"), 2.0], "y": ["a", "a", "b", "b"], "who": list("pqrs")})
    parquet.write_table(table, tmp_path / "t.parquet")
    ref = described(tmp_path, "parquet", path="t.parquet", features=["x"], label="y", group="who")
    assert (ref.rows, ref.corrupt, ref.grouped) == (2, 2, True)
    assert data.load(ref, tmp_path).groups == ("p", "s")


def test_hostile_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"x": 1, "x": 2}\n' + "[" * 200_000 + "\n")
    with pytest.raises(SourceError, match="holds no JSON object"):
        described(tmp_path, "jsonl", path="t.jsonl")
    path.write_text('{"x": 1}\n{"x": 1, "x": 2}\n' + '{"x": ' + "[" * 200_000 + '\n{"x": {"deep": 1}}\n')
    dataset = data.load(described(tmp_path, "jsonl", path="t.jsonl"), tmp_path)
    assert [left.reason.split(":")[0] for left in dataset.left_out] == [
        "the key 'x' stands twice", "not JSON", "column 'x'",
    ]  # fmt: skip
    path.write_text('{"x": "a"}\n{"x": "half a character \\ud800"}\n')
    (left,) = data.load(described(tmp_path, "jsonl", path="t.jsonl", text="x"), tmp_path).left_out
    assert left.name == "t.jsonl:2" and "no sound text, surrogates not allowed at character 18" in left.reason
    path.write_bytes(b'{"x": 1}\n' + b" " * (17 << 20))
    with pytest.raises(SourceError, match=r"t\.jsonl:2 is longer than 16 MiB"):
        described(tmp_path, "jsonl", path="t.jsonl")
    path.write_bytes(b'{"x": "\xff"}\n')
    with pytest.raises(SourceError, match="holds no JSON object"):
        described(tmp_path, "jsonl", path="t.jsonl")


def test_hostile_parquet(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(b"PAR1" + b"\0" * 64 + b"PAR1")
    with pytest.raises(SourceError, match="not a sound Parquet file"):
        described(tmp_path, "parquet", path="t.parquet", label="y")
    many = pyarrow.table({"x": pyarrow.array(["a" * 4000] * 50_000), "y": pyarrow.array([1] * 50_000)})
    parquet.write_table(many, path, use_dictionary=False, compression="zstd")
    with pytest.raises(RefusedError, match="would inflate to"):
        described(tmp_path, "parquet", path="t.parquet", text="x", label="y")
    places = pyarrow.Array.from_buffers(pyarrow.int8(), 5_000_000, [None, pyarrow.py_buffer(bytes(5_000_000))])
    same = pyarrow.DictionaryArray.from_arrays(places, pyarrow.array(["good"]))
    parquet.write_table(pyarrow.table({"x": same}), path, row_group_size=5_000_000)
    assert parquet.ParquetFile(path).metadata.row_group(0).total_byte_size < 50_000
    with pytest.raises(RefusedError, match="in 5,000,000 rows"):
        described(tmp_path, "parquet", path="t.parquet", text="x")
    parquet.write_table(pyarrow.table({"x": [[1, 2]], "y": ["a"], "z": [b"raw"]}), path)
    for column in "xz":
        with pytest.raises(SourceError, match=f"column '{column}' of t.parquet holds"):
            described(tmp_path, "parquet", path="t.parquet", features=[column], label="y")
    whole = path.read_bytes()
    parquet.write_table(pyarrow.table({"x": np.arange(5000.0), "y": np.arange(5000)}), path, compression="none")
    whole = bytearray(path.read_bytes())
    whole[200:260] = bytes(60)
    path.write_bytes(whole)
    rows = list(_attempt(path))
    assert rows == [] or len(rows) == 5000  # pages carry no sums by default: what is read stays numbers


def _attempt(path: Path) -> list[Any]:
    try:
        return list(Parquet().rows(path, ["x"], "d", "t.parquet"))
    except SourceError as error:
        assert "not a sound Parquet file" in error.message
        return []


@pytest.mark.parametrize("source", ["csv", "jsonl", "parquet"])
def test_columns_named_as_slices_are_no_inputs_and_follow_their_rows(root: Path, source: str) -> None:
    ref = described(root, source, path=f"rows.{source}", label="stars", slices=["review"])
    assert ref.columns == ("age", "size")
    dataset = data.load(ref, root)
    assert dataset.slices == {"review": tuple(row["review"] for row in ROWS)}
    assert dataset.without([1], ()).slices == {"review": (ROWS[0]["review"], ROWS[2]["review"])}
    sampled = data.load(
        described(root, source, path=f"rows.{source}", text="review", slices=["age"], sample={"n": 2}), root
    )
    kept = {row["review"]: str(row["age"]) for row in ROWS}
    assert sampled.slices["age"] == tuple(kept[sampled.fetch(row)] for row in range(2))
    with pytest.raises(SourceError, match=r"slices\.0: no column 'sight'"):
        described(root, source, path=f"rows.{source}", text="review", slices=["sight"])
