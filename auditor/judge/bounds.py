"""Bounds: a one-sided claim beside an interval, turned so that up is good (rules 1 and 2)."""

from dataclasses import dataclass
from math import ceil, inf, isnan

from auditor.judge.messages import bound_text
from auditor.judge.verdict import RuleOutcome
from auditor.spec.model import Rule
from auditor.statistics import Interval

REALISTIC = 100
"""More than this many times the examples at hand is no advice."""


@dataclass(frozen=True)
class Claim:
    """The claim `sign * x >= sign * bound`; `warn`, where set, is the bound of the warning on the inner side.

    sign: 1 for "at least", -1 for "at most". For non-inferiority the number is the change for the better, and the
    bound is minus the margin.
    """

    sign: int
    bound: float
    warn: float | None = None
    text: str = ""

    def turn(self, interval: Interval) -> Interval:
        """The interval with up as good."""
        low, high = interval
        return (low, high) if self.sign > 0 else (-high, -low)

    def margin(self, value: float) -> float:
        """The distance from the value to the bound, positive on the good side."""
        return self.sign * (value - self.bound)

    def outcome(self, interval: Interval) -> RuleOutcome:
        """PASS if L >= b (w with a warn bound w), FAIL if U < b, WARN if L >= b and L < w, else inconclusive.

        ValueError for NaN or an interval upside down.
        """
        low, high = self.turn(interval)
        if isnan(low) or isnan(high) or isnan(self.bound) or low > high:
            raise ValueError(f"{self.text}: expected an interval and a bound, found {interval} and {self.bound}")
        bound = self.sign * self.bound
        warn = bound if self.warn is None else self.sign * self.warn
        if high < bound:
            return "fail"
        if low < bound:
            return "inconclusive"
        return "pass" if low >= warn else "warn"

    def excluded(self, interval: Interval) -> bool:
        """Whether the whole interval misses the bound."""
        return self.turn(interval)[1] < self.sign * self.bound

    def would_decide(self, value: float, interval: Interval, n: int) -> int | None:
        """n' = n (d / abs(value - bound))^2: how many would bring the interval's end to the bound, all in all.

        d: from the value to the end of the interval on the bound's side. None above 100 n: no realistic number.
        """
        low, high = self.turn(interval)
        at, bound = self.sign * value, self.sign * self.bound
        reach = at - low if at >= bound else high - at
        if at == bound or reach == inf or n < 1:
            return None
        needed = max(n + 1, ceil(n * (reach / abs(at - bound)) ** 2))
        return needed if needed <= REALISTIC * n else None


def claim(rule: Rule) -> Claim:
    """The claim of an expectation; ValueError for one that names no bound, or two."""
    if rule.versus == "baseline":
        if rule.worse_at_most is None or rule.at_least is not None or rule.at_most is not None or rule.warn is not None:
            raise ValueError(f"{rule.set_by}: expected worse_at_most alone beside versus, found {rule}")
        text = f"no worse than the baseline by more than {bound_text(rule.worse_at_most)}"
        return Claim(1, -rule.worse_at_most, None, text)
    if (rule.at_least is None) == (rule.at_most is None):
        raise ValueError(f"{rule.set_by}: expected one of at_least and at_most, found {rule}")
    if rule.at_least is not None:
        return Claim(1, rule.at_least, rule.warn, f">= {bound_text(rule.at_least)}")
    assert rule.at_most is not None
    return Claim(-1, rule.at_most, rule.warn, f"<= {bound_text(rule.at_most)}")
