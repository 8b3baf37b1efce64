"""Rows of a Parquet file, read by pyarrow: texts, numbers and truth values, nothing nested and no foreign types."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from auditor.errors import RefusedError, SourceError
from auditor.sources.data import table
from auditor.sources.data.dataset import Dataset
from auditor.sources.data.table import Row
from auditor.spec.model import DataEntry
from auditor.spec.options import ParquetOptions, TableOptions
from auditor.subject import DataRef

MAX_BYTES = 4 << 30
MAX_ROWS = 50_000_000
MAX_RATIO = 200
"""Bytes, or rows, of content a byte of the file: one value repeated takes next to nothing, however many rows it fills.
"""
MAX_FOOTER = 64 << 20
BATCH = 8192


def describe(entry: DataEntry, root: Path) -> DataRef:
    """See table.describe."""
    return table.describe(entry, root, ParquetOptions.model_validate(entry.options), Parquet())


def load(ref: DataRef, root: Path) -> Dataset:
    """See table.load."""
    return table.load(ref, root, ParquetOptions.model_validate(ref.entry["options"]), Parquet())


class Parquet:
    """Reads Parquet in batches of rows; of a file that inflates past all measure nothing is read."""

    def columns(self, path: Path, options: TableOptions, name: str) -> Sequence[str]:
        """The names of its columns."""
        with _opened(path, name, options.path) as file:
            return list(file.schema_arrow.names)

    def rows(self, path: Path, columns: Sequence[str], name: str, shown: str) -> Iterable[Row]:
        """All rows; an empty cell makes a bad row."""
        import pyarrow  # type: ignore[import-untyped]  # it ships no stubs

        with _opened(path, name, shown) as file:
            for column in columns:
                _require_plain(file.schema_arrow.field(column), name, shown)
            place = 0
            try:
                for batch in file.iter_batches(batch_size=BATCH, columns=list(columns), use_threads=False):
                    cells = [batch.column(batch.schema.get_field_index(column)).to_pylist() for column in columns]
                    for values in zip(*cells, strict=True):
                        place += 1
                        yield _row(place, values, columns)
            except (pyarrow.ArrowException, OSError) as error:
                raise _unsound(name, shown, error) from error


def _row(place: int, values: tuple[Any, ...], columns: Sequence[str]) -> Row:
    empty = [column for column, value in zip(columns, values, strict=True) if value is None]
    if empty:
        return Row(place, fault=f"column {empty[0]!r}: expected a text or a number, found null")
    return Row(place, [str(value).lower() if isinstance(value, bool) else str(value) for value in values])


def _opened(path: Path, name: str, shown: str) -> Any:
    """The file, its footer read with limits. RefusedError where it claims to hold far more than its bytes may."""
    import pyarrow
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(
            path, thrift_string_size_limit=MAX_FOOTER, thrift_container_size_limit=1_000_000, pre_buffer=False
        )
        groups = [file.metadata.row_group(index) for index in range(file.metadata.num_row_groups)]
    except (pyarrow.ArrowException, OSError) as error:
        raise _unsound(name, shown, error) from error
    whole, size = sum(max(0, group.total_byte_size) for group in groups), path.stat().st_size
    if whole > min(MAX_BYTES, MAX_RATIO * size) or file.metadata.num_rows > min(MAX_ROWS, MAX_RATIO * size):
        rows = file.metadata.num_rows
        file.close()
        raise RefusedError(
            f"data.{name}.path: {shown} ({size:,} bytes) would inflate to {whole:,} bytes or more in {rows:,} rows",
            hint="write it anew, with fewer rows or less repetition",
            where=("data", name, "path"),
        )
    return file


def _unsound(name: str, shown: str, error: Exception) -> SourceError:
    return SourceError(
        f"data.{name}: {shown} is not a sound Parquet file: {error}"[:400],
        hint="write it anew with pyarrow.parquet.write_table",
        where=("data", name, "path"),
    )


def _require_plain(field: Any, name: str, shown: str) -> None:
    from pyarrow import types

    kind = field.type.value_type if types.is_dictionary(field.type) else field.type
    plain = (types.is_string, types.is_large_string, types.is_integer, types.is_floating, types.is_boolean)
    if not any(check(kind) for check in plain):
        raise SourceError(
            f"data.{name}: column {field.name!r} of {shown} holds {field.type}, neither texts nor numbers",
            hint="name the columns to use: `text: ...` or `features: [...]`",
            where=("data", name, "path"),
        )
