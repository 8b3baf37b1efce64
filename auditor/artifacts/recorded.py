"""Recorded histories: the trajectory of a model whose checkpoints, trace or event files are on disk."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from auditor.artifacts.buffers import Buffers, BuffersOf
from auditor.artifacts.trajectory import CHECKPOINTS, Trajectory, listed
from auditor.errors import SourceError
from auditor.needs import Derived, Live, Need
from auditor.sources.models.opened import Recorded, opened
from auditor.subject import ModelRef, Runtime


@dataclass(frozen=True)
class Opened(Live[Recorded]):
    """A model's history on disk, opened once each file has the bytes that were described."""

    tensors: ClassVar[bool] = False
    artifact: ClassVar[type] = Recorded
    ref: ModelRef

    @property
    def title(self) -> str:
        """Whose history."""
        return f"history of {self.ref.name}"

    def load(self, root: Path, **upstream: Any) -> Recorded:
        """Checkpoints are read later, tensor by tensor."""
        return opened(self.ref, root)


@dataclass(frozen=True)
class HistoryTrajectory(Derived[Trajectory]):
    """The changes between a model's checkpoints or the records of a trace, and what is known beside them."""

    version: ClassVar[int] = 5
    artifact: ClassVar[type] = Trajectory
    ref: ModelRef
    runtime: Runtime

    @property
    def title(self) -> str:
        """Whose changes."""
        return f"changes of {self.ref.name}"

    def needs(self) -> Mapping[str, Need[Any]]:
        """The opened history; of checkpoints also which tensors are buffers. A trace holds parameters alone."""
        if self.ref.history is None or self.ref.history.source == "finetune":
            raise SourceError(f"models.{self.ref.name}: expected a history on disk", hint=CHECKPOINTS)
        found: dict[str, Need[Any]] = {"history": Opened(self.ref)}
        return found | ({"buffers": BuffersOf(self.ref)} if self.ref.history.source == "checkpoints" else {})

    def build(self, *args: Any, **upstream: Any) -> Trajectory:
        """Checkpoints are read tensor by tensor; a trace or event files are in memory."""
        found: Recorded = upstream["history"]
        if found.trace is not None:
            return _of_trace(found)
        if found.events is not None:
            from auditor.methods.training.recorded import event_curves

            return Trajectory("tensorboard", (), curves=(event_curves(found.events),), said=found.remarks)
        return _of_checkpoints(found, upstream["buffers"])


def _of_checkpoints(found: Recorded, buffers: Buffers) -> Trajectory:
    from auditor.methods.training.checkpoints import changes_of

    stored = dict.fromkeys(name for file in found.checkpoints for name in file.shapes)
    read = changes_of(found.checkpoints, found.steps, buffers.among(stored))
    tied = [f"{name} and {other}" for name, other in read.tied.items()]
    said = (f"Matrices that are equal in every checkpoint count once: {listed(tied, 'pair')}.",) if tied else ()
    return Trajectory(
        "checkpoints", (read.changes,), appeared=read.appeared, vanished=read.vanished,
        said=(*found.remarks, *said),
    )  # fmt: skip


def _of_trace(found: Recorded) -> Trajectory:
    from auditor.methods.training.recorded import holes, resumes, trace_changes, trace_curves

    trace = found.trace
    assert trace is not None
    missed = [f"{a} to {b}" for a, b in holes(trace)]
    said = (f"What happened around resumes, {listed(missed, 'stretch')}, was not recorded.",) if missed else ()
    resumed, cold = resumes(trace)
    return Trajectory(
        "trace", (trace_changes(trace, found.names),), curves=(trace_curves(trace),), resumed=resumed, cold=cold,
        said=(*found.remarks, *said),
    )  # fmt: skip
