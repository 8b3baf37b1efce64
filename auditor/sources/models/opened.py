"""A model's history on disk, opened: its checkpoints, its trace or its event files, with the model's names."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from auditor.errors import SourceError
from auditor.sources.digest import file_sha256, verify
from auditor.sources.paths import Where
from auditor.spec.references import expand
from auditor.subject import FileRef, ModelRef

if TYPE_CHECKING:
    from auditor.recorder.tensorboard import Events
    from auditor.recorder.trace import Trace
    from auditor.sources.models.tensors import Tensors


@dataclass(frozen=True)
class Recorded:
    """Checkpoints with their steps, a trace with the model's names of its tensors, or event files."""

    checkpoints: "tuple[Tensors, ...]" = ()
    steps: tuple[int, ...] = ()
    trace: "Trace | None" = None
    names: Mapping[str, str] = field(default_factory=dict)
    events: "Events | None" = None
    remarks: tuple[str, ...] = ()


def opened(ref: ModelRef, root: Path) -> Recorded:
    """The history, once each of its files has the bytes that were described. SourceError otherwise."""
    history = ref.history
    if history is None:
        raise SourceError(f"models.{ref.name} has no history", where=("models", ref.name))
    where: Where = ("models", ref.name, "history", history.source)
    paths = {file.path: _verified(root, file, where) for file in history.record}
    if history.source == "checkpoints":
        from auditor.sources.models.tensors import open_tensors, own_shapes

        own = own_shapes(ref, root)
        files = tuple(open_tensors(root, history.at(step), where, own) for step in history.steps)
        return Recorded(files, history.steps, remarks=history.remarks)
    from auditor.sources.models.recorded import open_events, open_trace, trace_names

    if history.source == "tensorboard":
        return Recorded(events=open_events(paths, where), remarks=history.remarks)
    trace = open_trace(next(iter(paths.values())), where)
    return Recorded(trace=trace, names=trace_names(trace, ref, root, where), remarks=history.remarks)


def _verified(root: Path, file: FileRef, where: Where) -> Path:
    path = root / expand(file.path)
    if not path.is_file():
        raise SourceError(f"{file.path}: not found below the audit's root", hint="restore it", where=where)
    verify(file, file_sha256(path), where)
    return path
