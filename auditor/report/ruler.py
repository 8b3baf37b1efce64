"""The interval ruler: an axis, the interval as a bar, the estimate as a tick and the bound as a dashed line."""

import math
from dataclasses import dataclass

from auditor.report import formatting


@dataclass(frozen=True)
class Ruler:
    """Positions in per cent of the axis. `start` and `end` are its labels; `flip`: the bound's label lies left."""

    start: str
    end: str
    value_at: float
    value: str
    bound_at: float
    bound: str
    low_at: float | None
    high_at: float | None
    good_at: float
    good_width: float
    flip: bool
    label_anchor: str

    @property
    def bar(self) -> tuple[float, float] | None:
        """Left end and width of the interval's bar."""
        if self.low_at is None or self.high_at is None:
            return None
        return self.low_at, round(max(self.high_at - self.low_at, 0.3), 3)


def ruler(value: float, bound: float, low: float | None, high: float | None, *, up: bool) -> Ruler:
    """The ruler of one verdict; `up`: values above the bound are good."""
    points = [value, bound, *(end for end in (low, high) if end is not None)]
    start, end = _axis(min(points), max(points))

    def at(x: float) -> float:
        return round(100 * (x - start) / (end - start), 3)

    good = (at(bound), round(100 - at(bound), 3)) if up else (0.0, at(bound))
    shown, _ = formatting.interval(value, low, high)
    return Ruler(
        start=formatting.number(start), end=formatting.number(end), value_at=at(value), value=shown,
        bound_at=at(bound), bound=formatting.number(bound, 4),
        low_at=None if low is None else at(low), high_at=None if high is None else at(high),
        good_at=good[0], good_width=good[1], flip=at(bound) > 85, label_anchor=_anchor(at(value)),
    )  # fmt: skip


def _anchor(at: float) -> str:
    if at < 12:
        return "start"
    return "end" if at > 88 else "middle"


def _axis(low: float, high: float) -> tuple[float, float]:
    """Round ends around the points, with zero kept as an end where it is near."""
    span = high - low or abs(high) or 1.0
    step = 10 ** math.floor(math.log10(span)) / 2
    start, end = low - 0.12 * span, high + 0.12 * span
    if low >= 0 > start or 0 < low <= 1.5 * span:
        start = 0.0
    if high <= 1 < end:
        end = 1.0
    start = start if start == 0 else math.floor(start / step) * step
    end = end if end == 1 else math.ceil(end / step) * step
    return start, end
