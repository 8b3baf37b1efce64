"""The ten rules of a verdict, each with the case that must pass and the one that must not."""

from datetime import UTC, datetime
from typing import Any

import pytest

from auditor.evidence import Counts, Evidence, Finding, Measurement, Metric, Moments
from auditor.judge.judge import judge
from auditor.judge.verdict import Judgement
from auditor.spec.model import CheckEntry, Policy, Rule, Spec

STARTED = datetime(2026, 11, 22, 12, tzinfo=UTC)


def rule(check: str = "c", metric: str = "accuracy", **fields: Any) -> Rule:
    return Rule(check=check, metric=metric, **{"set_by": "spec.yaml:7", **fields})


def spec(*entries: CheckEntry, **fields: Any) -> Spec:
    return Spec(name="s", models={}, checks=entries, policy=Policy(), **fields)


def entry(*rules: Rule, id: str = "c", **fields: Any) -> CheckEntry:
    return CheckEntry(id=id, use="task.performance", model="m", rules=rules, **fields)


def proportion(k: int, n: int, name: str = "accuracy", **fields: Any) -> Measurement:
    made = {"method": "wilson", "unit_of_resampling": "example", "distribution": Counts(k=k, n=n), **fields}
    return Measurement(name=name, value=k / n, n=n, **made)


def mean(value: float, sd: float, n: int, name: str = "accuracy", **fields: Any) -> Measurement:
    made = {"method": "t", "unit_of_resampling": "example", "distribution": Moments(mean=value, sd=sd, n=n), **fields}
    return Measurement(name=name, value=value, n=n, **made)


METRICS = {"c": (Metric(name="accuracy", interval="wilson", resampling="example", doc="share right"),)}


def verdict_of(asked: Rule, *measured: Measurement) -> Any:
    return judged(spec(entry(asked)), {"c": Evidence(measurements=measured)}).checks[0].verdicts[0]


def judged(of: Spec, findings: dict[str, Finding], **more: Any) -> Judgement:
    return judge(of, findings, METRICS, STARTED, **more)


@pytest.mark.parametrize(("k", "outcome"), [(200, "pass"), (160, "fail"), (175, "inconclusive")])
def test_rule_02_the_whole_interval_decides(k: int, outcome: str) -> None:
    assert verdict_of(rule(at_least=0.85), proportion(k, 205)).outcome == outcome


def test_rule_02_says_how_many_examples_would_decide() -> None:
    verdict = verdict_of(rule(at_least=0.70), proportion(30, 36))
    assert verdict.outcome == "inconclusive"
    assert verdict.reason == (
        "0.833 lies above the bound 0.7, but 36 examples leave room down to 0.681; about 47 would decide."
    )
    assert verdict.would_decide == "about 47 would decide"
