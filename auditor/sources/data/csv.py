"""Rows of a CSV file in UTF-8 with a header line."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from auditor.errors import SourceError
from auditor.sources.data import table
from auditor.sources.data.dataset import Dataset
from auditor.sources.data.table import Row
from auditor.spec.model import DataEntry
from auditor.spec.options import CsvOptions, TableOptions
from auditor.subject import DataRef


def describe(entry: DataEntry, root: Path) -> DataRef:
    """See table.describe."""
    return table.describe(entry, root, CsvOptions.model_validate(entry.options), Csv())


def load(ref: DataRef, root: Path) -> Dataset:
    """See table.load."""
    return table.load(ref, root, CsvOptions.model_validate(ref.entry["options"]), Csv())


class Csv:
    """Reads CSV; a row of too many or too few fields is a bad row, an unclosed quote ends the file."""

    def columns(self, path: Path, options: TableOptions, name: str) -> Sequence[str]:
        """The header line."""
        with path.open(newline="", encoding="utf-8-sig") as stream, _sound(name, options.path):
            return next(csv.reader(stream, strict=True), [])

    def rows(self, path: Path, columns: Sequence[str], name: str, shown: str) -> Iterable[Row]:
        """The rows that are not empty."""
        with path.open(newline="", encoding="utf-8-sig") as stream, _sound(name, shown):
            reader = csv.reader(stream, strict=True)
            header = next(reader, [])
            places = [header.index(column) for column in columns]
            for fields in reader:
                if len(fields) == len(header):
                    yield Row(reader.line_num, [fields[place] for place in places])
                elif fields:
                    yield Row(reader.line_num, fault=f"expected {len(header)} fields, found {len(fields)}")


@contextmanager
def _sound(name: str, shown: str) -> Iterator[None]:
    try:
        yield
    except (csv.Error, UnicodeDecodeError) as error:
        raise SourceError(
            f"data.{name}: {shown} is not a CSV file in UTF-8: {error}",
            hint="expected a header line, commas between fields, and quotes around fields that hold commas",
            where=("data", name, "path"),
        ) from error
