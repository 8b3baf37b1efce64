"""Plans: equal needs once, passes fused, what is stored left out, equal in every process."""

import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

import fakes
import pytest
from fakes import entry

from auditor.check import Check
from auditor.errors import UsageError
from auditor.evidence import Absent
from auditor.needs import Collector, Need, Probe, Sweep, Tap, Target
from auditor.plan.build import build
from auditor.plan.explain import explain
from auditor.registry import Registry


@dataclass(frozen=True)
class Rows(fakes.Source):
    """Batches of a data set."""

    rows: int = 100
    batch_size: int = 32


@dataclass(frozen=True)
class Look(Probe[fakes.Numbers]):
    """A probe of one kind or another."""

    artifact = fakes.Numbers
    kind: str = "logits"

    @property
    def title(self) -> str:
        return self.kind

    def collect(self) -> Collector[fakes.Numbers]:
        raise NotImplementedError


def sweep_of(target: str = "predicted", model: str = "m") -> Sweep:
    return Sweep(fakes.Source(model), Rows("rows"), Target(target))


LOGITS = Look(sweep_of())
SALIENCY = Look(sweep_of(), frozenset({Tap("input_gradient")}), 40, "saliency")
OTHER = Look(sweep_of("label"), kind="label logits")


class Looker(Check):
    """Asks for some probes by name."""

    pillar = "task"
    about = fakes.ABOUT
    metrics = (fakes.METRIC,)
    asks: tuple[str, ...]

    def needs(self, subject: Any) -> dict[str, Need[Any]]:
        return {"look": {"logits": LOGITS, "saliency": SALIENCY, "other": OTHER}[self.asks[0]]}

    def measure(self, *args: Any, look: Any, **artifacts: Any) -> Any:
        raise NotImplementedError


@dataclass
class Catalogue:
    """The fakes and the Looker."""

    registry: Registry = field(default_factory=lambda: Registry(fakes.PLUGINS))

    def check(self, use: str) -> type[Check]:
        return Looker if use == "look" else self.registry.check(use)


def plan_of(*checks, stored=frozenset()):
    spec = fakes.spec_of(*checks)
    return build(spec, fakes.subjects_of(spec), Catalogue(), stored)


def look(check_id: str, what: str):
    return entry(check_id, "look", asks=(what,))


def test_equal_needs_are_one_job_that_names_all_who_wait():
    plan = plan_of(entry("a"), entry("b", "task.fake_twice"), entry("c"))
    assert [(job.kind, job.title, job.checks) for job in plan.jobs] == [
        ("build", "Draw", ("a", "b", "c")),
        ("measure", "a", ("a",)),
        ("build", "Doubled", ("b",)),
        ("measure", "b", ("b",)),
        ("measure", "c", ("c",)),
    ]


def test_probes_on_equal_sweeps_are_one_job():
    plan = plan_of(look("a", "logits"), look("b", "saliency"), look("c", "other"))
    sweeps = [job for job in plan.jobs if job.kind == "sweep"]
    assert [(set(job.produces), job.checks) for job in sweeps] == [
        ({LOGITS.key, SALIENCY.key}, ("a", "b")),
        ({OTHER.key}, ("c",)),
    ]
    assert (sweeps[0].cost.forwards, sweeps[0].cost.backwards) == (4, 2)
    assert (sweeps[1].cost.forwards, sweeps[1].cost.backwards) == (4, 0)


def test_a_fused_sweep_asks_only_for_what_is_not_stored():
    plan = plan_of(look("a", "logits"), look("b", "saliency"), stored={LOGITS.key})
    [sweep] = [job for job in plan.jobs if job.kind == "sweep"]
    assert sweep.produces == (SALIENCY.key,)
    assert plan.reused == (LOGITS.key,)


def test_what_only_stored_things_need_is_dropped():
    whole = plan_of(entry("b", "task.fake_twice"))
    doubled = next(job for job in whole.jobs if job.title == "Doubled")
    rest = plan_of(entry("b", "task.fake_twice"), stored=set(doubled.produces))
    assert [job.title for job in rest.jobs] == ["b"]
    assert plan_of(entry("b", "task.fake_twice"), stored={whole.measures["b"]}).jobs == ()


def test_upstream_comes_first_whatever_the_order_of_the_spec():
    plan = plan_of(entry("b", "task.fake_twice"), entry("a"))
    done: set[str] = set()
    for job in plan.jobs:
        assert set(job.after) <= done
        done.add(job.key)


def test_building_again_from_what_is_reused_gives_the_same_plan():
    checks = (entry("a"), entry("b", "task.fake_twice"))
    draw = plan_of(*checks).jobs[0].key
    plan = plan_of(*checks, stored={draw, "something else"})
    assert plan_of(*checks, stored=frozenset(plan.reused)).digest == plan.digest


def test_what_does_not_apply_or_is_deselected_has_no_job():
    spec = fakes.spec_of(entry("a", rows=0), entry("b"))
    subjects = fakes.subjects_of(spec)
    del subjects["b"]
    plan = build(spec, subjects, Catalogue(), frozenset())
    assert plan.jobs == ()
    assert plan.absent == {
        "a": Absent(kind="skipped", reason="it asks for no rows"),
        "b": Absent(kind="not_run", reason="deselected"),
    }


def test_a_check_whose_names_disagree_is_refused():
    with pytest.raises(UsageError, match=r"Mismatched: measure\(\) takes figures, but needs\(\) gives numbers"):
        plan_of(entry("a", "task.fake_mismatched"))


def test_the_key_of_a_measurement_covers_all_that_can_change_it(monkeypatch):
    def key(check="task.fake_mean", check_id="a", seed=0, **params):
        spec = fakes.spec_of(entry(check_id, check, **params), seed=seed)
        return build(spec, fakes.subjects_of(spec), Catalogue(), frozenset()).measures[check_id]

    keys = [key(), key("task.fake_twice"), key(check_id="b"), key(seed=1), key(pause=0.5), key(rows=41)]
    monkeypatch.setattr(fakes.Mean, "version", 2)
    keys.append(key())
    assert len(set(keys)) == len(keys)


def test_the_plan_in_words():
    whole = plan_of(look("a", "logits"), look("b", "saliency"), entry("c"), entry("none", rows=0))
    plan = plan_of(
        look("a", "logits"), look("b", "saliency"), entry("c"), entry("none", rows=0), stored={whole.measures["c"]}
    )
    seconds = {plan.jobs[0].key: 12.34}
    text = explain(plan, seconds.get)
    assert (
        "3 checks: 1 sweep over the data, 0 other computations, 2 measurements to do; 1 result already stored" in text
    )
    assert "shared by a, b" in text
    assert "4 forward passes, 2 backward passes; 12.3 s on an earlier run" in text
    assert "evidence of c" in text
    assert "none: skipped, it asks for no rows" in text


def test_nothing_to_do_says_that_no_worker_starts():
    whole = plan_of(entry("c"))
    assert "no worker starts" in explain(plan_of(entry("c"), stored={whole.measures["c"]}))


def test_planning_imports_no_torch():
    code = (
        "import sys, fakes\n"
        "from auditor.plan.build import build\nfrom auditor.plan.explain import explain\n"
        "from auditor.plan.subjects import resolve\nfrom auditor.plan.runtime import runtime_of\n"
        "from auditor.registry import Registry\nimport auditor.execute.local\n"
        "spec = fakes.spec_of(fakes.entry('a'), fakes.entry('b', 'task.fake_twice'))\n"
        "runtime_of(spec.run, 'image')\n"
        "explain(build(spec, fakes.subjects_of(spec), Registry(fakes.PLUGINS), frozenset()))\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{code}"], check=True)
