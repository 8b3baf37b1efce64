"""Histories from three places: one run recorded in a trace and saved as checkpoints gives the same numbers."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import auditor
from auditor.artifacts.buffers import named_in
from auditor.artifacts.recorded import HistoryTrajectory
from auditor.artifacts.stages import stages_of
from auditor.artifacts.trajectory import Trajectory, missing, trajectories_of
from auditor.checks.traceability.change_rate import ChangeRate
from auditor.errors import NotApplicable, SourceError
from auditor.evidence import Evidence
from auditor.execute.codec import decode, encode
from auditor.methods.training.rates import usual
from auditor.recorder.reading import read
from auditor.sources.digest import file_ref
from auditor.sources.models.histories import with_history
from auditor.sources.models.opened import opened
from auditor.spec.model import ModelEntry
from auditor.subject import FileRef, ModelRef, Runtime, Subject


class Net(nn.Module):
    """A tied embedding, a norm with buffers, a zero bias, a frozen part, and a bias that never gets a gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(300, 16)
        self.mix = nn.Linear(16, 16)
        self.norm = nn.BatchNorm1d(16)
        self.frozen = nn.Linear(16, 16).requires_grad_(False)
        self.key_bias = nn.Parameter(torch.zeros(16))
        self.out = nn.Linear(16, 300)
        self.out.weight = self.embed.weight
        nn.init.zeros_(self.out.bias)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        hidden = self.norm(torch.tanh(self.frozen(self.mix(self.embed(tokens)))))
        return self.out(hidden) + 0.0 * self.key_bias.sum()


def trained(folder: Path, steps: int = 60, every: int = 5, **given: Any) -> Net:
    """Trained for some steps, recorded, and saved at each record: the safetensors files hold all names of a state."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = Net()
        tokens = torch.randint(0, 300, (steps, 32))
    optimizer = torch.optim.Adam([each for each in net.parameters() if each.requires_grad], lr=1e-2)
    (folder / "ckpt").mkdir(parents=True)
    with auditor.record(net, optimizer, folder / "train.trace", every=every, **{"dense": 0, **given}) as recorder:
        _save(net, folder, 0)
        for step, batch in enumerate(tokens, 1):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(batch), (batch * 7) % 300)
            loss.backward()
            optimizer.step()
            recorder.step(loss=loss, metrics={"val_loss": 1 / step})
            if step % every == 0 or step <= given.get("dense", 0):
                _save(net, folder, step)
    _save(net, folder, None)
    return net


def _save(net: Net, folder: Path, step: int | None) -> None:
    state = {name: value.clone() for name, value in net.state_dict().items()}
    save_file(state, folder / ("model.safetensors" if step is None else f"ckpt/step-{step:03d}.safetensors"))


def bare(folder: Path) -> ModelRef:
    return ModelRef(
        digest="", name="m", source="factory", entry={}, architecture="Net", modality="text",
        files=(file_ref(folder / "model.safetensors", "model.safetensors"),),
    )  # fmt: skip


def described(folder: Path, **history: str) -> ModelRef:
    return with_history(bare(folder), ModelEntry(name="m", source="factory", **history), folder)


def trajectory(folder: Path, **history: str) -> Trajectory:
    need = HistoryTrajectory(described(folder, **history), Runtime())
    history: Any = need.needs()["history"]
    found = need.build(history=history.load(folder), buffers=named_in(Net()))
    assert decode(*encode(found), Trajectory).source == found.source
    return found


def value(evidence: Evidence, name: str) -> float:
    return next(found.value for found in evidence.measurements if found.name == name)


CKPT = "ckpt/step-*.safetensors"


@pytest.mark.parametrize("dense", [0, 4])
def test_a_trace_and_checkpoints_of_one_run_give_the_same_numbers(tmp_path: Path, dense: int) -> None:
    trained(tmp_path, dense=dense)
    traced, saved = trajectory(tmp_path, trace="train.trace"), trajectory(tmp_path, checkpoints=CKPT)
    one, two = traced.changes[0], saved.changes[0]
    assert one.steps.tolist() == two.steps.tolist()
    assert set(one.tensors) == set(two.tensors)
    order = [two.tensors.index(name) for name in one.tensors]
    for name in ("norm", "change", "l1_norm", "l1_change", "elementwise", "quantiles"):
        np.testing.assert_allclose(getattr(one, name), getattr(two, name)[:, order], rtol=1e-5, atol=1e-12)
    scale = np.abs(two.projection).max()
    np.testing.assert_allclose(one.projection, two.projection, rtol=1e-5, atol=1e-6 * scale)
    for kind in ("l2", "l1", "elementwise"):
        rates = [ChangeRate(kind=kind).measure(trajectory=found) for found in (traced, saved)]
        for name in ("change_rate", "change_rate_p95", "early_rate_ratio", "final_to_peak"):
            assert value(rates[0], name) == pytest.approx(value(rates[1], name), rel=1e-5)


def test_the_order_numbers_of_both_are_the_same(tmp_path: Path) -> None:
    trained(tmp_path)
    paths = [
        np.cumsum(trajectory(tmp_path, **where).changes[0].projection, axis=0)
        for where in ({"trace": "train.trace"}, {"checkpoints": CKPT})
    ]
    spread = [np.linalg.norm(path[:, None] - path[None], axis=2) for path in paths]
    np.testing.assert_allclose(spread[0], spread[1], rtol=1e-5, atol=1e-6 * spread[0].max())


def test_tied_weights_count_once_and_untouched_biases_are_not_tied(tmp_path: Path) -> None:
    trained(tmp_path)
    found = trajectory(tmp_path, checkpoints=CKPT)
    assert "embed.weight" in found.changes[0].tensors and "out.weight" not in found.changes[0].tensors
    assert "key_bias" in found.changes[0].tensors  # as constant as nothing else, but not tied
    assert not any("running" in name for name in found.changes[0].tensors)
    assert any("count once: pair out.weight and embed.weight" in note for note in found.remarks())


def test_a_trace_brings_losses_learning_rates_and_gradients(tmp_path: Path) -> None:
    trained(tmp_path)
    found = trajectory(tmp_path, trace="train.trace")
    series = found.curves[0].series
    assert set(series) == {"loss", "lr", "gradient_norm", "validation_loss"}
    assert series["loss"].steps.tolist() == list(range(1, 61))
    assert found.changes[0].lr == pytest.approx(1e-2)
    assert found.curves[0].gradient.shape == found.changes[0].change.shape
    ref = described(tmp_path, trace="train.trace")
    assert ref.history is not None
    assert ref.history.holds == {"changes", "losses", "gradients", "learning_rates", "validation"}
    assert missing(ref.history, ("losses", "changes")) is None
    assert "weights" in (missing(ref.history, ("weights",)) or "")
    with pytest.raises(NotApplicable, match="does not hold weights"):
        stages_of(Subject(model=ref))
    assert isinstance(trajectories_of(Subject(model=ref)), HistoryTrajectory)


def test_a_cosine_schedule_of_a_trace_is_no_instability(tmp_path: Path) -> None:
    """The rate falls a hundredfold with the learning rate; divided by it, it is steady."""
    net = nn.Linear(4, 4, bias=False)
    nn.init.constant_(net.weight, 100.0)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 100, eta_min=1e-3)
    with auditor.record(net, optimizer, tmp_path / "train.trace", every=5, dense=0) as recorder:
        for _ in range(100):
            net.weight.grad = torch.ones_like(net.weight)
            optimizer.step()
            recorder.step()
            schedule.step()
    save_file(net.state_dict(), tmp_path / "model.safetensors")
    found = trajectory(tmp_path, trace="train.trace")
    unknown = replace(found, changes=(replace(found.changes[0], lr=np.full(20, np.nan)),))
    numbers = [value(ChangeRate(kind="l1").measure(trajectory=each), "stability") for each in (found, unknown)]
    assert numbers[0] < 0.02 < 0.4 < numbers[1]
    evidence = ChangeRate().measure(trajectory=found)
    assert {measured.kind for measured in evidence.measurements} == {"exact"}


def test_a_resumed_trace_says_where_and_how(tmp_path: Path) -> None:
    net = nn.Linear(8, 8)
    for start, held in ((0, True), (23, False)):
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        with auditor.record(net, optimizer, tmp_path / "train.trace", every=5, dense=0, start=start) as recorder:
            for _ in range(23 if held else 37):
                net.zero_grad()
                net(torch.ones(2, 8)).square().mean().backward()
                optimizer.step()
                recorder.step()
        if start == 0:  # the last record is at 20: what came after it was lost
            whole = (tmp_path / "train.trace").read_bytes()
            kept = read(tmp_path / "train.trace").steps.tolist()
            assert kept[-2:] == [20, 23] and whole
    save_file(net.state_dict(), tmp_path / "model.safetensors")
    found = trajectory(tmp_path, trace="train.trace")
    assert (found.resumed, found.cold) == ((23,), (23,))
    changes = found.changes[0]
    assert changes.steps.tolist() == [0, 5, 10, 15, 20, 23, 25, 30, 35, 40, 45, 50, 55, 60]
    assert [int(step) for step in changes.steps[1:][~usual(changes)]] == [25]
    notes = " ".join(found.remarks())
    assert "The optimizer held no state of earlier steps after step 23: changes may jump there." in notes
    assert "The spacing is uneven: interval 23 to 25 are of another length" in notes


def test_a_gap_before_a_resume_is_no_interval(tmp_path: Path) -> None:
    net = nn.Linear(8, 8)
    for start in (0, 34):
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        with auditor.record(net, optimizer, tmp_path / "train.trace", every=10, dense=0, start=start) as recorder:
            for _ in range(30 if start == 0 else 66):
                net.weight.grad = torch.ones_like(net.weight)
                net.bias.grad = torch.ones_like(net.bias)
                optimizer.step()
                recorder.step()
    save_file(net.state_dict(), tmp_path / "model.safetensors")
    found = trajectory(tmp_path, trace="train.trace")
    changes = found.changes[0]
    assert changes.steps.tolist() == [0, 10, 20, 30, 50, 60, 70, 80, 90, 100]
    lengths = changes.change[:, 0] / 0.8  # each step moves all 64 elements by 0.1
    np.testing.assert_allclose(lengths[usual(changes)], 10, rtol=1e-4)
    assert "What happened around resumes, stretch 30 to 40, was not recorded." in found.remarks()


def test_a_torn_trace_is_read_up_to_its_last_record_and_says_so(tmp_path: Path) -> None:
    trained(tmp_path)
    path = tmp_path / "train.trace"
    path.write_bytes(path.read_bytes()[:-100])
    found = trajectory(tmp_path, trace="train.trace")
    assert found.changes[0].steps[-1] == 55
    assert any("it is read up to its last whole one" in note for note in found.remarks())


def test_a_file_that_is_no_trace(tmp_path: Path) -> None:
    trained(tmp_path)
    (tmp_path / "notes.txt").write_text("loss 0.1\n" * 100)
    with pytest.raises(SourceError, match=r"models\.m\.history\.trace: .*notes\.txt.*trace") as caught:
        described(tmp_path, trace="notes.txt")
    assert caught.value.hint == "name the file that auditor.record wrote"


def test_a_trace_of_another_model_lists_both_sides(tmp_path: Path) -> None:
    trained(tmp_path)
    save_file({"head.weight": torch.ones(3, 16), "mix.weight": torch.ones(8, 8)}, tmp_path / "model.safetensors")
    with pytest.raises(SourceError, match="the trace is of another model than m") as caught:
        described(tmp_path, trace="train.trace")
    assert "of another size: mix.weight 256 instead of 64 (1)" in str(caught.value)
    assert "only in the trace: embed.weight" in str(caught.value) and "only in m: head.weight (1)" in str(caught.value)


def test_a_trace_without_records(tmp_path: Path) -> None:
    net = nn.Linear(2, 2)
    with auditor.record(net, None, tmp_path / "train.trace"):
        pass
    save_file(net.state_dict(), tmp_path / "model.safetensors")
    with pytest.raises(SourceError, match="holds no record"):
        described(tmp_path, trace="train.trace")


def test_a_wrapped_model_and_adapters_in_a_trace_go_by_the_models_names(tmp_path: Path) -> None:
    class Adapted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.base_layer, self.lora_A = nn.Linear(4, 4), nn.Linear(4, 2, bias=False)

    net = nn.ModuleDict({"base_model": nn.ModuleDict({"model": nn.ModuleDict({"fc": Adapted()})})})
    with auditor.record(net, None, tmp_path / "train.trace", every=1) as recorder:
        for _ in range(3):
            with torch.no_grad():
                net["base_model"]["model"]["fc"].lora_A.weight.add_(0.1)  # type: ignore[index, union-attr, operator]
            recorder.step()
    save_file({"fc.weight": torch.ones(4, 4), "fc.bias": torch.ones(4)}, tmp_path / "model.safetensors")
    changes = trajectory(tmp_path, trace="train.trace").changes[0]
    assert changes.tensors == ("fc.weight", "fc.bias", "fc.lora_A.weight")


def test_snapshots_of_a_trace_are_stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = trained(tmp_path, snapshots=10_000_000)
    ref = described(tmp_path, trace="train.trace")
    assert ref.history is not None and "weights" in ref.history.holds
    assert ref.history.steps[0] == 0 and ref.history.steps[-1] == 60
    _stages_are(ref, tmp_path, net, monkeypatch)


def test_checkpoints_without_tied_names_fill_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = trained(tmp_path)
    from safetensors.torch import load_file

    for path in (tmp_path / "ckpt").iterdir():
        save_file({f"module.{k}": v for k, v in load_file(path).items() if k != "out.weight"}, path)
    _stages_are(described(tmp_path, checkpoints=CKPT), tmp_path, net, monkeypatch)


def _stages_are(ref: ModelRef, folder: Path, last: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    from auditor.sources import models
    from auditor.sources.models.loaded import ready

    monkeypatch.setattr(models, "load", lambda ref, root, device: ready(ref, Net(), device))
    need: Any = stages_of(Subject(model=ref))
    stages = need.load(folder)
    found = [(step, {k: v.clone() for k, v in model.module.state_dict().items()}) for step, model in stages.models()]
    assert [step for step, _ in found] == list(stages.steps)
    assert all(torch.equal(value, found[-1][1][name]) for name, value in last.state_dict().items())
    assert not torch.equal(found[0][1]["mix.weight"], found[1][1]["mix.weight"])
    (folder / ref.history.files[0].path).write_bytes(b"")  # type: ignore[union-attr]
    with pytest.raises(SourceError, match="changed since the audit described it"):
        next(stages.models())


def test_a_history_that_went_away_is_said(tmp_path: Path) -> None:
    trained(tmp_path)
    ref = described(tmp_path, trace="train.trace")
    (tmp_path / "train.trace").unlink()
    with pytest.raises(SourceError, match=r"train\.trace: not found below the audit's root"):
        opened(ref, tmp_path)
    assert isinstance(ref.history.record[0], FileRef)  # type: ignore[union-attr]


def watched(folder: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder / "runs" / "a")) as writer:
        for step in range(5):
            writer.add_scalar("train/loss", 2.0 - step / 4, step)
            writer.add_scalar("eval/loss", 2.5 - step / 4, step)
            writer.add_scalar("lr", 0.1, step)
            writer.add_scalar("f1", 0.5, step)
            writer.add_histogram("mix.weight", np.full(9, step + 1.0), step)


def test_event_files_bring_curves_and_no_changes(tmp_path: Path) -> None:
    trained(tmp_path, steps=5)
    watched(tmp_path)
    ref = described(tmp_path, tensorboard="runs")
    assert ref.history is not None
    assert ref.history.holds == {"losses", "learning_rates", "validation"}
    assert ChangeRate().applies(Subject(model=ref)) == (
        "its history (source tensorboard) does not hold changes of the weights; record them: models: {NAME: {finetune: "
        "{from: MODEL, data: TRAIN, validation: EVAL, steps: 200, seeds: 5}}} or history: {trace: train.trace}, "
        "written by auditor.record in the training loop"
    )
    found = trajectory(tmp_path, tensorboard="runs")
    assert found.changes == () and found.remarks() == ()
    series = found.curves[0].series
    assert set(series) == {"loss", "validation_loss", "lr", "metric/f1", "norm/mix.weight"}
    assert series["norm/mix.weight"].values.tolist() == pytest.approx([3.0, 6.0, 9.0, 12.0, 15.0])
    single = next((tmp_path / "runs" / "a").iterdir()).relative_to(tmp_path)
    assert trajectory(tmp_path, tensorboard=str(single)).curves[0].series.keys() == series.keys()


def test_an_event_folder_without_events(tmp_path: Path) -> None:
    trained(tmp_path, steps=5)
    (tmp_path / "runs").mkdir()
    with pytest.raises(SourceError, match=r"models\.m\.history\.tensorboard: no event files below runs"):
        described(tmp_path, tensorboard="runs")
    (tmp_path / "runs/events.out.tfevents.1").write_bytes(b"")
    with pytest.raises(SourceError, match="holds no events"):
        described(tmp_path, tensorboard="runs")
