"""Rows of a JSON-lines file: one object a line, whose keys are the columns."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from auditor.errors import SourceError
from auditor.sources.data import table
from auditor.sources.data.dataset import Dataset
from auditor.sources.data.table import BadRow, Row
from auditor.spec.model import DataEntry
from auditor.spec.options import JsonlOptions, TableOptions
from auditor.subject import DataRef

MAX_LINE = 16 << 20


def describe(entry: DataEntry, root: Path) -> DataRef:
    """See table.describe."""
    return table.describe(entry, root, JsonlOptions.model_validate(entry.options), Jsonl())


def load(ref: DataRef, root: Path) -> Dataset:
    """See table.load."""
    return table.load(ref, root, JsonlOptions.model_validate(ref.entry["options"]), Jsonl())


class Jsonl:
    """Reads JSON lines. The columns are those of the first sound row; a row that lacks one is a bad row."""

    def columns(self, path: Path, options: TableOptions, name: str) -> Sequence[str]:
        """The keys of the first row that is an object. SourceError where there is none."""
        for _, line in _lines(path, name, options.path):
            try:
                return list(_object(line))
            except BadRow:
                continue
        raise SourceError(
            f"data.{name}: {options.path} holds no JSON object",
            hint='expected one object a line: {"text": "...", "label": "..."}',
            where=("data", name, "path"),
        )

    def rows(self, path: Path, columns: Sequence[str], name: str, shown: str) -> Iterable[Row]:
        """The rows of lines that are not empty."""
        for place, line in _lines(path, name, shown):
            try:
                held = _object(line)
                yield Row(place, [_text(held, column) for column in columns])
            except BadRow as fault:
                yield Row(place, fault=str(fault))


def _lines(path: Path, name: str, shown: str) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of each line that is not empty; a line of more than 16 MiB ends the file with an error."""
    with path.open("rb") as stream:
        number = 0
        while line := stream.readline(MAX_LINE + 1):
            number += 1
            if len(line) > MAX_LINE:
                raise SourceError(
                    f"data.{name}: {shown}:{number} is longer than {MAX_LINE >> 20} MiB: not one JSON object a line",
                    hint="write each row on a line of its own",
                    where=("data", name, "path"),
                )
            if line.strip():
                yield number, line


def _object(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line.decode("utf-8-sig"), object_pairs_hook=_unique)
    except BadRow:
        raise
    except (ValueError, RecursionError) as error:
        raise BadRow(f"not JSON: {error}"[:200]) from error
    if not isinstance(found, dict):
        raise BadRow(f"expected an object, found a {type(found).__name__}")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise BadRow(f"the key {next(name for name in names if names.count(name) > 1)!r} stands twice")
    return found


def _encodable(text: str, column: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:  # JSON can write half a character: "\\ud800"
        raise BadRow(f"column {column!r}: no sound text, {error.reason} at character {error.start + 1}") from error
    return text


def _text(held: dict[str, Any], column: str) -> str:
    """A text, number or truth value as text; nothing else is a value of a table."""
    value = held.get(column)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return _encodable(str(value), column)
    what = "null" if value is None and column in held else "nothing" if value is None else type(value).__name__
    raise BadRow(f"column {column!r}: expected a text or a number, found {what}")
