"""What holds of every judgement, whatever goes in."""

from math import inf
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from judge_builders import bootstrapped, enclosed, entry, evidence, exact, judged, mean, proportion, ramp, rule, spec

from auditor.evidence import Absent, CountsPair, Failure, Finding, Measurement
from auditor.judge.intervals import p_value
from auditor.judge.verdict import Judgement
from auditor.spec.model import Rule, Waiver

NUMBER = st.floats(-2, 2).map(lambda x: round(x, 3))
UNIT = st.sampled_from(["example", "seed", "probe", "group"])
GOOD = {"pass", "warn"}


def gaps() -> st.SearchStrategy[Measurement]:
    def made(k1: int, k2: int, n: int) -> Measurement:
        pair = CountsPair(k1=min(k1, n), n1=n, k2=min(k2, n), n2=n)
        value = pair.k1 / n - pair.k2 / n
        return Measurement(name="x", value=value, n=n, method="newcombe", unit_of_resampling="example",
                           distribution=pair)  # fmt: skip

    return st.builds(made, st.integers(0, 100), st.integers(0, 100), st.integers(1, 200))


def plain() -> st.SearchStrategy[Measurement]:
    return st.one_of(
        st.builds(lambda k, n, u: proportion(min(k, n), n, unit_of_resampling=u), st.integers(0, 200),
                  st.integers(1, 200), UNIT),
        st.builds(lambda v, sd, n, u: mean(v, sd, n, unit_of_resampling=u), NUMBER, st.floats(0, 3),
                  st.integers(1, 200), UNIT),
        st.builds(lambda a, b, n: bootstrapped(ramp(min(a, b), max(a, b)), n), NUMBER, NUMBER, st.integers(0, 200)),
        st.builds(lambda a, b: enclosed(min(a, b), max(a, b)), NUMBER, NUMBER),
        st.builds(exact, NUMBER),
        gaps(),
    )  # fmt: skip


def measurements() -> st.SearchStrategy[Measurement]:
    return st.one_of(
        plain(),
        st.builds(lambda m: m.model_copy(update={"censored": True}), plain()),
        st.builds(lambda m: m.model_copy(update={"kind": "unreplicated"}), plain()),
        st.builds(lambda m, x: m.model_copy(update={"value": x}), plain(), st.sampled_from([float("nan"), inf, -inf])),
    )


def rules(**fields: Any) -> st.SearchStrategy[Rule]:
    def made(bound: float, gap: float, sign: bool, warned: bool, severity: str) -> Rule:
        side = {"at_least": bound} if sign else {"at_most": bound}
        warn = (bound + gap if sign else bound - gap) if warned else None
        return rule(**{**side, "warn": warn, "severity": severity, **fields})

    return st.builds(made, NUMBER, st.floats(0, 1), st.booleans(), st.booleans(), st.sampled_from(["error", "warn"]))


def evidences(least: int = 0) -> st.SearchStrategy[Finding]:
    def made(found: list[Measurement], names: list[str]) -> Finding:
        numbered = [
            m.model_copy(update={"name": name, "of": str(i)})
            for i, (m, name) in enumerate(zip(found, names, strict=False))
        ]
        return evidence().model_copy(update={"measurements": tuple(numbered)})

    names = st.lists(st.sampled_from(["x", "y"]), min_size=4, max_size=4)
    return st.builds(made, st.lists(measurements(), min_size=least, max_size=4), names)


def findings() -> st.SearchStrategy[Finding]:
    return st.one_of(
        evidences(),
        st.sampled_from(["skipped", "not_run"]).map(lambda kind: Absent(kind=kind, reason="r")),
        st.sampled_from(["exception", "interrupted", "not_applicable"]).map(lambda k: Failure(kind=k, message="m")),
    )


IDS = ("a", "b", "c")


def audits() -> st.SearchStrategy[tuple[Any, dict[str, Finding]]]:
    def made(asked: list[list[Rule]], found: list[Finding | None], after: list[tuple[str, ...]], waived: bool) -> Any:
        entries = [entry(*own, id=i, after=a) for i, own, a in zip(IDS, asked, after, strict=True)]
        waiver = Waiver(check="a", metric="x", reason="r", approved_by="R", expires="2027-01-01", no_worse_than=0.0)
        return (
            spec(*entries, waivers=(waiver,) if waived else ()),
            {i: f for i, f in zip(IDS, found, strict=True) if f is not None},
        )

    three = {"min_size": 3, "max_size": 3}
    either = st.one_of(rules(), rules(inherited=True), rules(metric="y"))
    return st.builds(
        made,
        st.lists(st.lists(either, max_size=3), **three),
        st.lists(st.one_of(st.none(), findings()), **three),
        st.lists(st.lists(st.sampled_from([*IDS, "gone"]), max_size=1).map(tuple), **three),
        st.booleans(),
    )


@settings(max_examples=200, deadline=None)
@given(rules(), measurements())
def test_nothing_passes_whose_interval_does_not(asked: Rule, measurement: Measurement) -> None:
    """No combination yields a pass while L < b, nor a fail while U >= b."""
    found = judged(spec(entry(asked)), {"c": evidence().model_copy(update={"measurements": (measurement,)})})
    made = found.checks[0].verdicts[0]
    shown = found.checks[0].measurements
    low = high = made.value
    if shown and shown[0].kind != "exact":
        low = -inf if shown[0].low is None else shown[0].low
        high = inf if shown[0].high is None else shown[0].high
    if measurement.censored:
        high = inf
    if made.outcome in GOOD:
        assert low is not None and high is not None
        assert low >= asked.at_least if asked.at_least is not None else high <= (asked.at_most or 0.0)
    if made.outcome == "fail":
        assert low is not None and high is not None
        assert high < asked.at_least if asked.at_least is not None else low > (asked.at_most or 0.0)
    if found.outcome == "pass":
        assert made.outcome in GOOD and asked.severity == "error"


def same(one: Judgement, other: Judgement) -> bool:
    by_id = [sorted(found.checks, key=lambda check: check.id) for found in (one, other)]
    return one.outcome == other.outcome and by_id[0] == by_id[1]


@settings(max_examples=150, deadline=None)
@given(audits(), st.permutations(range(3)))
def test_the_order_of_checks_changes_nothing(audit: Any, order: list[int]) -> None:
    asked, found = audit
    turned = asked.model_copy(update={"checks": tuple(asked.checks[i] for i in order)})
    assert same(judged(asked, found), judged(turned, dict(reversed(found.items()))))


@settings(max_examples=200, deadline=None)
@given(audits(), measurements())
def test_one_more_measurement_never_makes_a_pass(audit: Any, more: Measurement) -> None:
    """Bonferroni may soften a fail to inconclusive; nothing added ever makes an audit pass that did not, unless
    the metric had not been measured at all.
    """
    asked, found = audit
    first = found.get("a")
    if first is None or isinstance(first, Absent | Failure) or not any(m.name == "x" for m in first.measurements):
        return
    added = more.model_copy(update={"name": "x", "of": "added"})
    grown = {**found, "a": first.model_copy(update={"measurements": (*first.measurements, added)})}
    if judged(asked, found).outcome != "pass":
        assert judged(asked, grown).outcome != "pass"


@settings(max_examples=200, deadline=None)
@given(audits(), st.sampled_from(IDS), st.sampled_from(["exception", "timeout", "interrupted", None]))
def test_losing_a_checks_evidence_never_improves_the_audit_to_a_pass(audit: Any, id: str, kind: str | None) -> None:
    asked, found = audit
    lost = {key: value for key, value in found.items() if key != id}
    if kind:
        lost[id] = Failure(kind=kind, message="m")
    own = next(check for check in asked.checks if check.id == id)
    if any(r.severity == "error" for r in own.rules):
        assert judged(asked, lost).outcome != "pass"


@settings(max_examples=150, deadline=None)
@given(audits())
def test_a_pass_means_that_every_expectation_of_severity_error_holds(audit: Any) -> None:
    asked, found = audit
    made = judged(asked, found)
    if made.outcome != "pass":
        return
    kept = [v for check in made.checks for v in check.verdicts if v.severity == "error"]
    assert kept
    assert all(v.outcome in GOOD or (v.outcome == "fail" and v.waived) for v in kept)
    assert all(check.outcome != "error" for check in made.checks)
    for check, own in zip(made.checks, asked.checks, strict=True):
        spoken = {v.metric for v in check.verdicts}
        assert check.outcome == "skipped" or {r.metric for r in own.rules} <= spoken


@given(st.floats(1e-11, 0.0249))
def test_the_p_value_is_where_the_interval_lets_go(level: float) -> None:
    def at(confidence: float) -> tuple[float, float]:
        return 0.0, (1 - confidence) / 2

    found = p_value(lambda ends: ends[1] >= level, at, 0.025)
    assert abs(found / level - 1) < 1e-4


def test_the_p_value_has_a_floor_and_never_exceeds_the_level_asked() -> None:
    assert p_value(lambda ends: True, lambda confidence: (0.0, 0.0), 0.025) == 1e-12
    assert p_value(lambda ends: ends[1] >= 0.025, lambda c: (0.0, 0.025 if c <= 0.95 else 0.0), 0.025) <= 0.025
