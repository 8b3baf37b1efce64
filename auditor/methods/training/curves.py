"""Learning curves: how far and how fast a loss falls, with runs that never get there kept in the count."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auditor.methods.training.record import Floats, Ints, Run


@dataclass(frozen=True)
class Reading:
    """One number of one run; `reached` False: the number is only a lower bound."""

    value: float
    reached: bool = True


def finite_part(steps: Ints, losses: Floats) -> tuple[Ints, Floats]:
    """The curve up to its first loss that is not finite."""
    bad = np.flatnonzero(~np.isfinite(losses))
    end = int(bad[0]) if bad.size else len(losses)
    return steps[:end], losses[:end]


def steps_to_share(steps: Ints, losses: Floats, planned: int, diverged: bool, share: float = 0.9) -> Reading:
    """The first recorded step at which the loss has made `share` of the run's own drop, L0 - min L.

    L0 is the loss before step 1. A run that diverged, or never fell below L0, has not reached it within `planned`.
    """
    at, seen = finite_part(steps, losses)
    if diverged or not len(seen) or seen.min() >= seen[0]:
        return Reading(float(planned), reached=False)
    return _first_at_most(at, seen, float(seen[0] - share * (seen[0] - seen.min())), planned)


def steps_to_target(steps: Ints, losses: Floats, planned: int, target: float) -> Reading:
    """The first recorded step with a loss of at most `target`; not reached: more than `planned` steps."""
    return _first_at_most(*finite_part(steps, losses), target, planned)


def _first_at_most(steps: Ints, losses: Floats, level: float, planned: int) -> Reading:
    there = np.flatnonzero(losses <= level)
    return Reading(float(steps[there[0]])) if there.size else Reading(float(planned), reached=False)


def loss_auc(steps: Ints, losses: Floats, planned: int, diverged: bool) -> Reading:
    """Mean loss over the run divided by L0, by the trapezoid rule over the recorded steps.

    1 learned nothing, 0.5 spent the run at half its first loss on average. For a run that diverged a lower bound: from
    its last finite loss on, the larger of that loss and L0 is held to the end.
    """
    at, seen = finite_part(steps, losses)
    if not len(seen) or seen[0] <= 0:
        return Reading(0.0, reached=False)
    if diverged:
        held = max(float(seen[-1]), float(seen[0]))
        at, seen = np.append(at, [at[-1], planned]), np.append(seen, [held, held])
    return Reading(float(np.trapezoid(seen, at) / ((at[-1] - at[0]) * seen[0])), reached=not diverged)


def final_loss(losses: Floats, diverged: bool) -> Reading:
    """The last loss. For a run that diverged, whose loss has no bound, the larger of L0 and its last finite loss."""
    seen = losses[np.isfinite(losses)]
    if diverged:
        return Reading(max(float(seen[0]), float(seen[-1])) if len(seen) else 0.0, reached=False)
    return Reading(float(losses[-1]))


def eval_curve(run: Run, side: str) -> Floats:
    """The eval-mode losses of a run at its records: on the "train" or the "validation" data."""
    return run.train_loss if side == "train" else run.validation_loss


def readings(run: Run, side: str, target: float | None = None) -> dict[str, Reading]:
    """The numbers of one run on one side, by the name of the metric without its suffix."""
    losses, diverged, planned = eval_curve(run, side), run.diverged, run.followed
    found = {
        "final_loss": final_loss(losses, diverged),
        "steps_to_90": steps_to_share(run.record_steps, losses, planned, diverged),
        "loss_auc": loss_auc(run.record_steps, losses, planned, diverged),
    }
    if target is not None:
        found["steps_to_target"] = steps_to_target(run.record_steps, losses, planned, target)
    return found


def kaplan_meier(times: Sequence[float], reached: Sequence[bool]) -> tuple[Floats, Floats]:
    """The Kaplan-Meier curve: S(t) = product over event times t_i <= t of (1 - events_i / at risk_i).

    times: of the event, or of censoring where `reached` is False. Returns the event times, 0 first, and the share not
    there yet just after each. Kaplan and Meier, Journal of the American Statistical Association 53 (1958).

    >>> at, share = kaplan_meier([6, 6, 6, 6, 7, 9, 10], [True, True, True, False, True, False, True])
    >>> at.tolist(), share.round(3).tolist()
    ([0.0, 6.0, 7.0, 10.0], [1.0, 0.571, 0.381, 0.0])
    """
    at, there = np.asarray(times, dtype=np.float64), np.asarray(reached, dtype=np.bool_)
    events = np.unique(at[there])
    share, left = [1.0], 1.0
    for time in events:
        left *= 1.0 - float((there & (at == time)).sum()) / float((at >= time).sum())
        share.append(left)
    return np.concatenate([[0.0], events]), np.array(share)


def still_above(runs: Sequence[Run], side: str, target: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The Kaplan-Meier curve of the times to a target as the corners of a staircase, to the last planned step."""
    read = [steps_to_target(run.record_steps, eval_curve(run, side), run.followed, target) for run in runs]
    at, share = kaplan_meier([one.value for one in read], [one.reached for one in read])
    end = float(max(run.planned_steps for run in runs))
    x = [*[float(time) for time in at for _ in range(2)][1:], max(end, float(at[-1]))]
    return tuple(x), tuple(float(part) for part in share for _ in range(2))


def seed_rows(runs: Sequence[Run]) -> tuple[tuple[int | float | None, ...], ...]:
    """Of each run: number, L0 on validation, final losses on both sides, final accuracy (None without classes), step of
    divergence."""

    def shown(value: float) -> float | None:
        return round(float(value), 4) if np.isfinite(value) else None

    return tuple(
        (
            place,
            shown(run.validation_loss[0]),
            shown(run.train_loss[-1]),
            shown(run.validation_loss[-1]),
            None if accuracy is None else shown(accuracy[-1]),
            run.diverged_at,
        )
        for place, run in enumerate(runs, 1)
        for accuracy in (run.accuracy(),)
    )
