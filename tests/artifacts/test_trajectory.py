"""Trajectories: recorded runs of the shipped early model, and checkpoints on disk, through the same door."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from histories import changes

from auditor.artifacts.finetune import FineTune, Starting
from auditor.artifacts.recorded import HistoryTrajectory
from auditor.artifacts.trajectory import (
    Trajectories,
    Trajectory,
    missing,
    trajectories_of,
)
from auditor.errors import NotApplicable, SourceError
from auditor.evidence import Measurement, Moments
from auditor.execute.codec import decode, encode
from auditor.execute.store import Store
from auditor.execute.workshop import Workshop
from auditor.methods.training.record import Run
from auditor.needs import Need
from auditor.sources import data, labels, models
from auditor.sources.models.finetune import describe_finetune
from auditor.spec.model import DataEntry, Finetune, ModelEntry
from auditor.subject import DataRef, History, ModelRef, Recipe, Runtime, Subject

ASSETS = Path(__file__).parents[2] / "specs" / "assets"
RUNTIME = Runtime(batch_size=64)


def shop(folder: Path) -> Workshop:
    return Workshop(ASSETS, Store(folder), 1, lambda text: None)


def digits(split: str, n: int | None = None) -> DataRef:
    options: dict[str, Any] = {"name": "digits", "split": split}
    if n is not None:
        options["sample"] = {"n": n, "stratify": True}
    return data.describe(DataEntry(name=split, source="sklearn", options=options), ASSETS)


def tuned(n: int | None = 64, **recipe: Any) -> ModelRef:
    parent = models.describe(ModelEntry(name="early", source="transformers", options={"path": "digits-early"}), ASSETS)
    made = Recipe(**{"steps": 4, "batch_size": 16, "record_every": 2, "seeds": 2, "keep": 2, **recipe})
    entry = ModelEntry(
        name="tuned", source="finetune",
        finetune=Finetune(parent="early", train="train", validation="test", recipe=made),
    )  # fmt: skip
    return describe_finetune(entry, parent, digits("train", n), digits("test", n))


def test_training_data_is_no_validation_data_under_another_name() -> None:
    parent = models.describe(ModelEntry(name="early", source="transformers", options={"path": "digits-early"}), ASSETS)
    settled = Finetune(parent="early", train="train", validation="same", recipe=Recipe())
    same = digits("train").model_copy(update={"name": "same"})
    with pytest.raises(SourceError, match="draws from the rows of the training data"):
        describe_finetune(ModelEntry(name="t", source="finetune", finetune=settled), parent, digits("train"), same)


def shipped() -> ModelRef:
    entry = ModelEntry(
        name="shipped", source="transformers", options={"path": "digits-shipped"},
        checkpoints="digits-shipped/ckpt/step-*.safetensors",
    )  # fmt: skip
    return models.describe(entry, ASSETS)


def test_a_recorded_run_survives_the_store_and_a_seed_is_trained_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref, made = tuned(), shop(tmp_path)
    trained: list[int] = []
    build = FineTune.build
    monkeypatch.setattr(FineTune, "build", lambda need, **up: trained.append(need.seed) or build(need, **up))
    need = Trajectories(ref, RUNTIME)
    for _ in range(2):
        assert made.make(need.needs().values() if not trained else [], lambda done, total, said="": None) == {}
        found: Trajectory = made.get(need)
    assert trained == [1, 2]
    assert [run.seed for run in found.runs] == [FineTune(ref, seed, RUNTIME).draw_seed(0) for seed in (1, 2)]
    assert found.runs[0].checkpoints == {}
    stored: Run = made.get(FineTune(ref, 1, RUNTIME))
    assert stored.checkpoint_steps == (2, 4)
    assert set(stored.weights()) == set(_module().state_dict())


def _module() -> torch.nn.Module:
    return Starting(tuned(), ASSETS, "cpu").fresh(0).module


def test_the_record_is_the_same_before_and_after_the_store(tmp_path: Path) -> None:
    need = FineTune(tuned(), 1, RUNTIME)
    fresh = need.build(**{name: shop(tmp_path).get(each) for name, each in need.needs().items()})
    back = decode(*encode(fresh), Run)
    assert back.loss.tobytes() == fresh.loss.tobytes()
    assert back.changes.quantiles.tobytes() == fresh.changes.quantiles.tobytes()
    assert {name: value.tobytes() for name, value in back.checkpoints.items()} == {
        name: value.tobytes() for name, value in fresh.checkpoints.items()
    }


def test_seeds_differ_and_a_seed_repeats_bit_for_bit(tmp_path: Path) -> None:
    made = shop(tmp_path)

    def losses(seed: int) -> bytes:
        need = FineTune(tuned(), seed, RUNTIME)
        return need.build(**{name: made.get(each) for name, each in need.needs().items()}).loss.tobytes()

    assert losses(1) == losses(1) != losses(2)


def test_a_new_head_is_drawn_from_the_seed() -> None:
    start = Starting(tuned(head=10), ASSETS, "cpu")
    first, again, other = (start.fresh(seed).module.classifier[1].weight for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("change", [{"lr": 2e-3}, {"steps": 6}, {"seeds": 3}])
def test_the_content_address_follows_the_recipe(change: dict[str, Any]) -> None:
    assert FineTune(tuned(), 1, RUNTIME).key != FineTune(tuned(**change), 1, RUNTIME).key


def test_checkpoints_give_the_changes_of_a_slow_comparison(tmp_path: Path) -> None:
    ref = shipped()
    found: Trajectory = shop(tmp_path).get(HistoryTrajectory(ref, RUNTIME))
    changes = found.changes[0]
    assert changes.steps.tolist() == [*range(0, 201, 10)]
    assert not any("running" in name for name in changes.tensors)
    from safetensors.numpy import load_file

    files = [load_file(ASSETS / file.path) for file in ref.history.files]  # type: ignore[union-attr]
    for column, name in enumerate(changes.tensors):
        for row in range(0, 20, 3):
            before, moved = files[row][name].astype(float), files[row + 1][name].astype(float) - files[row][name]
            assert changes.norm[row, column] == pytest.approx(np.linalg.norm(before), rel=1e-5)
            assert changes.change[row, column] == pytest.approx(np.linalg.norm(moved), rel=1e-4)
            assert changes.l1_change[row, column] == pytest.approx(np.abs(moved).sum(), rel=1e-4)


def test_checks_need_not_know_which_history_it_is() -> None:
    assert isinstance(trajectories_of(Subject(model=tuned())), Trajectories)
    assert isinstance(trajectories_of(Subject(model=shipped())), HistoryTrajectory)
    bare = shipped().model_copy(update={"history": None})
    with pytest.raises(NotApplicable, match="the model has no history"):
        trajectories_of(Subject(model=bare))


def test_what_a_history_lacks_is_said_with_the_line_that_records_it() -> None:
    assert missing(tuned().history, ("changes", "losses", "validation", "gradients")) is None
    assert missing(shipped().history, ("changes",)) is None
    reason = missing(shipped().history, ("losses", "validation")) or ""
    assert "does not hold losses or a validation curve" in reason
    assert "finetune: {from: MODEL" in reason
    assert "history: {checkpoints:" in (missing(None, ("changes",)) or "")
    weights = History(source="checkpoints", holds=frozenset({"weights"}))
    assert missing(weights, ("changes",)) is None


def test_a_model_that_is_no_fine_tune_cannot_be_trained() -> None:
    with pytest.raises(SourceError, match="expected a fine-tune"):
        FineTune(shipped(), 1, RUNTIME).needs()


def test_the_early_model_learns_and_the_shipped_one_has(tmp_path: Path) -> None:
    need: Need[Run] = FineTune(tuned(n=None, steps=80, batch_size=32, record_every=40, lr=4e-3), 1, RUNTIME)
    made = shop(tmp_path)
    run: Run = need.build(**{name: made.get(each) for name, each in need.needs().items()})  # type: ignore[attr-defined]
    accuracy = run.validation_correct / run.validation_rows
    assert 0.3 <= accuracy[0] <= 0.6
    assert accuracy[-1] > 0.8
    assert _accuracy(shipped(), made) >= 0.95


def _accuracy(ref: ModelRef, made: Workshop) -> float:
    from auditor.artifacts.roots import Batches, Model

    matched = labels.match(ref, digits("test"))
    loaded = made.get(Model(ref, RUNTIME))
    with torch.inference_mode():
        right = [
            (loaded.logits(batch.inputs).argmax(1) == batch.labels)
            for batch in made.get(Batches(ref, matched, RUNTIME))
        ]
    return float(torch.cat(right).float().mean())


def test_a_lost_history_bounds_what_is_better_low_and_leaves_the_rest_undecided() -> None:
    low, high = (
        Measurement(name=name, value=0.5, n=3, method="t", distribution=Moments(mean=0.5, sd=0.1, n=3))
        for name in ("rate", "score")
    )
    whole = changes(np.ones((4, 2)), np.ones((4, 2)))
    broken = changes(np.array([[1.0, 1], [1, np.nan]]), np.ones((2, 2)))
    assert Trajectory("checkpoints", (whole,)).bounded((low, high), up=("score",)) == (low, high)
    bound, bare = Trajectory("checkpoints", (broken,)).bounded((low, high), up=("score",))
    assert bound.censored and bound.distribution == low.distribution
    assert (bare.kind, bare.method, bare.censored, bare.distribution.kind) == ("unreplicated", "none", False, "none")
