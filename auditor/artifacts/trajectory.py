"""Trajectories: how a model's weights moved, from recorded runs or from checkpoints on disk."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

from auditor.errors import NotApplicable, SourceError
from auditor.evidence import Measurement
from auditor.methods.training.record import Changes, Curves, Run
from auditor.needs import Derived, Live, Need
from auditor.subject import FileRef, History, Holding, ModelRef, Runtime, Subject

RECORD = "models: {NAME: {finetune: {from: MODEL, data: TRAIN, validation: EVAL, steps: 200, seeds: 5}}}"
CHECKPOINTS = 'history: {checkpoints: "ckpt/step-*.safetensors"}'


@dataclass(frozen=True)
class Trajectory:
    """One Changes a recorded run, or one for a history of checkpoints, which has no `runs` (no losses, no gradients).

    curves: what is known of each history from elsewhere beside its changes; empty for runs, which hold their own.
    appeared, vanished: tensors that some checkpoints hold and others do not; they are not in `changes`.
    """

    source: str
    changes: tuple[Changes, ...]
    runs: tuple[Run, ...] = ()
    appeared: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()
    curves: tuple[Curves, ...] = ()

    def diverged(self) -> str:
        """Which runs diverged, and where, as one sentence; "" for none."""
        lost = [f"seed {place} at step {run.diverged_at}" for place, run in enumerate(self.runs, 1) if run.diverged]
        return f"{len(lost)} of {len(self.runs)} runs diverged: {', '.join(lost[:8])}." if lost else ""

    def stopped(self) -> str:
        """Which runs were stopped early because their validation loss no longer fell, as one sentence; "" for none."""
        early = [f"seed {place} at step {run.stopped_at}" for place, run in enumerate(self.runs, 1) if run.stopped_at]
        return f"{len(early)} of {len(self.runs)} runs stopped early: {', '.join(early[:8])}." if early else ""

    def notes(self) -> tuple[str, ...]:
        """Which runs diverged or stopped early, and what they say of themselves."""
        said = [self.diverged(), self.stopped(), *(remark for run in self.runs for remark in run.remarks)]
        return tuple(dict.fromkeys(sentence for sentence in said if sentence))

    def bounded(self, measured: Iterable[Measurement]) -> tuple[Measurement, ...]:
        """The measurements, as lower bounds if a run diverged or a history ends in numbers that are not finite.

        What is left of such a run looks healthier than it was: it may fail an expectation, never pass one.
        """
        lost = any(run.diverged for run in self.runs) or not all(part.finite() for part in self.changes)
        return tuple(one.model_copy(update={"censored": True}) if lost else one for one in measured)

    def remarks(self, short: int = 0) -> tuple[str, ...]:
        """What a reader of the changes must know, in sentences. short: histories too short to be read."""
        spacing = sorted(b - a for a, b in pairwise(self.changes[0].steps.tolist()))
        many = len(self.changes)
        said = [
            f"Rates are over intervals of {spacing[len(spacing) // 2]} steps." if spacing else "",
            f"{short} of {many} histories have fewer than two intervals and are left out." if short else "",
            *self.notes(),
            "" if all(part.finite() for part in self.changes) else "Rates end where weights are no longer finite.",
            "Learning rates are not known here." if self.source == "checkpoints" else "",
        ]
        for word, names in (("appear", self.appeared), ("vanish", self.vanished)):
            listed = f"{', '.join(names[:5])}{' ...' if len(names) > 5 else ''}"
            said.append(
                f"{len(names)} tensors {word} or change shape after the first checkpoint: {listed}." if names else ""
            )
        return tuple(sentence for sentence in said if sentence)


@dataclass(frozen=True)
class Trajectories(Derived[Trajectory]):
    """The records of all seeds of a fine-tune, without their checkpoints."""

    stored: ClassVar[bool] = False
    tensors: ClassVar[bool] = False
    artifact: ClassVar[type] = Trajectory
    ref: ModelRef
    runtime: Runtime

    @property
    def title(self) -> str:
        """Whose records."""
        return f"records of {self.ref.name}"

    def needs(self) -> Mapping[str, Need[Any]]:
        """One recorded run a seed."""
        from auditor.artifacts.finetune import FineTune, parts

        seeds = range(1, parts(self.ref)[0].seeds + 1)
        return {f"seed{seed}": FineTune(self.ref, seed, self.runtime) for seed in seeds}

    def build(self, *args: Any, **upstream: Any) -> Trajectory:
        """Gather them in the order of the seeds."""
        runs = tuple(upstream[name].light() for name in self.needs())
        return Trajectory("finetune", tuple(run.changes for run in runs), runs)


@dataclass(frozen=True)
class CheckpointFiles:
    """The files of a history, verified, in the order of their steps."""

    paths: tuple[Path, ...]
    steps: tuple[int, ...]


@dataclass(frozen=True)
class Checkpoints(Live[CheckpointFiles]):
    """A model's checkpoints on disk."""

    tensors: ClassVar[bool] = False
    artifact: ClassVar[type] = CheckpointFiles
    files: tuple[FileRef, ...]
    steps: tuple[int, ...]

    def load(self, root: Path, **upstream: Any) -> CheckpointFiles:
        """Their paths, once each file has its digest; SourceError otherwise."""
        paths = tuple(_verified(root, file) for file in self.files)
        return CheckpointFiles(paths, self.steps)


@dataclass(frozen=True)
class CheckpointTrajectory(Derived[Trajectory]):
    """The changes between the checkpoints of a model's history."""

    version: ClassVar[int] = 2
    artifact: ClassVar[type] = Trajectory
    ref: ModelRef
    runtime: Runtime

    @property
    def title(self) -> str:
        """Whose checkpoints."""
        return f"checkpoints of {self.ref.name}"

    def needs(self) -> Mapping[str, Need[Any]]:
        """The verified files."""
        history = self.ref.history
        if history is None or history.source != "checkpoints":
            raise SourceError(f"models.{self.ref.name}: expected a history of checkpoints", hint=CHECKPOINTS)
        return {"checkpoints": Checkpoints(history.files, history.steps)}

    def build(self, *args: Any, **upstream: Any) -> Trajectory:
        """Read tensor by tensor, two checkpoints at a time."""
        from auditor.methods.training.checkpoints import changes_of

        files: CheckpointFiles = upstream["checkpoints"]
        found = changes_of(files.paths, files.steps)
        return Trajectory("checkpoints", (found.changes,), (), found.appeared, found.vanished)


def trajectories_of(subject: Subject) -> Need[Trajectory]:
    """The trajectory of the subject's model, whatever kind of history it has. NotApplicable without one."""
    history = subject.history
    match history.source if history else None:
        case "finetune":
            return Trajectories(subject.model, subject.runtime)
        case "checkpoints":
            return CheckpointTrajectory(subject.model, subject.runtime)
        case _:
            raise NotApplicable(missing(history, ("changes",)) or "its history cannot be read in this version")


def missing(history: History | None, wanted: tuple[Holding, ...]) -> str | None:
    """None if the history holds what is wanted, else the reason with the line of the spec that would record it."""
    if history is None:
        return f"the model has no history; record one: {RECORD} or, with weights on disk, {CHECKPOINTS}"
    lacking = [_WORDS[holding] for holding in wanted if not _holds(history, holding)]
    if not lacking:
        return None
    return f"its history (source {history.source}) does not hold {' or '.join(lacking)}; record them: {RECORD}"


_WORDS: dict[Holding, str] = {
    "weights": "weights",
    "changes": "changes of the weights",
    "losses": "losses",
    "gradients": "gradients",
    "learning_rates": "learning rates",
    "validation": "a validation curve",
}


def _holds(history: History, holding: Holding) -> bool:
    return holding in history.holds or (holding == "changes" and "weights" in history.holds)


def _verified(root: Path, file: FileRef) -> Path:
    from hashlib import file_digest

    path = root / file.path
    if not path.is_file():
        raise SourceError(
            f"checkpoint {file.path}: not found below the audit's root", hint="restore it, or validate again"
        )
    with path.open("rb") as stream:
        found = file_digest(stream, "sha256").hexdigest()
    if found != file.sha256:
        raise SourceError(
            f"checkpoint {file.path}: expected sha256 {file.sha256[:12]}, found {found[:12]}",
            hint="the file changed since the audit was planned: run it again",
        )
    return path
