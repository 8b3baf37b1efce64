"""What a fine-tune suffers from, read off its runs: counts and rates with intervals, and the word that they allow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite, log

import numpy as np

from auditor.methods.training.record import Run
from auditor.statistics import GRID, Interval, difference, moments, t_interval, wilson

Rate = tuple[float, int]
"""A share and the number of examples that it is of; 0 where it is that of all there are, and thus known."""

BLOWN_UP = 10.0
"""A first loss that many times that of guessing comes of the initialization, not of training."""


class State(StrEnum):
    """Whether the numbers show a fault: its interval lies above what is tolerated, below it, or on both sides."""

    FOUND = "found"
    EXCLUDED = "excluded"
    OPEN = "open"


def state(interval: Interval, tolerated: float) -> State:
    """
    >>> state((0.2, 0.4), 0.1).value, state((0.0, 0.1), 0.1).value, state((0.05, 0.2), 0.1).value
    ('found', 'excluded', 'open')
    """
    if interval[0] > tolerated:
        return State.FOUND
    return State.EXCLUDED if interval[1] <= tolerated else State.OPEN


def has_diverged(run: Run) -> bool:
    """A loss or gradient that is not finite, or a final training loss not below that before step 1 (eval mode)."""
    first, last = float(run.train_loss[0]), float(run.train_loss[-1])
    return run.diverged or not isfinite(first) or not isfinite(last) or last >= first


def blew_up_at_once(run: Run, classes: int) -> bool:
    """Whether the loss before step 1 is not finite, or more than ten times log(classes), that of guessing."""
    first = float(run.train_loss[0])
    return not isfinite(first) or (classes > 1 and first > BLOWN_UP * log(classes))


def rise(run: Run) -> float:
    """How much of all that the validation loss moved, down to its lowest and up from there, was up: 0 to 1.

    r = (L_end - L_min) / (L_0 - L_min + L_end - L_min), 0 where it never moved.
    """
    losses = run.validation_loss[np.isfinite(run.validation_loss)]
    if not len(losses):
        return 0.0
    down, up = float(losses[0] - losses.min()), float(losses[-1] - losses.min())
    return up / (down + up) if up > 0 else 0.0


def train_rate(run: Run) -> Rate:
    """The final accuracy on training rows, in evaluation mode."""
    return float(run.train_correct[-1] / run.train_rows), run.train_rows


def validation_rate(run: Run) -> Rate:
    """The final accuracy on validation rows."""
    return float(run.validation_correct[-1] / run.validation_rows), run.validation_rows


def pooled(rates: Sequence[Rate], units: int | None = None, whole: int = 0) -> Rate:
    """The mean of the seeds' rates, worth no more than the examples of one: all seeds are asked of the same rows.

    units: the groups that the rows belong to; the rows of a group may all be alike, so it is then worth that many.
    whole: how many rows there are, if that is known: the rate of them all has no error.
    """
    mean, n = float(np.mean([rate for rate, _ in rates])), min(n for _, n in rates)
    if n == whole:
        return mean, 0
    return mean, n if units is None else min(n, units)


def counts(first: Rate, second: Rate) -> tuple[int, int, int, int]:
    """k1, n1, k2, n2 of a difference of rates of samples, to the nearest unit."""
    (p, n), (q, m) = first, second
    return round(p * n), n, round(q * m), m


def gap(first: Rate, second: Rate, confidence: float) -> Interval:
    """Newcombe's interval of a difference of two rates; of one that is known, Wilson's of the other, moved."""
    return difference(first[0], _ends(first, confidence), second[0], _ends(second, confidence))


def _ends(rate: Rate, confidence: float) -> Interval:
    share, n = rate
    return wilson(round(share * n), n, confidence) if n else (share, share)


def gap_at_grid(first: Rate, second: Rate, unknown: float = 0.0) -> tuple[float, ...]:
    """The confidence distribution at GRID of a difference of rates: the ends of its one-sided intervals.

    unknown: by how much the first rate may be higher, for the rows of which nothing is known; added to the upper half.
    """

    def end(probability: float) -> float:
        if probability == 0.5:
            return first[0] - second[0]
        low, high = gap(first, second, abs(1 - 2 * probability))
        return low if probability < 0.5 else high + unknown

    return tuple(map(end, GRID))


def losses_apart(run: Run) -> float:
    """(validation loss - training loss) / validation loss before step 1, at the end: for tasks without classes."""
    return float((run.validation_loss[-1] - run.train_loss[-1]) / run.validation_loss[0])


@dataclass(frozen=True)
class Tolerances:
    """What does not count: noise, the share of doubted labels; margin, a difference of accuracies; rise, of the
    validation loss (see `rise`)."""

    noise: float
    margin: float
    rise: float
    confidence: float


def overfit(interval: Interval, risen: float, allowed: Tolerances) -> State:
    """Found: the gap lies above the margin, or above 0 beside a risen validation loss. Excluded: neither can be."""
    if interval[0] > allowed.margin or (interval[0] > 0 and risen > allowed.rise):
        return State.FOUND
    return State.EXCLUDED if interval[1] <= allowed.margin and risen <= allowed.rise else State.OPEN


def diverged_state(lost: int, runs: int) -> State:
    """Found from half of the seeds on, excluded where none did."""
    if 2 * lost >= runs:
        return State.FOUND
    return State.EXCLUDED if lost == 0 else State.OPEN


WORDS = ("diverged", "label noise", "underfitting", "overfitting")
GOOD, UNDETERMINED = "good fit", "undetermined"


@dataclass(frozen=True)
class Probe:
    """What the probe of the training labels found. doubted, right: how many of the n rows that it could judge it
    contradicts, gives right out of fold; looked: the rows looked at, n or more; units: what the n rows are worth; held:
    its rate on validation rows."""

    doubted: int
    right: int
    n: int
    looked: int
    units: int
    held: Rate

    @property
    def noise(self) -> Rate:
        """The share of doubted labels."""
        return self.doubted / self.n, min(self.n, self.units)

    @property
    def rate(self) -> Rate:
        """How often it is right out of fold, a row that it could not judge being missed: the model has them too."""
        return self.right / self.looked, min(self.n, self.units)

    @property
    def unknown(self) -> float:
        """How much higher the rate is if it would be right on all rows that it could not judge."""
        return (self.looked - self.n) / self.looked

    def above(self, model: Rate, confidence: float) -> Interval:
        """Its rate less the model's; the upper end as if it were right wherever it could not judge."""
        low, high = gap(self.rate, model, confidence)
        return low, high + self.unknown


@dataclass(frozen=True)
class Signs:
    """lost: the seeds that diverged, of `seeds`; at_once: of them those whose first loss was too large already.

    train, validation: the final accuracies, means over the seeds that did not diverge; None without classes or when
    all did. apart: of tasks without classes losses_apart, a seed. risen: the median of `rise`. fit: whether the probe
    may judge: its validation accuracy is not below the model's by more than the margin. good: the seeds without fault.
    """

    seeds: int
    lost: int
    at_once: int
    train: Rate | None
    validation: Rate | None
    apart: tuple[float, ...]
    risen: float
    fit: bool
    good: int
    states: Mapping[str, State]

    @property
    def word(self) -> str:
        """The first of WORDS that is found; "good fit" where all are excluded, for most seeds too; or undetermined."""
        for name in WORDS:
            if self.states[name] == State.FOUND:
                return name
        every = all(self.states[name] == State.EXCLUDED for name in WORDS)
        return GOOD if every and 2 * self.good > self.seeds else UNDETERMINED


@dataclass(frozen=True)
class Known:
    """What is known of the data: how many classes and training rows there are, 0 if unknown; how many units the rows
    are that accuracies were taken on, None where rows stand alone."""

    classes: int = 0
    whole: int = 0
    train_units: int | None = None
    validation_units: int | None = None

    @property
    def is_grouped(self) -> bool:
        """Whether rows of either side belong together."""
        return self.train_units is not None or self.validation_units is not None

    def rates(self, runs: Sequence[Run]) -> tuple[Rate, Rate]:
        """The final accuracies on both sides, means over the runs."""
        return (pooled([train_rate(run) for run in runs], self.train_units, self.whole),
                pooled([validation_rate(run) for run in runs], self.validation_units))  # fmt: skip


def diagnose(runs: Sequence[Run], probe: Probe | None, allowed: Tolerances, known: Known) -> Signs:
    """The states of the four faults in their order, from all runs. probe: None where labels cannot be probed."""
    sound = [run for run in runs if not has_diverged(run)]
    at_once = sum(blew_up_at_once(run, known.classes) for run in runs if has_diverged(run))
    states = dict.fromkeys(WORDS, State.OPEN) | {"diverged": diverged_state(len(runs) - len(sound), len(runs))}
    train = validation = None
    risen = float(np.median([rise(run) for run in sound])) if sound else 0.0
    apart = tuple(losses_apart(run) for run in sound) if not all(len(run.train_correct) for run in runs) else ()
    if sound and not apart:
        train, validation = known.rates(sound)
        states["overfitting"] = overfit(gap(train, validation, allowed.confidence), risen, allowed)
    elif len(apart) > 1:
        states["overfitting"] = overfit(mean_interval(apart, allowed.confidence), risen, allowed)
    fit = probe is not None and not _outdone(probe, validation, allowed)
    if probe is not None and train is not None:
        states["underfitting"] = state(probe.above(train, allowed.confidence), allowed.margin)
    if probe is not None and fit:
        share, n = probe.noise
        states["label noise"] = state(wilson(round(share * n), n, allowed.confidence), allowed.noise)
    good = sum(_is_good(run, probe, allowed, known) for run in sound) if states["label noise"] == State.EXCLUDED else 0
    return Signs(len(runs), len(runs) - len(sound), at_once, train, validation, apart, risen, fit, good, states)


def _outdone(probe: Probe, validation: Rate | None, allowed: Tolerances) -> bool:
    """Whether the model is better on validation rows than the probe by more than the margin: then what the probe
    doubts may only be beyond it."""
    if validation is None:
        return False
    return state(gap(validation, probe.held, allowed.confidence), allowed.margin) == State.FOUND


def _is_good(run: Run, probe: Probe | None, allowed: Tolerances, known: Known) -> bool:
    """Whether underfitting and overfitting are excluded for one seed that did not diverge."""
    if probe is None or not len(run.train_correct):
        return False
    train, validation = known.rates([run])
    under = state(probe.above(train, allowed.confidence), allowed.margin)
    over = overfit(gap(train, validation, allowed.confidence), rise(run), allowed)
    return under == over == State.EXCLUDED


def mean_interval(values: Sequence[float], confidence: float) -> Interval:
    """Student's interval over seeds."""
    mean, sd, n = moments(values)
    return t_interval(mean, sd, n, confidence)
