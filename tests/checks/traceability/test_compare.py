"""traceability.compare: two records of one run agree to the last digits, and a layer of another rate is seen."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from descended import ASSETS, RUNTIME, digits, shipped, tuned
from histories import changes, run
from making import evidence

import auditor
from auditor.artifacts.beside import Side, Sides
from auditor.artifacts.importance import Importance
from auditor.artifacts.trajectory import Trajectory
from auditor.checks.traceability.compare import Compare
from auditor.evidence import Evidence, Measurement, Moments
from auditor.sources import labels, models
from auditor.spec.model import ModelEntry
from auditor.subject import Subject

NAMES = ("a.weight", "b.weight", "c.weight")


def history(fast: float = 1.0, noise: float = 0.0, seed: int = 0, lr: float = 1e-3):  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(seed)
    moved = 0.01 * np.array([[1.0, 1.0, fast]]) * np.exp(noise * rng.normal(size=(10, 3)))
    return replace(changes(moved, np.ones((10, 3)), lr=lr), tensors=NAMES)


def importance(share: float = 0.2, scale: float = 1.0) -> Importance:
    told = share + 0.01 * np.random.default_rng(0).normal(size=32)
    return Importance(
        tensors=NAMES, sizes=(4, 4, 4), total=np.array([3.0, 2.0, 1.0]) * scale, first=np.ones(3), gini=0.5,
        effective_share=share, gini_told=told, effective_told=told, read=20, lorenz=np.zeros((2, 2)), examples=64,
        is_grouped=False,
    )  # fmt: skip


def side(name: str, count: int = 0, weighed: Importance | None = None, **given: Any) -> Side:
    """A history on disk, or `count` seeds of a fine-tune."""
    parts = tuple(history(**{"seed": seed, **given}) for seed in range(max(1, count)))
    runs = tuple(run(changes=part) for part in parts) if count else ()
    found = Trajectory("finetune" if count else "checkpoints", parts, runs)
    return Side(name, found, weighed, "" if weighed else "it needs data")


def compared(*sides: Side, **given: Any) -> Evidence:
    return Compare(**given).measure(sides=Sides(sides))


def by(found: Evidence) -> dict[str, Measurement]:
    return {f"{one.name} {one.of}".strip(): one for one in found.measurements}


def test_two_records_of_one_run_agree_exactly() -> None:
    found = compared(side("trace", weighed=importance()), side("checkpoints", weighed=importance()))
    assert {one.kind for one in found.measurements} == {"exact"}
    assert all(one.value <= 1e-5 for one in found.measurements)
    assert set(by(found)) == {f"rate_difference {name}" for name in NAMES} | {"score_difference"}
    assert [block.kind for block in found.blocks] == ["lines", "table"]


def test_a_layer_twice_as_fast_is_seen_and_named() -> None:
    found = by(compared(side("a"), side("b", fast=2.0)))
    assert found["rate_difference c.weight"].value == pytest.approx(0.5)
    assert found["rate_difference a.weight"].value == 0
    assert found == by(compared(side("b", fast=2.0), side("a")))  # absolute: the sides may be exchanged


def test_a_layer_that_never_moves_on_both_sides_differs_by_nothing_and_on_one_by_all() -> None:
    both = by(compared(side("a", fast=0.0), side("b", fast=0.0)))
    one = by(compared(side("a"), side("b", fast=0.0)))
    assert (both["rate_difference c.weight"].value, one["rate_difference c.weight"].value) == (0.0, 1.0)


def test_seeds_give_welchs_interval_and_one_seed_decides_nothing() -> None:
    many = by(compared(side("a", 5, noise=0.1), side("b", 5, noise=0.1, fast=2.0)))["rate_difference c.weight"]
    assert (many.kind, many.unit_of_resampling) == ("sampled", "seed")
    assert isinstance(many.distribution, Moments) and many.distribution.n >= 5
    assert many.value == pytest.approx(0.5, abs=0.05)
    assert {one.kind for one in compared(side("a", 1), side("b", 5)).measurements} == {"unreplicated"}
    given = by(compared(side("a"), side("b", 5, noise=0.1)))["rate_difference a.weight"]
    assert isinstance(given.distribution, Moments) and given.distribution.n == 5


def test_scores_of_unlike_importance_carry_the_error_of_the_examples() -> None:
    found = by(compared(side("a", weighed=importance(0.2)), side("b", weighed=importance(0.6, 2.0))))
    one = found["score_difference"]
    assert one.value == pytest.approx(0.5 * 0.4)
    assert (one.kind, one.unit_of_resampling, one.n) == ("sampled", "example", 32)
    alone = by(compared(side("a", weighed=importance(0.2)), side("b", weighed=importance(0.6, 2.0)), alpha=1.0))
    assert alone["score_difference"].kind == "exact"


def test_without_importance_rates_are_compared_and_the_rest_is_said() -> None:
    found = compared(side("a"), side("b"))
    assert "score_difference" not in by(found)
    assert any("score_difference between a and b is not measured: it needs data" in note for note in found.notes)


def test_several_others_are_told_apart_and_a_short_one_is_said() -> None:
    short = Side("c", Trajectory("checkpoints", (changes([[1.0]], [[1.0]]),)), None)
    found = compared(side("a"), side("b", fast=2.0), short)
    assert "rate_difference c.weight, b" in by(found)
    assert any("a and c are not compared" in note for note in found.notes)


def test_the_shipped_network_and_itself_under_another_name(tmp_path: Path) -> None:
    ref = shipped()
    entry = ModelEntry(name="twin", source="transformers", options={"path": "digits-shipped"},
                       checkpoints="digits-shipped/ckpt/step-*.safetensors")  # fmt: skip
    twin = models.describe(entry, ASSETS)
    other = tuned(steps=12, record_every=3, seeds=1)
    data = labels.match(ref, digits("test", 32))
    same = Subject(model=ref, data=data, against=(twin,), runtime=RUNTIME)
    found = evidence(Compare(rows=8), same, ASSETS)
    assert all(one.value == 0 for one in found.measurements) and "score_difference" in by(found)
    far = evidence(Compare(rows=8), same.model_copy(update={"against": (other,)}), ASSETS)
    assert max(one.value for one in far.measurements if one.name == "rate_difference") > 0.1
    assert any("divided by the steps" in note for note in far.notes)


def test_what_lacks_is_said_with_the_line_that_adds_it() -> None:
    ref = shipped()
    assert "against: [MODEL]" in (Compare().applies(Subject(model=ref)) or "")
    bare = ref.model_copy(update={"name": "bare", "history": None})
    assert "bare: the model has no history; record one" in (
        Compare().applies(Subject(model=ref, against=(bare,))) or ""
    )
    assert Compare().applies(Subject(model=ref, against=(ref,))) is None


def recorded(root: Path) -> None:
    """The shipped network trained on with a falling learning rate, recorded in a trace and saved at each record."""
    from safetensors.torch import save_file
    from sklearn.datasets import load_digits
    from transformers import AutoModelForImageClassification

    folder = root / "net"
    net = AutoModelForImageClassification.from_pretrained(ASSETS / "digits-shipped")
    pixels, truth = load_digits(return_X_y=True)
    inputs, classes = torch.tensor(pixels[:256], dtype=torch.float32).view(-1, 1, 8, 8) / 16, torch.tensor(truth[:256])
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 40)
    (root / "ckpt").mkdir()
    save_file(net.state_dict(), root / "ckpt" / "step-0.safetensors")
    net.train()
    with auditor.record(net, optimizer, root / "train.trace", every=5, dense=0) as recorder:
        for step in range(1, 41):
            rows = slice(32 * (step % 8), 32 * (step % 8) + 32)
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(net(inputs[rows]).logits, classes[rows])
            loss.backward()
            optimizer.step()
            recorder.step(loss=loss)
            schedule.step()
            if step % 5 == 0:
                save_file(net.state_dict(), root / "ckpt" / f"step-{step}.safetensors")
    net.save_pretrained(folder)
    for file in (ASSETS / "digits-shipped").glob("preprocessor*.json"):
        (folder / file.name).write_bytes(file.read_bytes())


def test_a_trace_and_the_checkpoints_of_one_run_agree_within_a_hundred_thousandth(tmp_path: Path) -> None:
    recorded(tmp_path)
    given = {"source": "transformers", "options": {"path": "net"}}
    trace = models.describe(ModelEntry(name="traced", trace="train.trace", **given), tmp_path)
    saved = models.describe(ModelEntry(name="saved", checkpoints="ckpt/step-*.safetensors", **given), tmp_path)
    subject = Subject(model=trace, data=labels.match(trace, digits("test", 32)), against=(saved,), runtime=RUNTIME)
    found = evidence(Compare(rows=8), subject, tmp_path)
    assert "score_difference" in by(found) and len(found.measurements) > 5
    assert {one.kind for one in found.measurements} == {"exact"}
    assert max(one.value for one in found.measurements) <= 1e-5
    assert any("Learning rates are not known on both sides" in note for note in found.notes)
