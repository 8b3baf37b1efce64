"""Watched: what checks of a whole history have in common. It imports little, since specs are checked through it."""

from collections.abc import Mapping
from typing import Any, ClassVar

from auditor.needs import Need
from auditor.subject import Holding, Subject
from auditor.values import Value


class OfHistory(Value):
    """Asks for the trajectory of the model. holding: what its history must hold, else the check is skipped."""

    holding: ClassVar[tuple[Holding, ...]] = ("changes",)

    def applies(self, subject: Subject) -> str | None:
        """Skipped without a history that holds what is read."""
        from auditor.artifacts.trajectory import missing

        return missing(subject.history, self.holding)

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """The trajectory: one history, or the records of all seeds."""
        from auditor.artifacts.trajectory import trajectories_of

        return {"trajectory": trajectories_of(subject)}


class OfRuns(OfHistory):
    """Asks for the runs of a fine-tune of the audit itself; a trace of another's loop holds no such runs."""

    def applies(self, subject: Subject) -> str | None:
        """Skipped for other histories, and without any."""
        from auditor.artifacts.trajectory import not_run_here

        return not_run_here(subject.history)
