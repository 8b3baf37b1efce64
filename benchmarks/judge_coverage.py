"""Coverage of the judge: how often its intervals hold the truth, and how often it fails an audit falsely.

    python benchmarks/judge_coverage.py [--audits 2000] [--seed 0] [--write benchmarks/RESULTS.md]

Every simulated audit goes through judge() itself: evidence in, verdicts out.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np

from auditor.evidence import Counts, CountsPair, Evidence, IntervalMethod, Measurement, Metric, Moments
from auditor.judge.judge import judge
from auditor.judge.verdict import Judged, Judgement
from auditor.spec.model import CheckEntry, Rule, Spec
from auditor.statistics import moments

Rng = np.random.Generator
SIZES = (30, 100, 1000)
RATES = tuple(round(rate, 2) for rate in np.arange(0.5, 0.951, 0.05))
GAP, SHIFT = 0.05, 0.1
BEGIN, END = "<!-- judge_coverage -->", "<!-- /judge_coverage -->"


@dataclass(frozen=True)
class World:
    """A truth, and how an audit of n examples would see it: the evidence now and, where compared, before."""

    truth: float
    draw: Callable[[Rng, int], tuple[Evidence, Evidence | None]]
    interval: IntervalMethod


def proportion(rate: float) -> World:
    def draw(rng: Rng, n: int) -> tuple[Evidence, None]:
        k = int(rng.binomial(n, rate))
        return _evidence("wilson", k / n, n, Counts(k=k, n=n)), None

    return World(rate, draw, "wilson")


def mean(skewed: bool = False) -> World:
    def draw(rng: Rng, n: int) -> tuple[Evidence, None]:
        values = rng.lognormal(size=n) if skewed else rng.normal(size=n)
        m, sd, _ = moments(values)
        return _evidence("t", m, n, Moments(mean=m, sd=sd, n=n)), None

    return World(float(np.exp(0.5)) if skewed else 0.0, draw, "t")


def gap(rate: float) -> World:
    def draw(rng: Rng, n: int) -> tuple[Evidence, None]:
        k1, k2 = int(rng.binomial(n, rate)), int(rng.binomial(n, rate - GAP))
        return _evidence("newcombe", (k1 - k2) / n, n, CountsPair(k1=k1, n1=n, k2=k2, n2=n)), None

    return World(GAP, draw, "newcombe")


def unequal(rate: float, times: int) -> World:
    """A gap between n examples and `times` as many; for -times the first sample is the larger one."""

    def draw(rng: Rng, n: int) -> tuple[Evidence, None]:
        n1, n2 = (n, times * n) if times > 0 else (-times * n, n)
        k1, k2 = int(rng.binomial(n1, rate)), int(rng.binomial(n2, rate - GAP))
        return _evidence("newcombe", k1 / n1 - k2 / n2, n, CountsPair(k1=k1, n1=n1, k2=k2, n2=n2)), None

    return World(GAP, draw, "newcombe")


def paired() -> World:
    def draw(rng: Rng, n: int) -> tuple[Evidence, Evidence]:
        before = rng.normal(size=n)
        now = before + SHIFT + 0.5 * rng.normal(size=n)
        return _column(now), _column(before)

    return World(SHIFT, draw, "t")


def _evidence(method: IntervalMethod, value: float, n: int, distribution: Counts | CountsPair | Moments) -> Evidence:
    measurement = Measurement(
        name="x", value=value, n=n, method=method, unit_of_resampling="example", distribution=distribution
    )
    return Evidence(measurements=(measurement,))


def _column(values: np.ndarray) -> Evidence:
    m, sd, n = moments(values)
    plain = _evidence("t", m, n, Moments(mean=m, sd=sd, n=n))
    digests = tuple(f"example-{i}" for i in range(n))
    return Evidence(measurements=plain.measurements, samples={"x": tuple(values.tolist())}, examples=digests)


def audit(worlds: list[World], rng: Rng, n: int) -> Judgement:
    """One audit whose every bound lies exactly at the truth."""
    ids = [f"c{i}" for i in range(len(worlds))]
    drawn = {i: world.draw(rng, n) for i, world in zip(ids, worlds, strict=True)}
    entries = (
        CheckEntry(id=i, use="task.performance", model="m", rules=(_at_the_truth(i, world, drawn[i][1]),))
        for i, world in zip(ids, worlds, strict=True)
    )
    metrics = {i: (Metric(name="x", interval=w.interval, doc="x"),) for i, w in zip(ids, worlds, strict=True)}
    return judge(
        Spec(name="simulated", models={}, checks=tuple(entries)),
        {i: now for i, (now, _) in drawn.items()},
        metrics,
        datetime(2026, 1, 1, tzinfo=UTC),
        baseline={i: before for i, (_, before) in drawn.items() if before is not None},
    )


def _at_the_truth(check: str, world: World, before: Evidence | None) -> Rule:
    if before is None:
        return Rule(check=check, metric="x", at_least=world.truth, set_by="spec.yaml:1")
    return Rule(check=check, metric="x", versus="baseline", worse_at_most=-world.truth, set_by="spec.yaml:1")


def _holds(check: Judged, truth: float) -> bool:
    low, high = check.verdicts[0].low, check.verdicts[0].high
    assert low is not None and high is not None
    return low <= truth <= high


def coverage(worlds: list[World], n: int, audits: int, seed: int) -> list[float]:
    """The share of audits whose interval holds the truth, one a world."""
    rng = np.random.default_rng([seed, n])
    return [
        sum(_holds(audit([world], rng, n).checks[0], world.truth) for _ in range(audits)) / audits for world in worlds
    ]


METHODS: dict[str, list[World]] = {
    "proportion (Wilson)": [proportion(rate) for rate in RATES],
    "mean (t)": [mean()],
    "paired change (t)": [paired()],
    "gap of rates (Newcombe)": [gap(rate) for rate in RATES],
    "mean, lognormal (t): a known limit": [mean(skewed=True)],
}
FORTY = [proportion(rate) for rate in RATES] + [mean()] * 10 + [paired()] * 10 + [gap(rate) for rate in RATES]

UNEQUAL = [unequal(rate, times) for rate in RATES for times in (10, 10, 10, -10)]


def forty(n: int, audits: int, seed: int, worlds: list[World] = FORTY) -> dict[str, float]:
    """40 expectations exactly at their bounds: the share of audits with any false fail, corrected and not, and
    of those that passed.
    """
    rng, any_fail, any_raw, passed = np.random.default_rng([seed, n, 40]), 0, 0, 0
    for _ in range(audits):
        found = audit(worlds, rng, n)
        any_fail += found.outcome == "fail"
        any_raw += any(check.verdicts[0].p is not None for check in found.checks)
        passed += found.outcome == "pass"
    return {"corrected": any_fail / audits, "uncorrected": any_raw / audits, "passed": passed / audits}


def lines(audits: int, seed: int) -> Iterator[str]:
    """The section of RESULTS.md."""
    yield "| method | " + " | ".join(f"n = {n}" for n in SIZES) + " |"
    yield "|---" * (len(SIZES) + 1) + "|"
    for name, worlds in METHODS.items():
        shares = [coverage(worlds, n, audits, seed) for n in SIZES]
        yield f"| {name} | " + " | ".join(map(_cell, shares)) + " |"
    yield ""
    yield "| 40 expectations at their bounds | " + " | ".join(f"n = {n}" for n in SIZES) + " |"
    yield "|---" * (len(SIZES) + 1) + "|"
    found = [forty(n, audits, seed) for n in SIZES]
    yield "| any false fail | " + " | ".join(f"{f['corrected']:.2%}" for f in found) + " |"
    yield (
        "| any interval beyond its bound, uncorrected | " + " | ".join(f"{f['uncorrected']:.1%}" for f in found) + " |"
    )
    yield "| audit passed | " + " | ".join(f"{f['passed']:.2%}" for f in found) + " |"
    gaps = [forty(n, audits, seed, UNEQUAL)["corrected"] for n in SIZES]
    yield "| any false fail, 40 gaps beside tenfold samples | " + " | ".join(f"{share:.2%}" for share in gaps) + " |"


def _cell(shares: list[float]) -> str:
    average = f"{sum(shares) / len(shares):.1%}"
    return average if len(shares) == 1 else f"{average} ({min(shares):.1%} to {max(shares):.1%})"


def section(audits: int, seed: int) -> str:
    """The section, with the command and the machine."""
    started = time.process_time()
    body = "\n".join(lines(audits, seed))
    seconds = time.process_time() - started
    return f"""{BEGIN}
## Coverage of the judge

Share of 95% intervals that hold the truth, in {audits:,} simulated audits a cell, each judged by `judge()`; where a
method is tried at the ten rates .50 to .95, that many at each rate: the average (lowest to highest). The gap is .05.
The bar: 93.5 to 96.5%, no rate of a proportion below 92%; any false fail in at most 3% of audits.

{body}

`python benchmarks/judge_coverage.py --audits {audits} --seed {seed}`, {seconds:.0f} s of CPU on
{platform.machine()} with {os.cpu_count()} cores, Python {platform.python_version()}, numpy {np.__version__}.
{END}
"""


def write(path: Path, text: str) -> None:
    """Put the section into the file, in the place of the former one."""
    old = path.read_text() if path.exists() else "# Results\n\nMeasured figures, each with its command.\n\n"
    head, _, rest = old.partition(BEGIN)
    path.write_text(head + text + rest.partition(f"{END}\n")[2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audits", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", type=Path, help="the file whose section is replaced; default: print")
    options = parser.parse_args()
    show = partial(write, options.write) if options.write else print
    show(section(options.audits, options.seed))


if __name__ == "__main__":
    main()
