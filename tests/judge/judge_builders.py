"""Builders: small specs, rules and measurements for the tests of judge."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from auditor.evidence import Counts, Enclosure, Evidence, Finding, Measurement, Metric, Moments, Quantiles
from auditor.judge.judge import judge
from auditor.judge.verdict import Judgement, Verdict
from auditor.spec.model import CheckEntry, ModelEntry, Rule, Spec
from auditor.statistics import GRID

STARTED = datetime(2026, 11, 22, 12, tzinfo=UTC)
HISTORY = ModelEntry(name="m", source="factory", checkpoints="ckpt/*.safetensors")
DRAWN = {"method": "t", "unit_of_resampling": "example"}


def rule(metric: str = "x", **fields: Any) -> Rule:
    return Rule(**{"check": "c", "metric": metric, "set_by": "spec.yaml:7", **fields})


def entry(*rules: Rule, id: str = "c", use: str = "task.performance", **fields: Any) -> CheckEntry:
    return CheckEntry(id=id, use=use, model="m", rules=rules, **fields)


def spec(*entries: CheckEntry, **fields: Any) -> Spec:
    return Spec(**{"name": "s", "models": {"m": HISTORY}, "checks": entries, **fields})


def proportion(k: int, n: int, **fields: Any) -> Measurement:
    made = {**DRAWN, "method": "wilson", "name": "x", "distribution": Counts(k=k, n=n), **fields}
    return Measurement(value=k / n, n=n, **made)


def mean(value: float, sd: float = 1.0, n: int = 100, **fields: Any) -> Measurement:
    made = {**DRAWN, "name": "x", "distribution": Moments(mean=value, sd=sd, n=n), **fields}
    return Measurement(value=value, n=n, **made)


def enclosed(low: float, high: float, **fields: Any) -> Measurement:
    """A number whose interval is [low, high] to the last digit, whatever the confidence."""
    made = {"name": "x", "method": "enclosure", "distribution": Enclosure(low=low, high=high), "n": 1, **fields}
    return Measurement(**{"value": (low + high) / 2, **made})


def bootstrapped(values: tuple[float, ...], n: int = 200, **fields: Any) -> Measurement:
    made = {**DRAWN, "method": "bootstrap", "name": "x", "distribution": Quantiles(values=values), **fields}
    return Measurement(**{"value": values[len(values) // 2], "n": n, **made})


def ramp(low: float, high: float) -> tuple[float, ...]:
    """A bootstrap distribution that rises evenly from low to high over the probabilities of GRID."""
    return tuple(low + (high - low) * p for p in GRID)


def exact(value: float, **fields: Any) -> Measurement:
    return Measurement(**{"name": "x", "value": value, "n": 1, "kind": "exact", **fields})


def evidence(*measurements: Measurement, **fields: Any) -> Evidence:
    return Evidence(measurements=measurements, **fields)


def metrics(*checks: str, interval: str = "t", better: str = "up") -> dict[str, tuple[Metric, ...]]:
    return {
        check: tuple(Metric(name=name, interval=interval, better=better, doc="a number") for name in ("x", "y"))
        for check in checks
    }


def judged(of: Spec, findings: Mapping[str, Finding], **more: Any) -> Judgement:
    known = more.pop("metrics", metrics(*(check.id for check in of.checks)))
    return judge(of, findings, known, more.pop("started", STARTED), **more)


def verdicts(asked: Rule, *measurements: Measurement, **more: Any) -> tuple[Verdict, ...]:
    """The verdicts of one check with one expectation."""
    fields = more.pop("spec", {})
    return judged(spec(entry(asked), **fields), {"c": evidence(*measurements)}, **more).checks[0].verdicts


def verdict(asked: Rule, measurement: Measurement, **more: Any) -> Verdict:
    (only,) = verdicts(asked, measurement, **more)
    return only
