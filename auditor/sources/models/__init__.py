"""Models by source: one module a source, each with a torch-free describe() beside load()."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.spec.model import ModelEntry
from auditor.subject import ModelRef

if TYPE_CHECKING:
    from auditor.sources.models.loaded import LoadedModel


def describe(entry: ModelEntry, root: Path) -> ModelRef:
    """The model without torch: files with digests, architecture, head, preprocessing, assumptions, trust.

    Raises SourceError for what is missing or unsound and RefusedError for what needs consent.
    """
    ref: ModelRef = _source(entry.source).describe(entry, root)
    if not entry.has_history:
        return ref
    from auditor.sources.models.histories import with_history

    return with_history(ref, entry, root)


def load(ref: ModelRef, root: Path, device: str = "cpu") -> "LoadedModel":
    """The model itself; every digest is checked against the bytes that are loaded."""
    loaded: LoadedModel = _source(ref.source).load(ref, root, device)
    return loaded


def _source(name: str) -> Any:
    return import_module(f"{__name__}.{name}")
