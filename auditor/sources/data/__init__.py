"""Data by source: one module a source, each with a torch-free describe() beside load()."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.spec.model import DataEntry
from auditor.subject import DataRef

if TYPE_CHECKING:
    from auditor.sources.data.dataset import Dataset


def describe(entry: DataEntry, root: Path) -> DataRef:
    """The data without decoding it: files with digests, rows, the rows used after sampling, labels as found."""
    ref: DataRef = _source(entry.source).describe(entry, root)
    return ref


def load(ref: DataRef, root: Path) -> "Dataset":
    """The rows themselves, checked; every digest is compared with the bytes that are read."""
    dataset: Dataset = _source(ref.source).load(ref, root)
    return dataset


def _source(name: str) -> Any:
    return import_module(f"{__name__}.{name}")
