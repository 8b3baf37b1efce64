"""traceability.change_rate: a healthy twin passes, a layer out of step and a run that does not settle are seen."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from histories import changes, run

from auditor.artifacts.trajectory import Trajectory
from auditor.checks.traceability.change_rate import ChangeRate
from auditor.evidence import Evidence
from auditor.methods.training.recipe import Settings
from auditor.methods.training.train import train

BOUND = 2.1  # healthy runs stay below


def value(evidence: Evidence, name: str) -> float:
    return next(found.value for found in evidence.measurements if found.name == name)


def seeds(count: int, **given: object) -> Trajectory:
    runs = tuple(run(changes=_steady(scale=1 + place / 10, **given)) for place in range(count))
    return Trajectory("finetune", tuple(one.changes for one in runs), runs)


def _steady(scale: float = 1.0, fast: float = 1.0):  # type: ignore[no-untyped-def]
    decay = np.linspace(1.0, 0.2, 20)[:, None]
    rates = scale * decay * np.array([[1.0, 1.3, 0.8 * fast]])
    found = changes(rates, np.full((20, 3), 100.0))
    return replace(found, lr=1e-3 * decay[:, 0])


def test_a_healthy_twin_of_five_seeds_stays_inside_the_healthy_range() -> None:
    evidence = ChangeRate().measure(trajectory=seeds(5))
    assert value(evidence, "early_rate_ratio") == pytest.approx(1.3)
    assert value(evidence, "early_rate_ratio") <= BOUND
    assert value(evidence, "stability") == pytest.approx(0, abs=1e-9)
    assert value(evidence, "final_to_peak") == pytest.approx(0.2, abs=0.03)
    assert {(m.kind, m.n, m.unit_of_resampling) for m in evidence.measurements} == {("sampled", 5, "seed")}


def test_one_history_gives_exact_facts() -> None:
    evidence = ChangeRate().measure(trajectory=Trajectory("checkpoints", (_steady(),), (), ("new.weight",), ()))
    assert {(m.kind, m.n) for m in evidence.measurements} == {("exact", 1)}
    assert "1 tensors appear or change shape after the first checkpoint: new.weight." in evidence.notes
    assert "Learning rates are not known here." in evidence.notes


def test_one_seed_of_a_fine_tune_is_a_single_replicate() -> None:
    assert {m.kind for m in ChangeRate().measure(trajectory=seeds(1)).measurements} == {"unreplicated"}


def test_a_layer_that_moves_a_hundred_times_faster_is_seen() -> None:
    evidence = ChangeRate().measure(trajectory=seeds(5, fast=100.0))
    assert value(evidence, "early_rate_ratio") > 9


@pytest.mark.parametrize("kind", ["l2", "l1", "elementwise"])
def test_a_planted_learning_rate_is_seen_in_a_real_run_in_every_norm(kind: str) -> None:
    healthy, planted = (_trained(factor) for factor in (1.0, 100.0))
    check = ChangeRate(kind=kind)
    ratios = [value(check.measure(trajectory=found), "early_rate_ratio") for found in (healthy, planted)]
    assert ratios[0] <= 2.6  # tiny layers of 8 units scatter more than real ones
    assert ratios[1] >= 9


class _Cloud:
    rows = 64

    def batch(self, rows):  # type: ignore[no-untyped-def]
        generator = torch.Generator().manual_seed(0)
        labels = torch.arange(64) % 4
        inputs = torch.randn(64, 16, generator=generator) + torch.eye(4, 16)[labels] * 3
        return inputs[list(rows)], labels[list(rows)]


class _Scaled(torch.nn.Linear):
    """A layer whose stored weight is `factor` times smaller than the one it works with: its rate is multiplied."""

    factor = 1.0

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.linear(inputs, self.weight * self.factor, self.bias)


def _trained(factor: float) -> Trajectory:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        middle = _Scaled(32, 32)
        layers = (torch.nn.Linear(16, 32), torch.nn.ReLU(), middle, torch.nn.ReLU(), torch.nn.Linear(32, 4))
    with torch.no_grad():
        middle.weight /= factor
    middle.factor = factor
    module = torch.nn.Sequential(*layers)
    found = train(module, module, _Cloud(), _Cloud(), Settings(steps=40, batch_size=16, lr=1e-3), 1)
    return Trajectory("finetune", (found.changes,), (found,))


def test_a_run_that_diverged_is_said_and_its_rates_end_there() -> None:
    broken = changes([[1.0] * 3] * 4 + [[np.inf] * 3], [[10.0] * 3] * 5)
    runs = (run(changes=broken, diverged_at=50), run())
    evidence = ChangeRate().measure(trajectory=Trajectory("finetune", (broken, _steady()), runs))
    assert "1 of 2 runs diverged: seed 1 at step 50." in evidence.notes
    assert all(np.isfinite(found.value) and found.censored for found in evidence.measurements)


def test_checkpoints_that_end_in_weights_that_are_not_finite_are_bounds() -> None:
    broken = changes([[1.0] * 3] * 4 + [[np.nan] * 3], [[10.0] * 3] * 5)
    evidence = ChangeRate().measure(trajectory=Trajectory("checkpoints", (broken,)))
    assert evidence.measurements and all(found.censored for found in evidence.measurements)
    assert "Rates end where weights are no longer finite." in evidence.notes


def test_a_run_that_wanders_and_does_not_settle_is_seen_in_every_number() -> None:
    rng = np.random.default_rng(0)
    wild = changes(np.exp(rng.normal(0, 1, (20, 1))) * np.array([[10.0, 13.0, 8.0]]), np.full((20, 3), 100.0))
    level = changes(np.full((20, 3), 10.0), np.full((20, 3), 100.0))
    healthy, sick = (ChangeRate().measure(trajectory=Trajectory("checkpoints", (part,))) for part in (_steady(), wild))
    for name, bound in (("change_rate", 0.05), ("change_rate_p95", 0.05), ("stability", 0.25)):
        assert value(healthy, name) <= bound < value(sick, name)
    never = ChangeRate().measure(trajectory=Trajectory("checkpoints", (level,)))
    assert value(healthy, "final_to_peak") <= 0.5 < value(never, "final_to_peak")


def test_without_two_intervals_nothing_is_measured_and_it_is_said() -> None:
    short = changes([[1.0]], [[1.0]])
    evidence = ChangeRate().measure(trajectory=Trajectory("finetune", (short,), (run(changes=short),)))
    assert evidence.measurements == ()
    assert "1 of 1 histories have fewer than two intervals and are left out." in evidence.notes


def test_a_model_that_never_moves_measures_no_ratio() -> None:
    still = changes([[0.0] * 3] * 5, [[10.0] * 3] * 5)
    evidence = ChangeRate().measure(trajectory=Trajectory("checkpoints", (still,)))
    assert {found.name for found in evidence.measurements} == {"change_rate", "change_rate_p95"}
    assert any("early_rate_ratio is not measured" in note for note in evidence.notes)


def test_the_figures_are_a_curve_a_map_and_bars() -> None:
    blocks = ChangeRate().measure(trajectory=seeds(5)).blocks
    assert [block.kind for block in blocks] == ["lines", "lines", "heatmap", "bars"]


def _falling(lr: bool) -> Trajectory:
    """A cosine schedule: the rate follows a learning rate that falls to a fiftieth."""
    cosine = (1.02 + np.cos(np.linspace(0, np.pi, 40))) / 2.02
    found = changes(cosine[:, None] * np.array([[1.0, 1.3, 0.8]]), np.full((40, 3), 100.0))
    return Trajectory("trace", (replace(found, lr=1e-3 * cosine if lr else np.full(40, np.nan)),))


def test_a_cosine_schedule_whose_learning_rate_a_trace_knows_is_no_instability() -> None:
    known, unknown = (ChangeRate().measure(trajectory=_falling(lr)) for lr in (True, False))
    assert value(known, "stability") == pytest.approx(0, abs=1e-9) and value(unknown, "stability") > 0.4
    assert "Learning rates are not known here." in unknown.notes
    assert "Learning rates are not known here." not in known.notes


def test_rates_that_rounding_may_give_are_not_measured() -> None:
    part = changes([[0.05, 0.05]] * 4, [[10.0, 10.0]] * 4)
    stored = replace(part, resolution=np.full((4, 2), 0.02))
    evidence = ChangeRate().measure(trajectory=Trajectory("checkpoints", (stored,)))
    assert evidence.measurements == ()
    assert (
        "change_rate is not measured: the weights are stored as bfloat16, whose rounding alone may give the change of "
        "4 of 4 intervals."
    ) in evidence.notes
    assert any("early changes of 2 of 2 matrices" in note for note in evidence.notes)
    finer = replace(part, resolution=np.full((4, 2), 0.001))
    assert len(ChangeRate().measure(trajectory=Trajectory("checkpoints", (finer,))).measurements) == 5


def test_what_never_moves_and_what_starts_at_zero_change_no_rate_of_the_model() -> None:
    """A frozen matrix, a key bias without gradient, and a bias that starts at zero."""
    plain = changes([[1.0, 0.1]] * 6, [[50.0, 0.0]] + [[50.0, 0.1]] * 5, dims=[2, 1])
    beside = changes(
        [[1.0, 0.1, 0.0, 0.0]] * 6, [[50.0, 0.0, 80.0, 0.0]] + [[50.0, 0.1, 80.0, 0.0]] * 5, dims=[2, 1, 2, 1]
    )
    one, two = (ChangeRate().measure(trajectory=Trajectory("checkpoints", (part,))) for part in (plain, beside))
    assert value(one, "change_rate") == value(two, "change_rate") == pytest.approx(0.02, rel=0.01)
    assert all(np.isfinite(found.value) for found in two.measurements)


def test_intervals_of_another_length_are_left_out_and_said() -> None:
    steps = [0, 1, 2, 3, 10, 20, 30, 50, 60, 63]
    lengths = np.diff(steps)
    part = changes(np.repeat(lengths[:, None], 3, axis=1) * 0.1, np.full((9, 3), 100.0), steps=steps)
    evidence = ChangeRate().measure(trajectory=Trajectory("trace", (part,)))
    assert value(evidence, "change_rate") == pytest.approx(0.01)
    assert value(evidence, "stability") == pytest.approx(0, abs=0.1)
    assert "Rates are over intervals of 10 steps." in evidence.notes
    assert (
        "The spacing is uneven: intervals 0 to 1, 1 to 2, 2 to 3, 30 to 50, 60 to 63 are of another length and are "
        "left out of rates."
    ) in evidence.notes
