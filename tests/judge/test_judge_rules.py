"""The ten rules of a verdict: each with what must pass, what must not, and every comparison at equality."""

from datetime import UTC, datetime, timedelta, timezone
from math import inf
from typing import Any

import numpy as np
import pytest
from judge_builders import (
    bootstrapped,
    enclosed,
    entry,
    evidence,
    exact,
    judged,
    mean,
    metrics,
    proportion,
    ramp,
    rule,
    spec,
    verdict,
    verdicts,
)
from scipy import stats

from auditor.evidence import Absent, CountsPair, Evidence, Failure, Measurement
from auditor.judge.bounds import Claim, claim
from auditor.judge.intervals import chance
from auditor.judge.verdict import Judgement, Verdict
from auditor.spec.model import Context, Rule, Skipped, Waiver
from auditor.statistics import GRID, halves, moments, newcombe, wilson

# rule 1: one-sided, one verdict an `of`, intervals by the declared method


def test_rule_01_one_verdict_an_of_and_the_worst_is_the_outcome() -> None:
    found = judged(
        spec(entry(rule(at_least=1.0))), {"c": evidence(mean(2.0, of="a"), mean(1.0, of="b"), mean(3.0, of="c"))}
    )
    assert [(v.of, v.outcome) for v in found.checks[0].verdicts] == [
        ("a", "pass"),
        ("b", "inconclusive"),
        ("c", "pass"),
    ]
    assert found.checks[0].outcome == "inconclusive"
    assert found.outcome == "inconclusive"


def test_rule_01_an_unmeasured_metric_is_inconclusive() -> None:
    (made,) = verdicts(rule("y", at_least=0.0), mean(5.0))
    assert (made.outcome, made.value) == ("inconclusive", None)
    assert made.reason == "The check did not measure y here."


def test_rule_01_the_interval_is_the_declared_methods() -> None:
    made = verdict(rule(at_least=0.5), proportion(81, 100))
    assert (made.low, made.high) == wilson(81, 100, 0.95)


def test_rule_01_an_exact_fact_has_no_interval() -> None:
    made = verdict(rule(at_most=3), exact(2.0))
    assert (made.outcome, made.low, made.high) == ("pass", None, None)
    assert "exact fact" in made.reason
    shown = judged(spec(entry()), {"c": evidence(exact(2.0))}).checks[0].measurements[0]
    assert (shown.low, shown.high) == (None, None)


def test_rule_01_a_band_is_two_expectations() -> None:
    both = spec(entry(rule(at_least=0.0), rule(at_most=1.0)))
    assert [v.outcome for v in judged(both, {"c": evidence(mean(0.5))}).checks[0].verdicts] == ["pass", "pass"]
    assert [v.outcome for v in judged(both, {"c": evidence(mean(5.0))}).checks[0].verdicts] == ["pass", "fail"]


@pytest.mark.parametrize("fields", [{}, {"at_least": 1.0, "at_most": 2.0}, {"versus": "baseline"}])
def test_rule_01_an_expectation_without_one_bound_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"spec\.yaml:7"):
        claim(rule(**fields))


# rule 2: L and U against the bound


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (0.85, 0.9, "pass"),  # L == b
        (0.84, 0.9, "inconclusive"),
        (0.8, 0.85, "inconclusive"),  # U == b
        (0.8, 0.84, "fail"),
        (0.85, 0.85, "pass"),
    ],
)
def test_rule_02_at_least(low: float, high: float, outcome: str) -> None:
    assert verdict(rule(at_least=0.85), enclosed(low, high)).outcome == outcome
    assert verdict(rule(at_most=-0.85), enclosed(-high, -low)).outcome == outcome


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (0.90, 0.95, "pass"),  # L == w
        (0.89, 0.95, "warn"),
        (0.85, 0.86, "warn"),  # L == b
        (0.84, 0.95, "inconclusive"),
        (0.84, 0.85, "inconclusive"),  # U == b
        (0.80, 0.84, "fail"),
    ],
)
def test_rule_02_warn_bounds(low: float, high: float, outcome: str) -> None:
    assert verdict(rule(at_least=0.85, warn=0.90), enclosed(low, high)).outcome == outcome
    assert verdict(rule(at_most=-0.85, warn=-0.90), enclosed(-high, -low)).outcome == outcome


def test_rule_02_says_how_many_examples_would_decide() -> None:
    made = verdict(rule(at_least=0.70), proportion(30, 36))
    assert made.outcome == "inconclusive"
    assert made.reason == (
        "0.833 lies above the bound 0.7, but 36 examples leave room down to 0.681; about 47 would decide."
    )
    assert made.would_decide == "about 47 would decide"


@pytest.mark.parametrize(
    ("value", "interval", "needed"),
    [
        (1.5, (0.5, 2.5), 400),  # d = 1, half the distance: four times as many
        (0.5, (-0.5, 1.2), 101),  # below the bound it is the upper end that counts
        (1.0, (0.0, 2.0), None),  # at the bound no number decides
        (1.1, (0.1, 2.1), 10000),  # 100 n is still realistic
        (1.099, (0.099, 2.1), None),
        (1.5, (-inf, inf), None),
    ],
)
def test_rule_02_n_prime(value: float, interval: tuple[float, float], needed: int | None) -> None:
    found = Claim(1, 1.0).would_decide(value, interval, 100)
    assert found == (pytest.approx(needed, abs=1) if needed == 10000 else 196 if needed == 101 else needed)
    mirrored = Claim(-1, -1.0).would_decide(-value, (-interval[1], -interval[0]), 100)
    assert mirrored == found


def test_rule_02_no_realistic_n() -> None:
    made = verdict(rule(at_least=1.0), mean(1.001))
    assert made.would_decide == "no realistic number of examples would decide"


def test_rule_02_a_warning_is_said_with_its_end() -> None:
    made = verdict(rule(at_least=0.5, warn=0.9), proportion(85, 100))
    assert made.outcome == "warn"
    assert made.reason == "0.85 meets the bound 0.5, but its interval reaches to 0.767, beyond the warning at 0.9."


# rule 3: passes are never corrected, failures by Holm


def many(count: int, *failing: Measurement, severity: str = "error") -> Judgement:
    """Failing checks among `count` sampled expectations; the others were measured and pass."""
    ids = [f"c{i}" for i in range(count)]
    found = {id: evidence(m) for id, m in zip(ids, (*failing, *[mean(9.0)] * count), strict=False)}
    return judged(spec(*(entry(rule(at_least=1.0, severity=severity), id=id) for id in ids)), found)


NEARLY = mean(0.7, sd=1.0, n=100)  # t = -3, one-sided p = .0017: survives 14 expectations, not 15


def test_rule_03_a_single_failure_is_not_corrected() -> None:
    made = many(1, NEARLY).checks[0].verdicts[0]
    assert made.outcome == "fail"
    assert made.p == pytest.approx(0.00171, abs=2e-5)


@pytest.mark.parametrize(("count", "outcome"), [(14, "fail"), (15, "inconclusive")])
def test_rule_03_holm_over_all_expectations(count: int, outcome: str) -> None:
    made = many(count, NEARLY)
    assert made.checks[0].verdicts[0].outcome == outcome
    assert made.outcome == outcome
    assert made.checks[0].verdicts[0].p == pytest.approx(0.00171 * count, abs=3e-4)


def test_rule_03_what_holm_drops_says_why_and_what_would_decide() -> None:
    made = many(15, NEARLY).checks[0].verdicts[0]
    assert "among 15 expectations" in made.reason
    assert made.would_decide == "about 101 would decide"


def test_rule_03_the_number_is_fixed_at_plan_time_measured_or_not() -> None:
    ids = [f"c{i}" for i in range(15)]
    asked = spec(*(entry(rule(at_least=1.0), id=id) for id in ids))
    assert judged(asked, {"c0": evidence(NEARLY)}).checks[0].outcome == "inconclusive"


def test_rule_03_exact_metrics_and_warnings_are_not_counted() -> None:
    ids = [f"c{i}" for i in range(15)]
    asked = spec(*(entry(rule(at_least=1.0), id=id) for id in ids))
    known = metrics("c0") | metrics(*ids[1:], interval="none")
    assert judged(asked, {"c0": evidence(NEARLY)}, metrics=known).checks[0].outcome == "fail"
    known = metrics("c0") | metrics(*ids[1:], interval="enclosure")
    assert judged(asked, {"c0": evidence(NEARLY)}, metrics=known).checks[0].outcome == "fail"
    warned = spec(entry(rule(at_least=1.0), id="c0"), entry(*[rule(at_least=1.0, severity="warn")] * 14))
    assert judged(warned, {"c0": evidence(NEARLY)}).checks[0].outcome == "fail"


def test_rule_03_an_unknown_metric_counts() -> None:
    ids = [f"c{i}" for i in range(15)]
    asked = spec(*(entry(rule(at_least=1.0), id=id) for id in ids))
    assert judged(asked, {"c0": evidence(NEARLY)}, metrics={}).checks[0].outcome == "inconclusive"


def test_rule_03_step_down_gives_later_failures_room() -> None:
    strong = mean(-9.0)
    made = many(15, strong, NEARLY)
    assert [check.outcome for check in made.checks[:2]] == ["fail", "fail"]


def test_rule_03_bonferroni_over_of_and_counted_once() -> None:
    others = [mean(9.0, of=str(i)) for i in range(14)]
    thirteen = verdicts(rule(at_least=1.0), NEARLY, *others[:13])
    fourteen = verdicts(rule(at_least=1.0), NEARLY, *others)
    assert (thirteen[0].outcome, fourteen[0].outcome) == ("fail", "inconclusive")
    two = spec(entry(rule(at_least=1.0)), entry(rule(at_least=1.0), id="d"))
    found = {"c": evidence(mean(-9.0, of="a"), mean(-9.0, of="b")), "d": evidence(mean(9.0))}
    assert judged(two, found).checks[0].outcome == "fail"


def test_rule_03_an_exact_failure_is_not_corrected() -> None:
    ids = [f"c{i}" for i in range(40)]
    asked = spec(*(entry(rule(at_least=1.0), id=id) for id in ids))
    made = judged(asked, {"c0": evidence(exact(0.999))}).checks[0].verdicts[0]
    assert (made.outcome, made.p) == ("fail", None)


def test_rule_03_passes_are_never_corrected() -> None:
    just = mean(1.2, sd=1.0, n=100)  # L = 1.0016
    assert {check.outcome for check in many(40, *[just] * 40).checks} == {"pass"}


def test_rule_03_a_bootstrap_failure_at_the_corrected_level_itself() -> None:
    excluded_at = 1 - 0.0125  # the upper end at this probability still misses the bound, the next does not
    values = tuple(0.5 if p < 0.03 else 0.9 if p <= excluded_at else 1.1 for p in GRID)
    measurement = bootstrapped(values)
    assert many(2, measurement).checks[0].outcome == "fail"
    assert many(3, measurement).checks[0].outcome == "inconclusive"


def test_rule_03_proportions_are_corrected_by_their_exact_tail() -> None:
    beyond_wilson = proportion(24, 30)  # at .95: Wilson's level .00008, exactly .0033
    ids = [f"c{i}" for i in range(40)]
    asked = spec(*(entry(rule(at_least=0.95), id=id) for id in ids))
    assert judged(asked, {"c0": evidence(beyond_wilson)}).checks[0].outcome == "inconclusive"
    assert verdict(rule(at_least=0.95), beyond_wilson).outcome == "fail"


# rule 4: what is too little


@pytest.mark.parametrize("unit", ["example", "document", "group", "record", "none"])
def test_rule_04_thirty_units(unit: str) -> None:
    assert verdict(rule(at_least=1.0), mean(9.0, n=30, unit_of_resampling=unit)).outcome == "pass"
    assert verdict(rule(at_least=1.0), mean(-9.0, n=30, unit_of_resampling=unit)).outcome == "fail"
    for value in (9.0, -9.0):
        assert verdict(rule(at_least=1.0), mean(value, n=29, unit_of_resampling=unit)).outcome == "inconclusive"


@pytest.mark.parametrize(("unit", "least"), [("seed", 5), ("probe", 10)])
def test_rule_04_seeds_and_probes(unit: str, least: int) -> None:
    assert verdict(rule(at_least=1.0), mean(99.0, n=least, unit_of_resampling=unit)).outcome == "pass"
    few = verdict(rule(at_least=1.0), mean(99.0, n=least - 1, unit_of_resampling=unit))
    assert few.outcome == "inconclusive"
    assert few.reason == f"{least - 1} {unit}s are too few to decide x; at least {least} are needed."
    share = proportion(least - 1, least - 1, unit_of_resampling=unit)
    assert verdict(rule(at_least=0.1), share).outcome == "inconclusive"


def test_rule_04_sixty_four_for_a_bootstrap_whatever_the_unit() -> None:
    for unit in ("example", "seed", "probe"):
        enough = bootstrapped(ramp(2.0, 3.0), n=64, unit_of_resampling=unit)
        few = bootstrapped(ramp(2.0, 3.0), n=63, unit_of_resampling=unit)
        assert verdict(rule(at_least=1.0), enough).outcome == "pass"
        assert verdict(rule(at_least=1.0), few).outcome == "inconclusive"


def test_rule_04_a_proportion_decides_at_any_n_but_not_by_one_trial() -> None:
    assert verdict(rule(at_least=0.1), proportion(2, 2)).outcome == "pass"
    assert verdict(rule(at_least=0.1), proportion(1, 1)).outcome == "inconclusive"


def test_rule_04_a_single_replicate() -> None:
    assert verdict(rule(at_least=1.0), mean(9.0, sd=0.0, n=1, unit_of_resampling="seed")).outcome == "inconclusive"
    once = Measurement(name="x", value=9.0, n=1, kind="unreplicated")
    assert verdict(rule(at_least=1.0), once).outcome == "inconclusive"
    assert verdict(rule(at_most=1.0), once).outcome == "inconclusive"


def test_rule_04_a_zero_width_bootstrap() -> None:
    made = verdict(rule(at_least=1.0), bootstrapped((2.0,) * len(GRID)))
    assert made.outcome == "inconclusive"
    assert "no width" in made.reason


@pytest.mark.parametrize("unit", ["example", "document", "group", "record", "probe", "seed"])
def test_rule_04_equal_values_prove_nothing_whatever_the_unit(unit: str) -> None:
    made = verdict(rule(at_most=1.0), mean(0.0, sd=0.0, unit_of_resampling=unit))
    assert made.outcome == "inconclusive" and "no width" in made.reason


@pytest.mark.parametrize(("at", "outcome"), [("at_least", "inconclusive"), ("at_most", "inconclusive")])
def test_rule_04_equal_seeds_of_a_number_on_a_coarse_grid(at: str, outcome: str) -> None:
    same = mean(40.0, sd=0.0, n=5, unit_of_resampling="seed")
    assert verdict(rule(**{at: 40.0}), same).outcome == outcome
    assert verdict(rule(at_most=60.0), mean(41.6, sd=3.6, n=5, unit_of_resampling="seed")).outcome == "pass"


def test_rule_04_a_spread_in_the_range_of_rounding_is_none() -> None:
    assert verdict(rule(at_least=0.05), mean(0.1, sd=1e-17)).outcome == "inconclusive"
    nearly = bootstrapped(tuple(2.0 + 1e-15 * place for place in range(len(GRID))))
    assert verdict(rule(at_least=1.0), nearly).outcome == "inconclusive"
    assert verdict(rule(at_least=1.0), mean(9.0, sd=1e-6)).outcome == "pass"


def test_rule_04_n_is_what_was_drawn_not_what_is_claimed() -> None:
    claimed = mean(9.0, n=29).model_copy(update={"n": 1000})
    assert verdict(rule(at_least=1.0), claimed).outcome == "inconclusive"


@pytest.mark.parametrize("bad", [float("nan"), inf, -inf])
def test_rule_04_nan_and_infinity_are_errors(bad: float) -> None:
    good = mean(9.0)
    for update in ({"value": bad}, {"distribution": good.distribution.model_copy(update={"mean": bad})}):
        found = judged(spec(entry(rule(at_least=1.0))), {"c": evidence(good).model_copy(
            update={"measurements": (good.model_copy(update=update),)})})  # fmt: skip
        assert found.checks[0].outcome == "error"
        assert found.checks[0].failure is not None and "not finite" in found.checks[0].failure.message
        assert found.outcome == "inconclusive"


@pytest.mark.parametrize(
    "bad",
    [
        (proportion(90, 100).model_copy(update={"value": 0.1}),),
        (mean(0.9).model_copy(update={"value": 0.1}),),
        (enclosed(0.6, 0.7, value=0.1),),
        (proportion(90, 100), proportion(95, 100)),
    ],
    ids=["counts", "moments", "enclosure", "twice"],
)
def test_rule_04_a_number_that_its_distribution_contradicts_is_an_error(bad: tuple[Measurement, ...]) -> None:
    found = judged(spec(entry(rule(at_least=0.05))), {"c": evidence(*bad)})
    assert (found.checks[0].outcome, found.outcome) == ("error", "inconclusive")


@pytest.mark.parametrize(
    "bad",
    [
        mean(9.0, method="wilson"),
        mean(9.0, method="none"),
        bootstrapped((1.0, 2.0)),
        bootstrapped(tuple(reversed(ramp(2.0, 3.0)))),
        enclosed(3.0, 2.0),
        enclosed(3.0, 2.0, kind="exact"),
    ],
)
def test_rule_04_a_distribution_that_its_method_cannot_read_is_an_error(bad: Measurement) -> None:
    found = judged(spec(entry(rule(at_least=1.0))), {"c": evidence(bad)})
    assert (found.checks[0].outcome, found.outcome) == ("error", "inconclusive")


@pytest.mark.parametrize("measurement", [exact(5.0, censored=True), mean(5.0, censored=True)])
def test_rule_04_a_lower_bound_can_miss_an_upper_bound_but_never_meet_it(measurement: Measurement) -> None:
    assert verdict(rule(at_most=4.0), measurement).outcome == "fail"
    assert verdict(rule(at_most=6.0), measurement).outcome == "inconclusive"
    assert verdict(rule(at_least=4.0), measurement).outcome == "pass"
    assert verdict(rule(at_least=6.0), measurement).outcome == "inconclusive"


def test_rule_04_a_lower_bound_at_the_bound() -> None:
    assert verdict(rule(at_most=5.0), exact(5.0, censored=True)).outcome == "inconclusive"
    made = verdict(rule(at_most=6.0), exact(5.0, censored=True))
    assert made.reason.startswith("The number is at least 5:")
    assert made.high is None


# rule 5: no worse than the baseline


def columns(values: list[float], start: int = 0, **fields: Any) -> Evidence:
    digests = tuple(f"d{start + i}" for i in range(len(values)))
    average = sum(values) / len(values)
    return evidence(mean(average, n=len(values), **fields), samples={"x": tuple(values)}, examples=digests)


BASE = [float(i % 7) for i in range(100)]
NOT_WORSE = rule(versus="baseline", worse_at_most=0.5)


def against(now: Evidence, before: Evidence | None, better: str = "up", asked: Rule = NOT_WORSE) -> Verdict:
    earlier = {} if before is None else {"c": before}
    found = judged(spec(entry(asked)), {"c": now}, baseline=earlier, metrics=metrics("c", better=better))
    return found.checks[0].verdicts[0]


def test_rule_05_paired_on_the_same_examples() -> None:
    now = columns([x + 0.1 * (-1) ** i for i, x in enumerate(BASE)])
    made = against(now, columns(BASE))
    assert (made.outcome, made.n) == ("pass", 100)
    assert made.expect == "no worse than the baseline by more than 0.5"
    assert made.low == pytest.approx(-0.0199, abs=1e-3)
    assert "100 examples that both audits hold" in made.reason


def test_rule_05_pairs_by_digest_not_by_place() -> None:
    now = columns(BASE[50:], start=50)
    made = against(now, columns(BASE))
    assert (made.outcome, made.n, made.value) == ("pass", 50, 0.0)


def test_rule_05_worse_fails_and_up_is_better() -> None:
    worse = columns([x - 1.0 + 0.1 * (-1) ** i for i, x in enumerate(BASE)])
    assert against(worse, columns(BASE)).outcome == "fail"
    assert against(worse, columns(BASE), better="down").outcome == "pass"


def test_rule_05_not_significantly_different_is_not_enough() -> None:
    noisy = columns([x + 9.0 * (-1) ** i for i, x in enumerate(BASE)])
    assert against(noisy, columns(BASE)).outcome == "inconclusive"


def test_rule_05_at_the_margin_itself() -> None:
    made = against(evidence(exact(0.5)), evidence(exact(1.0)))
    assert (made.value, made.outcome) == (-0.5, "pass")
    assert against(evidence(exact(0.25)), evidence(exact(1.0))).outcome == "fail"


def test_rule_05_without_common_examples_unpaired_and_said() -> None:
    now, before = columns(BASE, start=1000), columns(BASE)
    made = against(now, before)
    assert made.value == 0.0
    assert made.low is not None and made.low == pytest.approx(-0.2806, abs=1e-3)
    assert "independent samples" in made.reason


def test_rule_05_a_column_that_is_not_the_metric_is_not_paired() -> None:
    now = columns(BASE)
    other = now.model_copy(update={"samples": {"x": tuple(x + 5 for x in BASE)}})
    assert "independent samples" in against(other, columns(BASE)).reason


def test_rule_05_groups_are_not_paired_by_example() -> None:
    made = against(columns(BASE, unit_of_resampling="group"), columns(BASE, unit_of_resampling="group"))
    assert "independent samples" in made.reason


def test_rule_05_too_few_pairs() -> None:
    assert against(columns(BASE[:29]), columns(BASE)).outcome == "inconclusive"
    assert against(columns(BASE[:30]), columns(BASE)).outcome == "pass"


def test_rule_05_without_a_baseline_inconclusive() -> None:
    assert against(columns(BASE), None).outcome == "inconclusive"
    assert against(columns(BASE), evidence(mean(1.0, name="y"))).outcome == "inconclusive"
    once = evidence(Measurement(name="x", value=9.0, n=1, kind="unreplicated"))
    assert against(evidence(exact(9.0)), once).outcome == "inconclusive"


def test_rule_05_a_broken_baseline_is_no_baseline() -> None:
    broken = columns(BASE).model_copy(update={"samples": {"x": (float("nan"),) * 100}})
    assert against(columns(BASE), broken).outcome == "inconclusive"


def test_rule_05_a_censored_baseline_is_never_beaten_for_sure() -> None:
    before = evidence(exact(5.0, censored=True))
    assert against(evidence(exact(9.0)), before).outcome == "inconclusive"
    assert against(evidence(exact(9.0)), before, better="down").outcome == "inconclusive"
    assert against(evidence(exact(1.0)), before, better="down").outcome == "pass"


# rule 6: chosen on one half, tested on the other


def found_effects(same: bool) -> int:
    """In how many of 60 audits of pure noise the best of 36 groups "has an effect"."""
    found = 0
    for seed in range(60):
        noise = np.random.default_rng(seed).normal(size=(36, 120))
        first, second = halves(np.arange(120), seed)
        chosen, tested = (noise, noise) if same else (noise[:, first], noise[:, second])
        value, sd, n = moments(tested[chosen.mean(axis=1).argmax()])
        found += verdict(rule(at_least=0.0), mean(value, sd, n)).outcome == "pass"
    return found


def test_rule_06_what_is_chosen_on_one_half_is_tested_on_the_other() -> None:
    assert found_effects(same=False) <= 6
    assert found_effects(same=True) >= 25


# rule 7: how a check ends


@pytest.mark.parametrize(
    ("finding", "outcome"),
    [
        (None, "not_run"),
        (Absent(kind="skipped", reason="two classes"), "skipped"),
        (Absent(kind="not_run", reason="deselected"), "not_run"),
        (Failure(kind="not_applicable", message="two classes"), "skipped"),
        (Failure(kind="interrupted", message="Ctrl-C"), "not_run"),
        (Failure(kind="exception", message="boom"), "error"),
        (Failure(kind="timeout", message="30 m"), "error"),
        (Failure(kind="oom", message="memory"), "error"),
        (Failure(kind="crashed", message="signal 11"), "error"),
        (Failure(kind="refused", message="no"), "error"),
        (evidence(mean(1.0)), "info"),
    ],
)
def test_rule_07_a_check_without_expectations(finding: Any, outcome: str) -> None:
    found = judged(spec(entry()), {} if finding is None else {"c": finding})
    assert found.checks[0].outcome == outcome
    assert found.outcome == "inconclusive"
    assert found.checks[0].reason


def test_rule_07_worst_of_its_verdicts_with_a_warned_fail_as_warn() -> None:
    asked = entry(rule(at_least=1.0), rule(at_least=9.0, severity="warn"))
    found = judged(spec(asked), {"c": evidence(mean(5.0))})
    assert [v.outcome for v in found.checks[0].verdicts] == ["pass", "fail"]
    assert (found.checks[0].outcome, found.outcome) == ("warn", "pass")
    worse = entry(rule(at_least=1.0), rule(at_least=5.0))
    assert judged(spec(worse), {"c": evidence(mean(5.0))}).checks[0].outcome == "inconclusive"
    worst = entry(rule(at_least=5.0), rule(at_least=9.0))
    assert judged(spec(worst), {"c": evidence(mean(5.0))}).checks[0].outcome == "fail"


def test_rule_07_on_a_skipped_check_own_expectations_are_inconclusive_inherited_not_tested() -> None:
    own, inherited = rule(at_least=1.0), rule(at_most=9.0, inherited=True, set_by="auditor:text@1")
    skipped = Absent(kind="skipped", reason="two classes")
    found = judged(spec(entry(own)), {"c": skipped})
    assert (found.checks[0].outcome, found.outcome) == ("skipped", "inconclusive")
    assert [v.outcome for v in found.checks[0].verdicts] == ["inconclusive"]
    found = judged(spec(entry(inherited), entry(own, id="d")), {"c": skipped, "d": evidence(mean(9.0))})
    assert (found.checks[0].verdicts, found.outcome) == ((), "pass")
    listed = [item for item in found.not_tested if "c: x <= 9" in item.what]
    assert listed and "two classes" in listed[0].why


def test_rule_07_on_a_metric_that_cannot_be_own_expectations_are_inconclusive_inherited_not_tested() -> None:
    own, inherited = rule(at_least=1.0, metric="y"), rule(at_most=9.0, metric="y", inherited=True, set_by="auditor:t@1")
    given = evidence(mean(5.0)).model_copy(update={"inapplicable": {"y": "the model has no norm"}})
    found = judged(spec(entry(rule(at_least=1.0), own)), {"c": given})
    assert [v.outcome for v in found.checks[0].verdicts] == ["pass", "inconclusive"]
    assert "the model has no norm" in found.checks[0].verdicts[1].reason
    found = judged(spec(entry(rule(at_least=1.0), inherited)), {"c": given})
    assert ([v.metric for v in found.checks[0].verdicts], found.outcome) == (["x"], "pass")
    listed = [item for item in found.not_tested if "c: y <= 9" in item.what]
    assert listed and listed[0].why == "c.y does not apply: the model has no norm"
    silent = judged(spec(entry(rule(at_least=1.0), inherited)), {"c": evidence(mean(5.0))})
    assert silent.outcome == "inconclusive", "what merely was not measured stays undecided"


def test_what_was_measured_cannot_be_called_inapplicable() -> None:
    with pytest.raises(ValueError, match="measured, and said to be inapplicable: x"):
        Evidence(measurements=(mean(5.0),), inapplicable={"x": "no reason"})


def test_rule_07_an_inherited_expectation_on_an_error_or_unrun_check_counts() -> None:
    inherited = rule(at_most=9.0, inherited=True)
    for finding in (Failure(kind="timeout", message="30 m"), Absent(kind="not_run", reason="deselected")):
        found = judged(spec(entry(inherited), entry(rule(at_least=1.0), id="d")),
                       {"c": finding, "d": evidence(mean(9.0))})  # fmt: skip
        assert found.outcome == "inconclusive"


def after(first: Any, second: Measurement | None = None, severity: str = "error") -> Judgement:
    asked = spec(
        entry(rule(at_least=1.0, severity=severity), id="first"),
        entry(rule(at_least=1.0), id="then", after=("first",)),
    )
    found = {"then": evidence(second or mean(9.0))} | ({} if first is None else {"first": first})
    return judged(asked, found)


@pytest.mark.parametrize(
    "first",
    [
        evidence(mean(-9.0)),
        evidence(mean(1.0)),
        Absent(kind="skipped", reason="r"),
        Absent(kind="not_run", reason="deselected"),
        Failure(kind="crashed", message="m"),
        None,
    ],
)
def test_rule_07_after_turns_a_pass_into_inconclusive_and_names_the_precondition(first: Any) -> None:
    made = after(first).checks[1].verdicts[0]
    assert made.outcome == "inconclusive"
    assert "first" in made.reason
    assert after(first, mean(-9.0)).checks[1].verdicts[0].outcome == "fail"


def test_rule_07_after_a_passed_precondition_a_pass_stays() -> None:
    assert after(evidence(mean(9.0))).checks[1].outcome == "pass"


def test_rule_07_after_a_precondition_that_expects_nothing_or_only_warned() -> None:
    asked = spec(entry(id="first"), entry(rule(at_least=1.0), id="then", after=("first",)))
    found = {"first": evidence(mean(9.0)), "then": evidence(mean(9.0))}
    assert judged(asked, found).checks[1].outcome == "inconclusive"
    assert after(evidence(mean(-9.0)), severity="warn").checks[1].outcome == "inconclusive"


def test_rule_07_after_holds_a_warning_back_too() -> None:
    asked = spec(entry(id="first"), entry(rule(at_least=1.0, warn=20.0), id="then", after=("first",)))
    assert judged(asked, {"then": evidence(mean(9.0))}).checks[1].outcome == "inconclusive"


def test_rule_07_after_is_carried_along_a_chain_and_never_waits_in_a_circle() -> None:
    fine = evidence(mean(9.0))
    ids = ("a", "b", "c")
    chain = spec(*(entry(rule(at_least=1.0), id=i, after=a) for i, a in zip(ids, ((), ("a",), ("b",)), strict=True)))
    assert [c.outcome for c in judged(chain, dict.fromkeys(ids, fine)).checks] == ["pass"] * 3
    found = judged(chain, {"a": evidence(mean(-9.0)), "b": fine, "c": fine})
    assert [c.outcome for c in found.checks] == ["fail", "inconclusive", "inconclusive"]
    circle = spec(*(entry(rule(at_least=1.0), id=i, after=a) for i, a in (("a", ("b",)), ("b", ("a",)))))
    assert {c.outcome for c in judged(circle, dict.fromkeys(ids, fine)).checks} == {"inconclusive"}


# rule 8: waivers


def waiver(**fields: Any) -> Waiver:
    made = {"check": "c", "metric": "x", "reason": "by design", "approved_by": "Risk", "expires": "2027-03-31"}
    return Waiver(**{**made, "no_worse_than": 0.5, **fields})


def waived(measurement: Measurement, asked: Rule | None = None, **fields: Any) -> Judgement:
    started = fields.pop("started", datetime(2026, 11, 22, tzinfo=UTC))
    return judged(spec(entry(asked or rule(at_least=1.0)), waivers=(waiver(**fields),)),
                  {"c": evidence(measurement)}, started=started)  # fmt: skip


def test_rule_08_waived_is_a_flag_beside_the_raw_outcome() -> None:
    found = waived(enclosed(0.6, 0.9))
    made = found.checks[0].verdicts[0]
    assert (made.outcome, made.waived) == ("fail", True)
    assert (found.checks[0].outcome, found.outcome) == ("fail", "pass")
    assert "Accepted until 2027-03-31 by Risk" in made.reason


@pytest.mark.parametrize(("low", "held"), [(0.5, True), (0.49, False)])
def test_rule_08_the_whole_interval_is_no_worse(low: float, held: bool) -> None:
    assert waived(enclosed(low, 0.9)).checks[0].verdicts[0].waived is held
    mirrored = waived(enclosed(-0.9, -low), rule(at_most=-1.0), no_worse_than=-0.5)
    assert mirrored.checks[0].verdicts[0].waived is held
    assert mirrored.outcome == ("pass" if held else "fail")


@pytest.mark.parametrize(
    ("expires", "held"),
    [
        ("2026-11-22", True),  # the day itself
        ("2026-11-21", False),
        ("31.03.2027", False),
        ("2027-3-31", False),
        ("20270331", False),
        ("2027-02-30", False),
        ("next spring", False),
        ("", False),
        ("2027-03-31T00:00", False),
    ],
)
def test_rule_08_an_expired_or_unreadable_date_waives_nothing(expires: str, held: bool) -> None:
    found = waived(enclosed(0.6, 0.9), expires=expires)
    assert found.checks[0].verdicts[0].waived is held
    assert found.outcome == ("pass" if held else "fail")


def test_rule_08_expiry_is_judged_at_the_start_in_universal_time() -> None:
    late = datetime(2026, 11, 22, 23, tzinfo=timezone(timedelta(hours=-5)))  # the 23rd in UTC
    assert not waived(enclosed(0.6, 0.9), expires="2026-11-22", started=late).checks[0].verdicts[0].waived


def test_rule_08_without_a_limit_it_waives_nothing() -> None:
    found = waived(enclosed(0.6, 0.9), no_worse_than=None)
    assert found.outcome == "fail"
    assert "no_worse_than" in found.checks[0].verdicts[0].reason


def test_rule_08_only_failures_are_waived() -> None:
    found = waived(enclosed(0.6, 1.1))
    assert (found.checks[0].verdicts[0].waived, found.outcome) == (False, "inconclusive")


@pytest.mark.parametrize("other", [{"check": "d"}, {"metric": "y"}, {"of": "layer9"}])
def test_rule_08_a_waiver_of_something_else(other: dict[str, str]) -> None:
    assert waived(enclosed(0.6, 0.9, of="layer1"), **other).outcome == "fail"


def test_rule_08_of_one_or_of_all() -> None:
    assert waived(enclosed(0.6, 0.9, of="layer1"), of="layer1").outcome == "pass"
    assert waived(enclosed(0.6, 0.9, of="layer1")).outcome == "pass"


def test_rule_08_one_of_two_waivers_is_enough() -> None:
    both = (waiver(expires="2020-01-01"), waiver())
    found = judged(spec(entry(rule(at_least=1.0)), waivers=both), {"c": evidence(enclosed(0.6, 0.9))})
    assert found.outcome == "pass"


def test_rule_08_against_a_baseline_the_limit_speaks_of_the_number_itself() -> None:
    asked = rule(versus="baseline", worse_at_most=0.1)
    for limit, held in ((1.5, True), (2.5, False)):
        found = judged(spec(entry(asked), waivers=(waiver(no_worse_than=limit),)), {"c": evidence(exact(2.0))},
                       baseline={"c": evidence(exact(3.0))})  # fmt: skip
        assert found.checks[0].verdicts[0].waived is held


def test_rule_08_a_censored_number_has_no_worst() -> None:
    assert waived(exact(5.0, censored=True), rule(at_most=1.0), no_worse_than=99.0).outcome == "fail"


# rule 9: the audit


def test_rule_09_fail_before_inconclusive_before_pass() -> None:
    good, bad, open_ = evidence(mean(9.0)), evidence(mean(-9.0)), evidence(mean(1.0))
    asked = spec(*(entry(rule(at_least=1.0), id=i) for i in "ab"))
    for one, two, outcome in (
        (good, good, "pass"),
        (good, open_, "inconclusive"),
        (open_, bad, "fail"),
        (good, bad, "fail"),
        (good, Failure(kind="crashed", message="m"), "inconclusive"),
        (bad, Failure(kind="crashed", message="m"), "fail"),
        (good, Absent(kind="not_run", reason="deselected"), "inconclusive"),
    ):
        assert judged(asked, {"a": one, "b": two}).outcome == outcome


def test_rule_09_a_check_in_error_without_expectations_is_inconclusive() -> None:
    asked = spec(entry(rule(at_least=1.0)), entry(id="d"))
    found = judged(asked, {"c": evidence(mean(9.0)), "d": Failure(kind="crashed", message="m")})
    assert found.outcome == "inconclusive"
    assert found.reason == "1 of 2 checks ended in error: d."


def test_rule_09_nothing_judged_is_not_a_pass() -> None:
    for asked in (spec(), spec(entry()), spec(entry(rule(at_least=1.0, severity="warn")))):
        found = judged(asked, {"c": evidence(mean(9.0))})
        assert found.outcome == "inconclusive"
        assert found.reason.startswith("Nothing was judged")


def test_rule_09_severity_warn_never_moves_it() -> None:
    asked = spec(entry(rule(at_least=1.0), rule("y", at_least=1.0, severity="warn")))
    for y in (mean(-9.0, name="y"), mean(1.0, name="y"), mean(9.0, name="y"), mean(1.0, name="z")):
        assert judged(asked, {"c": evidence(mean(9.0), y)}).outcome == "pass"


def test_rule_09_a_partial_audit_says_so() -> None:
    asked = spec(entry(rule(at_least=1.0)), entry(id="d"))
    found = judged(asked, {"c": evidence(mean(9.0)), "d": Absent(kind="not_run", reason="deselected")}, partial=True)
    assert (found.outcome, found.reason) == (
        "pass",
        "Every expectation that counts holds (1). Only a part of the audit was run.",
    )


# rule 10: who set the bound


def test_rule_10_each_verdict_says_who_set_its_bound_and_which_it_replaced() -> None:
    made = verdict(
        rule(at_least=0.8, set_by="spec.yaml:12", replaced=">= 0.85 (auditor:vision@1)", loosened=True, why="4.2"),
        proportion(81, 100),
    )
    assert (made.set_by, made.replaced, made.loosened) == ("spec.yaml:12", ">= 0.85 (auditor:vision@1)", True)
    assert (made.why, made.bound, made.expect) == ("4.2", 0.8, ">= 0.8")
    assert made.margin == pytest.approx(0.01)


def test_rule_10_also_where_nothing_was_measured() -> None:
    (made,) = verdicts(rule("y", at_most=250, inherited=True, set_by="auditor:vision@1"), mean(1.0))
    assert (made.set_by, made.inherited, made.expect, made.bound) == ("auditor:vision@1", True, "<= 250", 250.0)


# what is not tested


def test_not_tested_lists_what_the_audit_does_not_speak_about() -> None:
    left_out = Skipped(id="calibration", use="task.calibration", reason="scores are not shown", set_by="spec.yaml:9",
                       metrics=("brier",))  # fmt: skip
    asked = spec(
        entry(rule(at_least=1.0)), skipped=(left_out,), context=Context(out_of_scope=("medical images",)), models={}
    )
    found = {item.what: item for item in judged(asked, {"c": evidence(mean(9.0))}).not_tested}
    assert "scores are not shown" in found["calibration (brier)"].why
    assert "medical images" in found
    assert "history" in found["traceability"].how and "traceability.change_rate" in found["traceability"].how
    assert "history" in found["optimizability"].why
    assert found["interpretability"].how.startswith("checks:")
    assert "task" not in found


def test_not_tested_pillars_whose_checks_did_not_apply_or_did_not_run() -> None:
    one = entry(id="r", use="traceability.change_rate")
    skipped = judged(spec(one, models={}), {"r": Absent(kind="skipped", reason="no history")}).not_tested
    assert next(item for item in skipped if item.what == "traceability").how.startswith("models:")
    unrun = judged(spec(one), {}).not_tested
    assert next(item for item in unrun if item.what == "traceability").why == "None of its checks was run."
    ran = judged(spec(one), {"r": evidence(mean(1.0))}).not_tested
    assert "traceability" not in [item.what for item in ran]


def test_rule_03_the_p_value_of_a_gap_at_unequal_sizes_holds_its_level_by_enumeration() -> None:
    """The chance of a failure at level .025 / 40 where the truth is the bound, over all pairs of counts."""
    n1, n2, rate, gap, level = 30, 300, 0.95, 0.05, 0.025 / 40
    hit = {"exact": 0.0, "newcombe": 0.0}
    for k1 in range(n1 + 1):
        for k2 in range(220, n2 + 1):
            mass = float(stats.binom.pmf(k1, n1, rate) * stats.binom.pmf(k2, n2, rate - gap))
            if mass < 1e-9:
                continue
            if newcombe(k1, n1, k2, n2, 1 - 2 * level)[1] >= gap:
                continue
            hit["newcombe"] += mass
            pair = CountsPair(k1=k1, n1=n1, k2=k2, n2=n2)
            found = chance(Measurement(name="x", value=0.0, n=n1, method="newcombe", distribution=pair))
            assert found is not None
            hit["exact"] += mass * (found(gap, 1) <= level)
    assert hit["exact"] <= level < 3 * level < hit["newcombe"]
