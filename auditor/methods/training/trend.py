"""The trend of the gradient norm: over seeds where there are enough, else within the recorded runs."""

from dataclasses import dataclass

from auditor.methods.training.gradients import log_norms, residuals, slope
from auditor.methods.training.record import Run
from auditor.statistics import dependence, moving_blocks

STEPS, SEEDS = 8, 5


@dataclass(frozen=True)
class Trend:
    """Slopes of the log gradient norm per 100 steps: one a seed, or (with quantiles) that of the seeds' mean.

    quantiles: its moving-block distribution at statistics.GRID; worth: the independent steps that the series is worth.
    """

    slopes: tuple[float, ...]
    quantiles: tuple[float, ...] = ()
    worth: int = 0


def trend(runs: tuple[Run, ...], seed: int) -> Trend | None:
    """The trend of each run if there are five, the number from which seeds may decide; else that of their mean.

    None if a series has fewer than 8 steps with a finite gradient above 0.
    """
    series = [log_norms((run,)) for run in runs] if len(runs) >= SEEDS else [log_norms(runs)]
    if min(len(steps) for steps, _ in series) < STEPS:
        return None
    slopes = tuple(100 * slope(*one) for one in series)
    if len(series) > 1:
        return Trend(slopes)
    steps, logs = series[0]
    block, worth = dependence(residuals(steps, logs))
    drawn = moving_blocks(lambda rows: 100 * slope(steps[rows], logs[rows]), len(steps), seed, block=block)
    return Trend(slopes, drawn, int(worth))
