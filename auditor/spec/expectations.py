"""Expectations: what people write under `expect`, short or long, as one-sided rules."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from auditor.spec.catalogue import Named
from auditor.spec.document import Bounds
from auditor.spec.model import Rule, Severity
from auditor.spec.places import Findings, Node, did_you_mean
from auditor.spec.units import convert, quantity
from auditor.spec.validation import validate
from auditor.spec.wording import show

_SIDES = {">=": "at_least", "≥": "at_least", "<=": "at_most", "≤": "at_most"}
_SIGNS = {"at_least": ">=", "at_most": "<="}
_WARN = {"at_least": "warn_below", "at_most": "warn_above"}


@dataclass(frozen=True)
class Bound:
    """One side of an expectation."""

    side: str
    value: float
    warn: float | None = None
    severity: Severity = "error"
    why: str = ""

    def __str__(self) -> str:
        return f"{_SIGNS[self.side]} {self.value:g}"

    def weaker_than(self, other: "Bound") -> bool:
        """Whether it lets more pass than another bound of the same side."""
        looser = self.value < other.value if self.side == "at_least" else self.value > other.value
        return looser or (self.severity == "warn" and other.severity == "error")


@dataclass(frozen=True)
class Expected:
    """The expectation on one metric as one layer wrote it."""

    node: Node
    bounds: tuple[Bound, ...]

    @property
    def preset(self) -> str:
        """The preset that wrote it, "" for the owner."""
        return self.node.mark.source.preset


def rules(check: str, metric: str, layers: list[Expected]) -> tuple[Rule, ...]:
    """The rules of one metric: the last layer's bounds, and which preset bounds they replaced."""
    last = layers[-1]
    before = next((each for each in reversed(layers[:-1]) if each.preset), None)
    given = dict.fromkeys(node.given for node in last.node.walk() if node.given)
    set_by = " ".join([(last.node.key or last.node.mark).set_by, *given])
    return tuple(
        Rule(
            check=check, metric=metric, warn=bound.warn, severity=bound.severity, why=bound.why,
            at_least=bound.value if bound.side == "at_least" else None,
            at_most=bound.value if bound.side == "at_most" else None,
            set_by=set_by, inherited=bool(last.preset),
            replaced=_replaced(bound, before), loosened=_loosened(bound, last, before),
        )
        for bound in last.bounds
    )  # fmt: skip


def _replaced(bound: Bound, before: Expected | None) -> str:
    if before is None or not before.bounds:
        return ""
    old = [each for each in before.bounds if each.side == bound.side] or list(before.bounds)
    return f"{', '.join(str(each) for each in old)} (auditor:{before.preset})"


def _loosened(bound: Bound, last: Expected, before: Expected | None) -> bool:
    if before is None:
        return False
    sides = {each.side for each in last.bounds}
    dropped = any(old.side not in sides for old in before.bounds)
    return dropped or any(bound.weaker_than(old) for old in before.bounds if old.side == bound.side)


def read(metric: Named, node: Node, found: Findings) -> Expected | None:
    """The expectation that a node writes on a metric; None with its problems added."""
    before = len(found.problems)
    if isinstance(node.value, Mapping):
        bounds = _long(metric, node, found)
    elif node.items:
        bounds = tuple(bound for item in node.items if (bound := _short(metric, item, found)))
    else:
        bounds = tuple(bound for bound in [_short(metric, node, found)] if bound)
    if len(found.problems) > before:
        return None
    _sane(node, bounds, found)
    for bound in bounds:
        for number in (bound.value, bound.warn):
            within(metric, number, node, found)
    return Expected(node, bounds) if len(found.problems) == before else None


def _short(metric: Named, node: Node, found: Findings) -> Bound | None:
    text = node.raw.strip() if isinstance(node.value, str) else ""
    sign = next((sign for sign in _SIDES if text.startswith(sign)), "")
    if not sign:
        better = ">=" if metric.better == "up" else "<="
        digits = re.search(r"[-+]?\d[^\s].*|\d", node.raw)
        example = digits[0] if digits else "0.9"
        message = f'{metric.name}: expected a bound such as ">= 0.9" or "<= 0.1", found {show(node.plain())}'
        found.add(
            node.mark, message, f'write for instance "{better} {example[:20].strip()}" (bounds include their end)'
        )
        return None
    value = _number(metric, replace(node, value=text[len(sign) :], raw=text[len(sign) :]), found)
    return None if value is None else Bound(_SIDES[sign], value)


def _number(metric: Named, node: Node, found: Findings) -> float | None:
    try:
        return convert(*quantity(node.raw.strip().removesuffix(metric.unit)), metric.unit)
    except ValueError as error:
        found.add(node.mark, f"{metric.name}: {error}", _unit_hint(metric))
        return None


def _unit_hint(metric: Named) -> str:
    return (
        f"this metric is measured in {metric.unit}" if metric.unit else "this metric is a plain number: 0.03, 3 %, 3 pp"
    )


def _long(metric: Named, node: Node, found: Findings) -> tuple[Bound, ...]:
    written = validate(Bounds, node, found)
    if written is None:
        return ()
    for name in ("versus", "worse_at_most"):
        if later := node.child(name):
            found.add(later.key, f"`{name}` is not in this version of auditor", "use at_least or at_most for now")
    numbers = {
        name: _number(metric, inner, found)
        for name in ("at_least", "at_most", "warn_below", "warn_above")
        if (inner := node.child(name)) and inner.value is not None
    }
    _check_warns(node, numbers, found)
    return tuple(
        Bound(side, value, numbers.get(_WARN[side]), written.severity, written.why)
        for side in _SIGNS
        if (value := numbers.get(side)) is not None
    )


def _check_warns(node: Node, numbers: Mapping[str, float | None], found: Findings) -> None:
    for side, warn in _WARN.items():
        limit, bound = numbers.get(warn), numbers.get(side)
        if limit is None or (inner := node.child(warn)) is None:
            continue
        if bound is None:
            found.add(inner.key, f"`{warn}` needs `{side}` beside it")
        elif limit < bound if side == "at_least" else limit > bound:
            where = "at or above" if side == "at_least" else "at or below"
            found.add(inner.mark, f"`{warn}: {limit:g}` must be {where} `{side}: {bound:g}`: it warns before it fails")


def _sane(node: Node, bounds: tuple[Bound, ...], found: Findings) -> None:
    sides = [bound.side for bound in bounds]
    values = {bound.side: bound.value for bound in bounds}
    if not bounds and not {"at_least", "at_most", "versus"} & set(node.entries):
        found.add(node.key or node.mark, "an expectation needs `at_least` or `at_most`", 'or the short form: ">= 0.9"')
    elif len(set(sides)) < len(sides):
        found.add(node.mark, f"two bounds of one side: {', '.join(map(str, bounds))}", "a band is one >= and one <=")
    elif len(bounds) == 2 and values["at_least"] > values["at_most"]:
        found.add(node.mark, f"an empty band: nothing is {' and '.join(map(str, bounds))}")


def within(metric: Named, number: float | None, node: Node, found: Findings) -> None:
    """A problem for a bound of a share outside 0 to 1: such an expectation would hold, or miss, whatever is found."""
    if number is None or metric.interval != "wilson" or 0 <= number <= 1:
        return
    hint = f"write {number:g} % or {number / 100:g}" if 1 < number <= 100 else ""
    found.add(node.mark, f"{metric.name} is a share: expected a bound from 0 to 1, found {number:g}", hint)


def metric_named(name: Node, text: str, metrics: Mapping[str, Named], use: str, found: Findings) -> Named | None:
    """The metric of that name, if an expectation may stand on it; None with a problem added."""
    metric = metrics.get(text)
    mark = name.key or name.mark
    usable = [each.name for each in metrics.values() if each.thresholdable]
    if metric is None:
        found.add(mark, f"{use} measures no metric {text!r}", did_you_mean(text, usable, "its metrics"))
    elif not metric.thresholdable:
        hint = did_you_mean(text, usable, "expectations may stand on")
        message = f"{text} is descriptive: it is shown in the report, but no expectation may stand on it"
        found.add(mark, message, hint)
        return None
    return metric
