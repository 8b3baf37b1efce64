"""Trajectories: how a model's weights moved, from recorded runs, a trace, or checkpoints on disk."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

from auditor.errors import NotApplicable
from auditor.evidence import Measurement
from auditor.methods.training.record import Changes, Curves, Run
from auditor.needs import Derived, Need
from auditor.subject import History, Holding, ModelRef, Runtime, Subject

RECORD = "models: {NAME: {finetune: {from: MODEL, data: TRAIN, validation: EVAL, steps: 200, seeds: 5}}}"
CHECKPOINTS = 'history: {checkpoints: "ckpt/step-*.safetensors"}'
TRACE = "history: {trace: train.trace}, written by auditor.record in the training loop"


@dataclass(frozen=True)
class Trajectory:
    """One Changes a recorded run, or one for a trace or for checkpoints; event files have none.

    runs: those of a fine-tune, which hold losses and gradients. curves: what is known of each history from elsewhere
    beside its changes; empty for runs.
    appeared, vanished: tensors that some checkpoints hold and others do not; they are not in `changes`.
    resumed: the steps after which a trace was begun anew; cold: of them those where the optimizer held no state of
    earlier steps, after which changes jump without saying anything of the data. said: what reading showed.
    """

    source: str
    changes: tuple[Changes, ...]
    runs: tuple[Run, ...] = ()
    appeared: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()
    curves: tuple[Curves, ...] = ()
    resumed: tuple[int, ...] = ()
    cold: tuple[int, ...] = ()
    said: tuple[str, ...] = ()

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
        said = [self.diverged(), self.stopped(), *(remark for run in self.runs for remark in run.remarks), *self.said]
        return tuple(dict.fromkeys(sentence for sentence in said if sentence))

    def bounded(self, measured: Iterable[Measurement], up: Sequence[str] = ()) -> tuple[Measurement, ...]:
        """The measurements, as lower bounds if a run diverged or a history ends in numbers that are not finite.

        What is left of such a run looks healthier than it was: it may fail an expectation, never pass one. up: metrics
        that are better when higher. A lower bound would let them pass, so they are left undecided instead.
        """
        if not any(run.diverged for run in self.runs) and all(part.finite() for part in self.changes):
            return tuple(measured)
        return tuple(one.undecided() if one.name in up else one.model_copy(update={"censored": True})
                     for one in measured)  # fmt: skip

    def remarks(self, short: int = 0) -> tuple[str, ...]:
        """What a reader of the changes must know, in sentences. short: histories too short to be read."""
        many = len(self.changes)
        said = [
            *self._spacing(),
            f"{short} of {many} histories have fewer than two intervals and are left out." if short else "",
            *self.notes(),
            "" if all(part.finite() for part in self.changes) else "Rates end where weights are no longer finite.",
            "" if self._knows_lr() else "Learning rates are not known here.",
            f"Recording began anew after {listed(self.resumed, 'step')}." if self.resumed else "",
            f"The optimizer held no state of earlier steps after {listed(self.cold, 'step')}: changes may jump there."
            if self.cold
            else "",
        ]
        for word, names in (("appear", self.appeared), ("vanish", self.vanished)):
            some = f"{', '.join(names[:5])}{' ...' if len(names) > 5 else ''}"
            said.append(
                f"{len(names)} tensors {word} or change shape after the first checkpoint: {some}." if names else ""
            )
        return tuple(sentence for sentence in said if sentence)

    def _knows_lr(self) -> bool:
        import numpy as np

        return self.source != "checkpoints" and all(bool(np.isfinite(part.lr).all()) for part in self.changes)

    def _spacing(self) -> tuple[str, ...]:
        """The usual length of an interval, and the intervals of another one."""
        from auditor.methods.training.rates import usual

        if not self.changes or len(self.changes[0].steps) < 2:
            return ()
        first = self.changes[0]
        pairs, kept = list(pairwise(first.steps.tolist())), usual(first).tolist()
        lengths = sorted(b - a for (a, b), one in zip(pairs, kept, strict=True) if one)
        other = [f"{a} to {b}" for (a, b), one in zip(pairs, kept, strict=True) if not one]
        uneven = f"The spacing is uneven: {listed(other, 'interval')} are of another length and are left out of rates."
        return f"Rates are over intervals of {lengths[len(lengths) // 2]} steps.", uneven if other else ""


def listed(found: Sequence[object], noun: str, shown: int = 5) -> str:
    """step 40; steps 40, 80, ... (12 in all)"""
    words = f"{noun}{'s' * (len(found) != 1)} {', '.join(str(one) for one in found[:shown])}"
    return f"{words}, ... ({len(found)} in all)" if len(found) > shown else words


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


def trajectories_of(subject: Subject) -> Need[Trajectory]:
    """The trajectory of the subject's model, whatever kind of history it has. NotApplicable without one."""
    history = subject.history
    match history.source if history else None:
        case "finetune":
            return Trajectories(subject.model, subject.runtime)
        case None:
            raise NotApplicable(missing(history, ("changes",)) or "")
        case _:
            from auditor.artifacts.recorded import HistoryTrajectory

            return HistoryTrajectory(subject.model, subject.runtime)


def missing(history: History | None, wanted: tuple[Holding, ...]) -> str | None:
    """None if the history holds what is wanted, else the reason with the line of the spec that would record it."""
    if history is None:
        return f"the model has no history; record one: {RECORD}; or {TRACE}; or, with weights on disk, {CHECKPOINTS}"
    lacking = [_WORDS[holding] for holding in wanted if not _holds(history, holding)]
    if not lacking:
        return None
    return (
        f"its history (source {history.source}) does not hold {' or '.join(lacking)}; record them: {RECORD} or {TRACE}"
    )


def not_run_here(history: History | None) -> str | None:
    """None for a fine-tune of the audit itself, whose runs are recorded seed by seed; else why that is needed."""
    if history is None or history.source == "finetune":
        return missing(history, ())
    return (
        f"it reads runs that the audit makes itself, from several seeds and with both losses in evaluation mode, not a "
        f"history of source {history.source}; fine-tune the model here: {RECORD}"
    )


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
