"""Tables: rows of named columns from any file, of which some are inputs, one may be the label and one the group."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from typing import Any, Protocol

from auditor.errors import SourceError
from auditor.sources.data.dataset import Dataset, Found, LeftOut, described, used_rows
from auditor.sources.digest import file_ref, file_sha256, verify
from auditor.sources.paths import Where, named
from auditor.spec.model import DataEntry
from auditor.spec.options import TableOptions
from auditor.subject import DataRef, Modality

NAMED = 20


class BadRow(ValueError):
    """What keeps one row from being read; the others are read."""


@dataclass(frozen=True)
class Row:
    """One row of the file: where it stands, and its values as text; or why it has none."""

    place: int
    values: Sequence[str] = ()
    fault: str = ""


class Reader(Protocol):
    """How one kind of file is read."""

    def columns(self, path: Path, options: TableOptions, name: str) -> Sequence[str]:
        """The names of its columns."""
        ...

    def rows(self, path: Path, columns: Sequence[str], name: str, shown: str) -> Iterable[Row]:
        """Its rows, the values of `columns` in their order."""
        ...


@dataclass(frozen=True)
class _Columns:
    """The columns that the spec names, as read; rows that cannot be read are in `left_out`."""

    names: tuple[str, ...]
    inputs: list[tuple[str, ...]] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    slices: list[tuple[str, ...]] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


def describe(entry: DataEntry, root: Path, options: TableOptions, reader: Reader) -> DataRef:
    """Rows and labels counted; every number is checked. Without `text` and `features` all other columns are used."""
    path = named(root, options.path, ("data", entry.name, "path"))
    columns = _read(path, options, entry.name, reader)
    modality: Modality = "tabular" if options.text is None else "text"
    found = Found(
        columns.labels, (file_ref(path, options.path),), modality, grouped=options.group is not None,
        labelled=options.label is not None, columns=() if options.text else columns.names,
        corrupt=len(columns.left_out),
    )  # fmt: skip
    return described(entry, found)


def load(ref: DataRef, root: Path, options: TableOptions, reader: Reader) -> Dataset:
    """The used rows: texts, or rows of float64."""
    path = named(root, options.path, ("data", ref.name, "path"))
    verify(ref.files[0], file_sha256(path), ("data", ref.name, "path"))
    columns = _read(path, options, ref.name, reader)
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
        left_out=tuple(columns.left_out),
        slices={
            column: tuple(columns.slices[row][place] for row in rows)
            for place, column in enumerate(options.slices or ())
        },
    )


def _read(path: Path, options: TableOptions, name: str, reader: Reader) -> _Columns:
    header = list(reader.columns(path, options, name))
    places = _places(header, options, name)
    columns = _Columns(tuple(header[place] for place in places.inputs))
    wanted = tuple(dict.fromkeys((*places.inputs, *places.beside)))
    at = {place: index for index, place in enumerate(wanted)}
    for row in reader.rows(path, [header[place] for place in wanted], name, options.path):
        try:
            if row.fault:
                raise BadRow(row.fault)
            _take({place: row.values[at[place]] for place in wanted}, header, places, columns)
        except BadRow as fault:
            columns.left_out.append(LeftOut(f"{options.path}:{row.place}", str(fault)))
    if columns.left_out and not columns.labels:
        first = columns.left_out[0]
        raise SourceError(
            f"data.{name}: none of {len(columns.left_out)} rows can be read; {first.name}: {first.reason}",
            hint="name the columns to use under `text:` or `features:`, or mend the rows",
            where=("data", name, "path"),
        )
    return columns


@dataclass(frozen=True)
class _Places:
    inputs: tuple[int, ...]
    label: int | None
    group: int | None
    numbers: bool
    slices: tuple[int, ...] = ()

    @property
    def beside(self) -> Iterator[int]:
        """Label, group and slices, where there are."""
        return (place for place in (self.label, self.group, *self.slices) if place is not None)


def _places(header: list[str], options: TableOptions, name: str) -> _Places:
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
            hint=(f"did you mean {near[0]!r}? " if near else "") + f"it has: {_listed(header)}",
            where=where,
        )

    label = None if options.label is None else place(options.label, "label")
    group = None if options.group is None else place(options.group, "group")
    slices = tuple(place(column, "slices", index) for index, column in enumerate(options.slices or ()))
    if options.text is not None:
        return _Places((place(options.text, "text"),), label, group, numbers=False, slices=slices)
    if options.features is not None:
        inputs = tuple(place(column, "features", index) for index, column in enumerate(options.features))
    else:
        inputs = tuple(index for index in range(len(header)) if index not in (label, group, *slices))
    return _Places(inputs, label, group, numbers=True, slices=slices)


def _listed(header: list[str]) -> str:
    return ", ".join(header[:NAMED]) + (" ..." if len(header) > NAMED else "") or "no columns"


def _take(row: dict[int, str], header: list[str], places: _Places, columns: _Columns) -> None:
    """Enter one row. BadRow says what is wrong with it."""
    values = tuple(row[place] for place in places.inputs)
    for place, value in zip(places.inputs, values, strict=True):
        if places.numbers and not _is_finite(value):
            raise BadRow(f"column {header[place]!r}: expected a finite number, found {value[:40]!r}")
    label = "" if places.label is None else row[places.label].strip()
    group = "" if places.group is None else row[places.group]
    for what, at, value in (("label", places.label, label), ("group", places.group, group)):
        if at is not None and not value.strip():
            raise BadRow(f"the {what} (column {header[at]!r}) is empty")
    if not places.numbers and places.label is None and not values[0].strip():
        raise BadRow(f"the text (column {header[places.inputs[0]]!r}) is empty")
    columns.inputs.append(values)
    columns.labels.append(label)
    columns.groups.append(group)
    columns.slices.append(tuple(row[place] for place in places.slices))


def _is_finite(value: str) -> bool:
    try:
        return isfinite(float(value))
    except ValueError:
        return False
