"""Digests: the sha256 of files, and of all that can change what a described model or data set gives."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from auditor.errors import SourceError
from auditor.sources.paths import Where, dotted
from auditor.subject import DataRef, FileRef, History, ModelRef
from auditor.values import sha256

CHUNK = 1 << 20
PLACES = frozenset({"path", "weights", "boxes", "masks"})
"""Options that only say where files lie: their bytes are in the digest, so a moved folder keeps its results."""


def file_sha256(path: Path) -> str:
    """The hex sha256 of a file's bytes, read in pieces of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(CHUNK):
            digest.update(piece)
    return digest.hexdigest()


def file_ref(path: Path, name: str) -> FileRef:
    """The FileRef of an existing file; `name` is its path as the spec names it."""
    return FileRef(path=name, sha256=file_sha256(path), size=path.stat().st_size)


def tree_ref(folder: Path, files: Iterable[Path], name: str) -> FileRef:
    """One FileRef for many files: sha256 over their sorted relative names and sha256 sums, and their whole size."""
    listed = sorted(files)
    sums = [[path.relative_to(folder).as_posix(), file_sha256(path)] for path in listed]
    return FileRef(path=name, sha256=sha256(sums), size=sum(path.stat().st_size for path in listed))


def verify(ref: FileRef, found: str, where: Where) -> None:
    """Raise SourceError unless the sha256 of the bytes now read is the one that was described."""
    if found != ref.sha256:
        raise SourceError(
            f"{ref.path} changed since the audit described it: expected sha256 {ref.sha256}, found {found}",
            hint="run the audit again, and let nothing write to its files meanwhile",
            where=where,
        )


def require_declared(declared: str | None, ref: FileRef, where: Where) -> None:
    """Raise SourceError unless the sha256 that the spec declares (if it does) is the file's."""
    if declared is None:
        return
    wanted = declared.removeprefix("sha256:").lower()
    if wanted != ref.sha256:
        raise SourceError(
            f"{dotted(where)}: expected sha256 {wanted} of {ref.path}, found {ref.sha256}",
            hint="the spec was written for another file; fetch that one, or change the digest knowingly",
            where=where,
        )


def seal_model(ref: ModelRef) -> ModelRef:
    """The ModelRef with its digest: files, source, options, input steps, head, history, parent, recipe, data."""
    plain: dict[str, Any] = {
        "source": ref.source,
        "options": _choices(ref.entry),
        "files": [file.sha256 for file in ref.files],
        "preprocess": ref.preprocess,
        "outputs": ref.outputs,
        "classes": ref.classes,
        "history": _history(ref.history) if ref.history else [],
        "parent": ref.parent.digest if ref.parent else "",
        "recipe": ref.recipe.to_json() if ref.recipe else {},
        "data": [data.digest for data in (ref.train, ref.validation) if data],
    }
    if ref.tasks:
        plain["tasks"] = [[task.name, task.weight, task.model.digest] for task in ref.tasks]
    return ref.model_copy(update={"digest": f"sha256:{sha256(plain)}"})


def _history(history: History) -> list[Any]:
    known = [[*history.steps], [file.sha256 for file in history.files]]
    return [*known, [*history.shards], [file.sha256 for file in history.record]]


def seal_data(ref: DataRef) -> DataRef:
    """The DataRef with its digest: files, source, options (sampling and groups among them), and how labels matched."""
    plain: dict[str, Any] = {
        "source": ref.source,
        "options": _choices(ref.entry),
        "files": [file.sha256 for file in ref.files],
        "used": ref.used,
        "classes": ref.classes,
        "labels": ref.labels,
        "task": ref.task,
        "columns": ref.columns,
    }
    return ref.model_copy(update={"digest": f"sha256:{sha256(plain)}"})


_NOT_ROWS = ("sample", "label", "labels", "targets", "group")


def same_rows(one: DataRef, other: DataRef) -> bool:
    """Whether both draw from the same rows, whatever of these is asked: a smaller sample is part of a larger one."""

    def rows(ref: DataRef) -> tuple[object, ...]:
        chosen = {name: value for name, value in _choices(ref.entry).items() if name not in _NOT_ROWS}
        return ref.source, chosen, [file.sha256 for file in ref.files]

    return rows(one) == rows(other)


def _choices(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.get("options", {}).items() if name not in PLACES}
