"""traceability.score: steady and concentrated models score above wild and even ones; what is resampled."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from histories import changes, run

from auditor.artifacts.importance import Effects, Importance
from auditor.artifacts.trajectory import Trajectory
from auditor.checks.traceability.score import Score
from auditor.errors import NotApplicable
from auditor.evidence import Evidence, Moments
from auditor.execute.store import Store
from auditor.execute.workshop import Workshop
from auditor.methods.training.record import Changes
from auditor.sources import data, labels, models
from auditor.spec.model import DataEntry, ModelEntry
from auditor.subject import Runtime, Subject
from tests.checks.judged import measured, one, outcome

NAMES = ("a.weight", "a.bias", "b.weight", "c.weight", "d.weight")
ASSETS = Path(__file__).parents[3] / "specs" / "assets"


def history(wild: float = 0.0, seed: int = 0, factors: tuple[float, ...] = (1, 1, 2, 4, 8)) -> Changes:
    rng = np.random.default_rng(seed)
    decay = np.linspace(1, 0.2, 20)[:, None]
    moved = 0.01 * decay * np.array(factors) * np.exp(wild * rng.normal(size=(20, 5)))
    found = changes(moved, np.full((20, 5), 10.0), dims=[2, 1, 2, 2, 2])
    return replace(found, tensors=NAMES, lr=1e-3 * decay[:, 0])


def importance(share: float = 0.1, error: float = 0.02, **more: Any) -> Importance:
    pseudo = share + error * np.random.default_rng(0).choice([-1.0, 1.0], 32)
    given: dict[str, Any] = {
        "tensors": NAMES, "sizes": (4,) * 5, "total": np.array([8.0, 1, 4, 2, 1]), "first": np.array([8.0, 1, 4, 2, 1]),
        "gini": 0.5, "effective_share": share, "gini_told": pseudo, "effective_told": pseudo, "read": 20,
        "lorenz": np.zeros((2, 2)), "examples": 64, "is_grouped": False,
    }  # fmt: skip
    return Importance(**{**given, **more})


def seeds(count: int, wild: float = 0.0) -> Trajectory:
    runs = tuple(run(changes=history(wild, seed)) for seed in range(count))
    return Trajectory("finetune", tuple(each.changes for each in runs), runs)


def scored(trajectory: Trajectory, weighed: Importance | None = None, **given: Any) -> Evidence:
    effects = Effects(("a", "b", "c", "d"), np.array([3.0, 2.0, 1.0, 0.5]))
    more = {"effects": effects} if given.get("weighting") == "cross_validated" else {}
    return Score(**given).measure(trajectory=trajectory, importance=weighed or importance(), **more)


def test_a_steady_run_with_few_parameters_scores_and_a_wild_or_even_one_does_not() -> None:
    good = scored(seeds(5, wild=0.02))
    wild = scored(seeds(5, wild=2.0))
    even = scored(seeds(5, wild=0.02), importance(share=0.95))
    assert outcome(one(good, "score"), at_least=0.8) == "pass"
    assert outcome(one(wild, "score"), at_least=0.8) == "fail"
    assert outcome(one(even, "score"), at_least=0.8) == "fail"
    assert one(good, "score").unit_of_resampling == "seed" and one(good, "score").n == 5


def test_the_score_is_its_formula_and_its_interval_knows_both_sources_of_error() -> None:
    found = one(scored(seeds(5), alpha=0.25), "score")
    share = float(importance().effective_told.mean())
    assert found.value == pytest.approx(0.25 * 1 + 0.75 * (1 - share))  # perfectly steady
    spread = found.distribution
    assert isinstance(spread, Moments)
    error = float(importance().effective_told.std(ddof=1)) / 32**0.5
    assert spread.sd / 5**0.5 == pytest.approx(0.75 * error)


def test_a_given_history_leaves_the_error_over_examples_and_one_seed_is_a_single_replicate() -> None:
    given = Trajectory("checkpoints", (history(),))
    found = one(scored(given), "score")
    assert (found.kind, found.n, found.unit_of_resampling) == ("sampled", 32, "example")
    assert one(scored(given, alpha=1.0), "score").kind == "exact"
    exact = importance(read=0, gini_told=np.zeros(0), effective_told=np.zeros(0))
    assert one(scored(given, exact), "score").kind == "exact"
    unknown = importance(gini_told=np.zeros(0), effective_told=np.zeros(0))
    assert one(scored(given, unknown), "score").kind == "unreplicated"
    assert {each.kind for each in scored(seeds(1)).measurements if each.name != "alpha"} == {"unreplicated"}


def test_weights_are_fixed_or_found() -> None:
    alphas = {way: one(scored(seeds(1), weighting=way), "alpha").value
              for way in ("fixed", "entropy", "critic", "cross_validated")}  # fmt: skip
    assert alphas["fixed"] == 0.5
    assert all(0 <= alpha <= 1 for alpha in alphas.values())
    assert alphas["cross_validated"] == 0.5  # slow layers are the important ones: any weight predicts the effects


def test_directions_turn_the_order_of_the_rates() -> None:
    stable, published = (
        scored(seeds(1), direction=way, alpha=1.0).blocks[2].rows
        for way in ("stable", "as_published")  # type: ignore[union-attr]
    )
    assert [row[0] for row in stable] == ["a", "b", "c", "d"]
    assert [row[0] for row in published] == ["d", "c", "b", "a"]


def test_a_ranking_that_hangs_on_the_weight_is_seen() -> None:
    against = importance(total=np.array([1.0, 0, 2, 4, 8]))
    agreed, torn = one(scored(seeds(1)), "rank_stability"), one(scored(seeds(1), against), "rank_stability")
    assert agreed.value == 1.0
    assert torn.value < 0.5


def test_frozen_unknown_and_single_layers_are_defined_and_said() -> None:
    frozen = Trajectory("checkpoints", (history(factors=(1, 1, 0, 2, 3)),))
    found = scored(frozen)
    assert "1 layers never moved" in " ".join(found.notes)
    assert np.isfinite([each.value for each in found.measurements]).all()
    alone = scored(Trajectory("checkpoints", (history(),)), importance(tensors=("a.weight", "a.bias", "x", "y", "z")))
    assert not measured(alone, "rank_stability")
    assert "One layer alone has no rank" in " ".join(alone.notes)
    assert "3 parameter tensors of the model are not in its history" in " ".join(alone.notes)
    assert "3 tensors of the history are no parameters" in " ".join(alone.notes)
    level = scored(seeds(1), importance(total=np.array([1.0, 1, 2, 2, 2])))
    assert "The importances do not differ" in " ".join(level.notes)
    with pytest.raises(NotApplicable, match="no parameter name in common"):
        scored(seeds(1), importance(tensors=tuple("vwxyz")))
    with pytest.raises(NotApplicable, match="no layer moved"):
        scored(Trajectory("checkpoints", (history(factors=(0,) * 5),)))
    with pytest.raises(NotApplicable, match="no parameter has any importance"):
        scored(seeds(1), importance(effective_share=None, gini=None))


def test_an_error_that_is_not_known_leaves_the_score_undecided_over_seeds_too() -> None:
    unknown = importance(gini_told=np.zeros(0), effective_told=np.zeros(0))
    found = one(scored(seeds(5), unknown), "score")
    assert (found.kind, found.distribution.kind) == ("unreplicated", "none")
    assert {outcome(found, at_least=bound) for bound in (0.0, 1.0)}.isdisjoint({"pass", "fail"})
    assert one(scored(seeds(5), unknown, alpha=1.0), "score").kind == "sampled"


@pytest.mark.parametrize("trajectory", [seeds(5), Trajectory("checkpoints", (history(),))])
def test_ranks_by_an_estimated_importance_decide_nothing(trajectory: Trajectory) -> None:
    found = one(scored(trajectory), "rank_stability")
    assert (found.kind, found.distribution.kind, found.value) == ("unreplicated", "none", 1.0)
    sure = importance(read=0, gini_told=np.zeros(0), effective_told=np.zeros(0))
    assert outcome(one(scored(trajectory, sure), "rank_stability"), at_least=0.9) == "pass"


def test_a_history_that_diverged_or_ends_in_nan_neither_passes_nor_hides() -> None:
    broken = replace(history(), change=np.where(np.arange(20)[:, None] < 15, history().change, np.inf))
    runs = (run(changes=broken, diverged_at=150), run())
    for lost in (Trajectory("finetune", (broken, history()), runs), Trajectory("checkpoints", (broken,))):
        found = scored(lost)
        assert {each.name for each in found.measurements} == {"score", "alpha", "rank_stability"}
        for each in found.measurements:
            assert (each.kind, each.censored, each.distribution.kind) == ("unreplicated", False, "none")
            assert {outcome(each, at_least=bound) for bound in (0.0, 1.0)}.isdisjoint({"pass", "fail"})
        assert "diverged" in " ".join(found.notes) or "no longer finite" in " ".join(found.notes)


def test_the_figures_are_bars_lines_and_a_table() -> None:
    blocks = scored(seeds(2)).blocks
    assert [block.kind for block in blocks] == ["bars", "lines", "table"]
    assert all(bar.low <= bar.value <= bar.high for bar in blocks[0].bars)  # type: ignore[union-attr, operator]


def test_a_model_with_checkpoints_is_scored_from_its_files(tmp_path: Path) -> None:
    entry = ModelEntry(
        name="shipped", source="transformers", options={"path": "digits-shipped"},
        checkpoints="digits-shipped/ckpt/step-*.safetensors",
    )  # fmt: skip
    ref = models.describe(entry, ASSETS)
    rows = data.describe(DataEntry(name="test", source="sklearn", options={"name": "digits", "split": "test"}), ASSETS)
    subject = Subject(model=ref, data=labels.match(ref, rows), runtime=Runtime(batch_size=64))
    check = Score(weighting="cross_validated", rows=64)
    assert check.applies(subject) is None
    made = Workshop(ASSETS, Store(tmp_path), 1, lambda text: None)
    found = check.measure(**{name: made.get(need) for name, need in check.needs(subject).items()})
    assert 0 < one(found, "score").value < 1
    assert not any("not in its history" in note for note in found.notes)
    assert "the model has no history" in str(check.applies(subject.model_copy(
        update={"model": ref.model_copy(update={"history": None})})))  # fmt: skip
