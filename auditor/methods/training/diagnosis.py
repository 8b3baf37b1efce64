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


def gap_at_grid(first: Rate, second: Rate) -> tuple[float, ...]:
    """The confidence distribution at GRID of a difference of which at most one rate is a sample: the ends of Wilson's
    one-sided intervals of that one, moved by the other."""

    def end(rate: Rate, probability: float) -> float:
        share, n = rate
        if not n or probability == 0.5:
            return share
        ends = wilson(round(share * n), n, abs(1 - 2 * probability))
        return ends[0] if probability < 0.5 else ends[1]

    return tuple(end(first, probability) - end(second, 1 - probability) for probability in GRID)


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


def word(states: Mapping[str, State], good: int, runs: int) -> str:
    """The first of WORDS that is found; "good fit" where all are excluded, for most seeds too; else "undetermined".

    >>> word(dict.fromkeys(WORDS, State.EXCLUDED), 5, 5)
    'good fit'
    """
    for name in WORDS:
        if states[name] == State.FOUND:
            return name
    every = all(states[name] == State.EXCLUDED for name in WORDS)
    return GOOD if every and 2 * good > runs else UNDETERMINED


@dataclass(frozen=True)
class Probe:
    """What the probe of the training labels found. doubted, right: how many of n rows it contradicts, gives right out
    of fold; held: its rate on validation rows. train_units, validation_units: groups, None where rows stand alone."""

    doubted: int
    right: int
    n: int
    held: Rate
    train_units: int | None = None
    validation_units: int | None = None

    @property
    def noise(self) -> Rate:
        """The share of doubted labels."""
        return self.doubted / self.n, min(self.n, self.train_units or self.n)

    @property
    def rate(self) -> Rate:
        """How often it is right out of fold."""
        return self.right / self.n, min(self.n, self.train_units or self.n)


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


def diagnose(runs: Sequence[Run], probe: Probe | None, allowed: Tolerances, classes: int = 0, whole: int = 0) -> Signs:
    """The states of the four faults in their order, from all runs. probe: None where labels cannot be probed. classes,
    whole: how many classes and training rows there are, 0 if unknown."""
    sound = [run for run in runs if not has_diverged(run)]
    at_once = sum(blew_up_at_once(run, classes) for run in runs if has_diverged(run))
    states = dict.fromkeys(WORDS, State.OPEN) | {"diverged": diverged_state(len(runs) - len(sound), len(runs))}
    train = validation = None
    risen = float(np.median([rise(run) for run in sound])) if sound else 0.0
    apart = tuple(losses_apart(run) for run in sound) if not all(len(run.train_correct) for run in runs) else ()
    units = (probe.train_units, probe.validation_units) if probe else (None, None)
    if sound and not apart:
        train = pooled([train_rate(run) for run in sound], units[0], whole)
        validation = pooled([validation_rate(run) for run in sound], units[1])
        states["overfitting"] = overfit(gap(train, validation, allowed.confidence), risen, allowed)
    elif len(apart) > 1:
        states["overfitting"] = overfit(mean_interval(apart, allowed.confidence), risen, allowed)
    fit = probe is not None and not _outdone(probe, validation, allowed)
    if probe is not None and train is not None:
        states["underfitting"] = state(gap(probe.rate, train, allowed.confidence), allowed.margin)
    if probe is not None and fit:
        share, n = probe.noise
        states["label noise"] = state(wilson(round(share * n), n, allowed.confidence), allowed.noise)
    good = sum(_is_good(run, probe, allowed, whole) for run in sound) if states["label noise"] == State.EXCLUDED else 0
    return Signs(len(runs), len(runs) - len(sound), at_once, train, validation, apart, risen, fit, good, states)


def _outdone(probe: Probe, validation: Rate | None, allowed: Tolerances) -> bool:
    """Whether the model is better on validation rows than the probe by more than the margin: then what the probe
    doubts may only be beyond it."""
    if validation is None:
        return False
    return state(gap(validation, probe.held, allowed.confidence), allowed.margin) == State.FOUND


def _is_good(run: Run, probe: Probe | None, allowed: Tolerances, whole: int) -> bool:
    """Whether underfitting and overfitting are excluded for one seed that did not diverge."""
    if probe is None or not len(run.train_correct):
        return False
    train, validation = (
        pooled([train_rate(run)], probe.train_units),
        pooled([validation_rate(run)], probe.validation_units),
    )
    under = state(gap(probe.rate, train, allowed.confidence), allowed.margin)
    over = overfit(gap(train, validation, allowed.confidence), rise(run), allowed)
    return under == over == State.EXCLUDED


def mean_interval(values: Sequence[float], confidence: float) -> Interval:
    """Student's interval over seeds."""
    mean, sd, n = moments(values)
    return t_interval(mean, sd, n, confidence)
