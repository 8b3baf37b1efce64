"""Beside: the history of a model and those of others, with the importance of their parameters where it can be had."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from auditor.artifacts.costs import unpriced
from auditor.artifacts.drift import beside
from auditor.artifacts.importance import Importance, ImportanceNeed, gathered_of
from auditor.artifacts.standing import standings
from auditor.artifacts.trajectory import Trajectory, trajectories_of
from auditor.errors import NotApplicable
from auditor.methods.training.record import Changes
from auditor.needs import Derived, Need
from auditor.subject import Subject


@dataclass(frozen=True)
class Side:
    """One model's history, and what its parameters weigh; why: why that is not known."""

    name: str
    trajectory: Trajectory
    importance: Importance | None
    why: str = ""

    @property
    def single(self) -> bool:
        """Whether it is one run of many that could have been: a fine-tune of one seed."""
        return self.trajectory.source == "finetune" and len(self.trajectory.changes) == 1

    def scores(self, part: tuple[Changes, ...], alpha: float) -> list[float]:
        """alpha S + (1 - alpha)(1 - N_eff / N) of each history in `part`, N_eff as measured on all examples at once.

        NotApplicable where it cannot be said (standing.standings).
        """
        from auditor.methods.importance.score import overall

        if self.importance is None or self.importance.effective_share is None:
            raise NotApplicable(self.why or "no parameter has any importance")
        found = standings(replace(self.trajectory, changes=part), self.importance, None, "stable", "fixed", alpha)
        return [overall(alpha, each, self.importance.effective_share) for each in found.steadiness]

    def error(self) -> float | None:
        """The standard error of N_eff / N over examples; None if unknown."""
        from auditor.statistics import moments

        told = self.importance.effective_told if self.importance else ()
        if not len(told):
            return None if self.importance is None or self.importance.read else 0.0
        _, sd, n = moments(told)
        return float(sd / n**0.5)

    def same_importance(self, other: "Side") -> bool:
        """Whether both weigh the same: one model with two histories, whose error over examples cancels."""
        import numpy as np

        mine, theirs = self.importance, other.importance
        if mine is None or theirs is None or mine.tensors != theirs.tensors:
            return False
        return bool(np.allclose(mine.total, theirs.total, rtol=1e-4, atol=0))


@dataclass(frozen=True)
class Sides:
    """The audited model's first, then the others'."""

    sides: tuple[Side, ...]


@dataclass(frozen=True)
class SidesOf(Derived[Sides]):
    """Histories that are gathered elsewhere, and are not stored again."""

    stored: ClassVar[bool] = False
    tensors: ClassVar[bool] = False
    artifact: ClassVar[type] = Sides
    names: tuple[str, ...]
    histories: tuple[Need[Any], ...]
    weighed: tuple[ImportanceNeed | None, ...]
    why: tuple[str, ...]

    @property
    def title(self) -> str:
        """Whose histories."""
        return "histories of " + ", ".join(self.names)

    def needs(self) -> Mapping[str, Need[Any]]:
        """A trajectory of each, and an importance where one can be had."""
        weighed = {f"importance_{at}": need for at, need in enumerate(self.weighed) if need is not None}
        return {**{f"trajectory_{at}": need for at, need in enumerate(self.histories)}, **weighed}

    def build(self, *args: Any, **upstream: Any) -> Sides:
        """All in one."""
        return Sides(
            tuple(
                Side(name, upstream[f"trajectory_{at}"], upstream.get(f"importance_{at}"), self.why[at])
                for at, name in enumerate(self.names)
            )
        )


def sides_of(subject: Subject, rows: int) -> SidesOf:
    """The subject's model beside each of `against`, on the same data."""
    each = (subject, *(beside(subject, other) for other in subject.against))
    why = tuple(unpriced(one) or "" for one in each)
    weighed = tuple(
        None if reason else ImportanceNeed(gathered_of(one, "fisher", rows))
        for one, reason in zip(each, why, strict=True)
    )
    names = tuple(one.model.name for one in each)
    return SidesOf(names, tuple(trajectories_of(one) for one in each), weighed, why)
