"""Rows of a CSV file: a text column or columns of numbers, a label, and perhaps a group."""

import csv
import hashlib
from collections import Counter
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from typing import Any

from auditor.errors import SourceError
from auditor.sources.data.dataset import Dataset, Found, described, used_rows
from auditor.sources.digest import file_ref, file_sha256, verify
from auditor.sources.paths import Where, named
from auditor.spec.model import DataEntry
from auditor.spec.options import CsvOptions
from auditor.subject import DataRef


@dataclass(frozen=True)
class _Columns:
    """The columns that the spec names, as read: raw inputs as text, labels, groups."""

    inputs: list[tuple[str, ...]]
    labels: list[str]
    groups: list[str]


def describe(entry: DataEntry, root: Path) -> DataRef:
    """Rows and labels counted; every number is checked. Without `text` and `features` all other columns are used."""
    options = CsvOptions.model_validate(entry.options)
    path = named(root, options.path, ("data", entry.name, "path"))
    columns = _read(path, options, entry.name)
    modality: Any = "tabular" if options.text is None else "text"
    ref = file_ref(path, options.path)
    return described(entry, Found(columns.labels, (ref,), modality, grouped=options.group is not None))


def load(ref: DataRef, root: Path) -> Dataset:
    """The used rows: texts, or rows of float64."""
    options = CsvOptions.model_validate(ref.entry["options"])
    path = named(root, options.path, ("data", ref.name, "path"))
    verify(ref.files[0], file_sha256(path), ("data", ref.name, "path"))
    columns = _read(path, options, ref.name)
    rows = used_rows(columns.labels, options, ref.files)
    inputs = [columns.inputs[row] for row in rows]

    def fetch(row: int) -> Any:
        if options.text is not None:
            return inputs[row][0]
        import numpy as np

        return np.asarray([float(value) for value in inputs[row]])

    return Dataset(
        ref=ref,
        labels=tuple(columns.labels[row] for row in rows),
        groups=tuple(columns.groups[row] for row in rows),
        examples=tuple(hashlib.sha256("\x1f".join(values).encode()).hexdigest() for values in inputs),
        fetch=fetch,
    )


def _read(path: Path, options: CsvOptions, name: str) -> _Columns:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream, strict=True)
            header = next(reader, [])
            places = _places(header, options, name)
            columns = _Columns([], [], [])
            for row in reader:
                if row:
                    _take(row, header, places, columns, _Line(name, options.path, reader.line_num))
            return columns
    except (csv.Error, UnicodeDecodeError) as error:
        raise SourceError(
            f"data.{name}: {options.path} is not a CSV file in UTF-8: {error}",
            hint="expected a header line, commas between fields, and quotes around fields that hold commas",
            where=("data", name, "path"),
        ) from error


@dataclass(frozen=True)
class _Places:
    inputs: tuple[int, ...]
    label: int
    group: int | None
    numbers: bool


def _places(header: list[str], options: CsvOptions, name: str) -> _Places:
    """Where the named columns stand. SourceError for a column that is not there, or is there twice."""
    twice = [column for column, count in Counter(header).items() if count > 1]
    if twice:
        raise SourceError(
            f"data.{name}: {options.path} has two columns named {twice[0]!r}", where=("data", name, "path")
        )

    def place(column: str, *key: str | int) -> int:
        if column in header:
            return header.index(column)
        near = get_close_matches(column, header, n=1)
        where: Where = ("data", name, *key)
        raise SourceError(
            f"{'.'.join(map(str, where))}: no column {column!r} in {options.path}",
            hint=(f"did you mean {near[0]!r}? " if near else "") + f"it has: {', '.join(header[:20]) or 'no header'}",
            where=where,
        )

    label = place(options.label, "label")
    group = None if options.group is None else place(options.group, "group")
    if options.text is not None:
        return _Places((place(options.text, "text"),), label, group, numbers=False)
    if options.features is not None:
        inputs = tuple(place(column, "features", index) for index, column in enumerate(options.features))
    else:
        inputs = tuple(index for index in range(len(header)) if index not in (label, group))
    return _Places(inputs, label, group, numbers=True)


@dataclass(frozen=True)
class _Line:
    """One line of the file, for messages."""

    name: str
    path: str
    number: int

    def wrong(self, message: str, hint: str) -> SourceError:
        text = f"data.{self.name}: {self.path}:{self.number}: {message}"
        return SourceError(text, hint=hint, where=("data", self.name, "path"))


def _take(row: list[str], header: list[str], places: _Places, columns: _Columns, line: _Line) -> None:
    if len(row) != len(header):
        raise line.wrong(f"expected {len(header)} fields, found {len(row)}", "quote fields that hold commas")
    values = tuple(row[place] for place in places.inputs)
    if places.numbers:
        for place, value in zip(places.inputs, values, strict=True):
            if not _is_finite(value):
                raise line.wrong(
                    f"column {header[place]!r}: expected a finite number, found {value!r}",
                    "name the columns to use under `features:`, or mend the row",
                )
    label = row[places.label].strip()
    if not label:
        raise line.wrong(f"the label (column {header[places.label]!r}) is empty", "label or remove the row")
    if places.group is not None and not row[places.group].strip():
        raise line.wrong(f"the group (column {header[places.group]!r}) is empty", "name the row's group or remove it")
    columns.inputs.append(values)
    columns.labels.append(label)
    columns.groups.append("" if places.group is None else row[places.group])


def _is_finite(value: str) -> bool:
    try:
        return isfinite(float(value))
    except ValueError:
        return False
