"""Columns of a table, guessed from its first rows: which holds the text, which the label."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from pathlib import Path

from auditor.errors import SourceError
from auditor.sources.data.table import Reader
from auditor.spec.options import TableOptions

ROWS = 500
READERS = {".jsonl": "Jsonl", ".parquet": "Parquet"}
LABELS = ("label", "labels", "class", "target", "y", "category", "sentiment", "stars", "rating")


@dataclass(frozen=True)
class Columns:
    """The columns of a table: the text (or "" and the numeric features), the label, and the labels seen."""

    names: tuple[str, ...]
    text: str
    features: tuple[str, ...]
    label: str
    labels: tuple[str, ...]
    why: str


def look(path: Path, classes: Sequence[str] = ()) -> Columns:
    """Guess the columns of a CSV file with a header line, of JSON lines or of Parquet, from its first 500 rows.

    classes: those of the model; a column that holds just these is the label. Raises SourceError when no column can
    be a label, or nothing is left to read.
    """
    values = _read(path)
    label, why = _label(values, classes)
    rest = {name: column for name, column in values.items() if name != label}
    text = max((name for name in rest if not _numeric(rest[name])), key=lambda name: _length(rest[name]), default="")
    text = text if text and _length(rest[text]) >= 12 else ""
    features = () if text else tuple(name for name in rest if _numeric(rest[name]))
    if not label or not (text or features):
        raise SourceError(
            f"{path}: expected a text column or numeric columns, and a label column;"
            f" found {', '.join(values) or 'none'}",
            hint="the first line must name the columns; put the labels into a column called `label`",
        )
    return Columns(tuple(values), text, features, label, tuple(sorted(set(values[label]))), why)


def _read(path: Path) -> dict[str, list[str]]:
    """The first rows, column by column."""
    if path.suffix not in READERS:
        return _read_csv(path)
    reader: Reader = getattr(import_module(f"auditor.sources.data.{path.suffix[1:]}"), READERS[path.suffix])()
    names = reader.columns(path, TableOptions(path=path.name), "data")
    rows = islice(reader.rows(path, names, "data", path.name), ROWS)
    return dict(zip(names, map(list, zip(*(row.values for row in rows if not row.fault), strict=True)), strict=False))


def _read_csv(path: Path) -> dict[str, list[str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = csv.DictReader(stream)
            found = [row for _, row in zip(range(ROWS), rows, strict=False)]
            names = list(rows.fieldnames or ())
    except (UnicodeDecodeError, csv.Error) as error:
        raise SourceError(
            f"{path}: expected a CSV file in UTF-8, found {error}", hint="save it as UTF-8 CSV"
        ) from error
    return {name: [row[name] or "" for row in found] for name in names}


def _label(values: Mapping[str, list[str]], classes: Sequence[str]) -> tuple[str, str]:
    wanted = {name.casefold() for name in classes}
    for name, column in values.items():
        if wanted and {value.casefold() for value in column} <= wanted:
            return name, "its values are the model's classes"
    for known in LABELS:
        for name in values:
            if name.casefold() == known:
                return name, "by its name"
    few = {name: len(set(column)) for name, column in values.items() if 2 <= len(set(column)) <= 50}
    if not few:
        return "", ""
    name = min(few, key=lambda each: few[each])
    return name, f"it has the fewest values, {few[name]}"


def _numeric(column: Sequence[str]) -> bool:
    try:
        return all(float(value) is not None for value in column if value)
    except ValueError:
        return False


def _length(column: Sequence[str]) -> float:
    return sum(map(len, column)) / max(len(column), 1)
