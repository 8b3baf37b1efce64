"""What a recorded run leaves: the facts of each step, whatever the run does; wrong use is told."""

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from loops import adam, made, perceptron, recorded
from safetensors.torch import load_file
from torch import nn

import auditor
from auditor.recorder.journal import RecordingWarning
from auditor.recorder.reading import read
from auditor.recorder.record import Recorder
from auditor.recorder.watch import Watch


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "train.trace"


def test_a_run_is_recorded_densely_at_first_then_at_its_interval(path: Path) -> None:
    recorded(path, 37, every=10, dense=3)
    trace = read(path)
    assert trace.steps.tolist() == [1, 2, 3, 10, 20, 30, 37] and trace.begins.tolist() == [0, 1, 2, 3, 10, 20, 30]
    assert trace.loss.steps.tolist() == list(range(1, 38)) and np.isfinite(trace.loss.values).all()
    assert trace.metrics["half"].steps.tolist() == list(range(1, 38, 3))
    assert trace.metrics["half"].values[1] == 1.5
    assert trace.tensors == ("0.weight", "0.bias", "2.weight", "2.bias") and trace.dims.tolist() == [2, 1, 2, 1]
    assert trace.trained.all() and (trace.gradient > 0).all() and not trace.torn and trace.snapshots == ()
    assert trace.lr.tolist() == [[0.01]] * 7 and trace.lr_mean == pytest.approx(trace.lr)
    assert (trace.resolution == 0).all()


def test_it_agrees_with_a_watch_beside_it(path: Path) -> None:
    net = perceptron()
    optimizer, draw, beside = adam(net), torch.Generator().manual_seed(0), []
    watch = Watch(dict(net.named_parameters()))
    with auditor.record(net, optimizer, path, every=1) as recorder:
        for _ in range(5):
            recorder.step(made(net, optimizer, draw))
            beside.append(watch.mark())
    trace = read(path)
    for name in ("norm", "change", "l1_norm", "l1_change", "elementwise", "quantiles", "projection"):
        assert (getattr(trace, name) == np.array([getattr(moved, name) for moved in beside])).all(), name


def test_gradient_descent_on_a_quadratic_has_its_closed_form(path: Path) -> None:
    """On a quadratic of curvature h the weight shrinks by 1 - lr h a step: so does every change, of rate lr h."""
    net, lr, h = nn.Linear(4, 1, bias=False), 0.1, 2.0
    optimizer = torch.optim.SGD(net.parameters(), lr=lr)
    with auditor.record(net, optimizer, path, every=5, dense=2) as recorder:
        for _ in range(20):
            optimizer.zero_grad()
            (h / 2 * net.weight.square().sum()).backward()
            optimizer.step()
            recorder.step()
    trace = read(path)
    gone = trace.steps - trace.begins
    assert (trace.change / trace.norm)[:, 0] == pytest.approx(1 - (1 - lr * h) ** gone, rel=1e-5)
    assert trace.elementwise[:, 0] == pytest.approx(1 - (1 - lr * h) ** gone, rel=1e-4)
    last = trace.norm[:, 0] * (1 - lr * h) ** (gone - 1)
    assert trace.gradient[:, 0] == pytest.approx(h * last, rel=1e-5)
    assert np.linalg.norm(trace.projection, axis=1) == pytest.approx(trace.change[:, 0], rel=0.5)


@pytest.mark.parametrize("to_none", [True, False])
def test_cleared_gradients_are_unknown_never_zero(path: Path, to_none: bool) -> None:
    net = perceptron()
    optimizer, draw = adam(net), torch.Generator().manual_seed(0)
    with auditor.record(net, optimizer, path) as recorder:
        made(net, optimizer, draw)
        optimizer.zero_grad(set_to_none=to_none)
        recorder.step()
    assert np.isnan(read(path).gradient).all() and (read(path).change > 0).all()


def test_frozen_tied_and_empty_parameters(path: Path) -> None:
    net = nn.ModuleDict({"one": nn.Linear(4, 4), "two": nn.Linear(4, 4), "norm": nn.BatchNorm1d(4)})
    net["two"].weight = net["one"].weight
    net["one"].bias.requires_grad_(False)
    net.register_parameter("none", nn.Parameter(torch.zeros(0)))
    optimizer = torch.optim.SGD([{"params": [net["one"].weight]}, {"params": [net["two"].bias], "lr": 0.5}], lr=0.1)
    with auditor.record(net, optimizer, path) as recorder:
        net["two"](net["one"](torch.ones(2, 4))).square().sum().backward()
        optimizer.step()
        recorder.step()
    trace = read(path)
    assert trace.tensors == ("one.weight", "one.bias", "two.bias", "norm.weight", "norm.bias")
    assert trace.trained.tolist() == [True, False, True, True, True]
    assert trace.change[0, 1] == 0 and np.isnan(trace.gradient[0, [1, 3, 4]]).all()
    assert trace.segments[0].groups.tolist() == [0, -1, 1, -1, -1]
    assert trace.lr.tolist() == [[0.1, 0.5]]
    assert trace.tensor_lr[0] == pytest.approx([0.1, np.nan, 0.5, np.nan, np.nan], nan_ok=True)


def test_what_is_unfrozen_later_counts_as_trained_and_joins_a_group(path: Path) -> None:
    net = perceptron()
    net[0].requires_grad_(False)
    optimizer, draw = torch.optim.SGD(net[2].parameters(), lr=0.1), torch.Generator().manual_seed(0)
    with auditor.record(net, optimizer, path, every=2, dense=0) as recorder:
        for step in range(6):
            if step == 3:
                net[0].requires_grad_(True)
                optimizer.add_param_group({"params": list(net[0].parameters()), "lr": 0.01})
            made(net, optimizer, draw)
            recorder.step()
    trace = read(path)
    assert trace.trained.all() and trace.begins.tolist() == [0, 2, 4]
    assert [segment.groups.tolist() for segment in trace.segments] == [[-1, -1, 0, 0], [1, 1, 0, 0]]
    assert trace.lr[:, 1] == pytest.approx([np.nan, np.nan, 0.01], nan_ok=True)


def test_double_precision_is_followed_as_it_is(path: Path) -> None:
    net = nn.Linear(60, 60).double()
    with auditor.record(net, None, path) as recorder:
        net(torch.ones(2, 60).double()).sum().backward()
        with torch.no_grad():
            net.weight.add_(1e-12)
        recorder.step()
    trace = read(path)
    assert trace.change[0, 0] == pytest.approx(60e-12, rel=1e-3) and trace.gradient[0, 0] == pytest.approx(120)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_says_what_it_can_resolve(path: Path, dtype: str) -> None:
    net = perceptron().to(getattr(torch, dtype))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with auditor.record(net, optimizer, path) as recorder:
        net(torch.ones(2, 5, dtype=getattr(torch, dtype))).square().sum().backward()
        optimizer.step()
        recorder.step()
    trace = read(path)
    eps = torch.finfo(getattr(torch, dtype)).eps
    assert trace.resolution == pytest.approx(trace.norm * eps / 6**0.5)
    assert np.isfinite(trace.gradient).all() and set(trace.dtypes) == {"BF16" if dtype == "bfloat16" else "F16"}


def test_resolution_is_the_change_that_rounding_gives() -> None:
    draw = torch.Generator().manual_seed(0)
    values = 1 + torch.rand(100_000, generator=draw)  # all in one binade, where the bound is widest at 1
    gone = torch.rand(100_000, generator=draw) * 1e-9
    rounded = (values + gone + torch.rand(100_000, generator=draw) * 0.1).bfloat16().float() - values
    assert float((values.bfloat16().float() - values).norm() * 2**0.5) <= float(values.norm()) * 2**-7 / 6**0.5
    assert rounded.isfinite().all()


def test_numbers_that_are_not_finite_are_recorded_as_they_are(path: Path) -> None:
    net = perceptron()
    with auditor.record(net, None, path) as recorder:
        recorder.step(torch.tensor(float("nan")), {"a": float("inf")})
        with torch.no_grad():
            net[0].weight[0, 0] = float("nan")
        recorder.step(float("-inf"))
    trace = read(path)
    assert np.isnan(trace.loss.values[0]) and trace.loss.values[1] == -np.inf
    assert trace.metrics["a"].values.tolist() == [np.inf]
    assert np.isnan(trace.change[1, 0]) and trace.change[1, 1] == 0 and np.isnan(trace.lr).all()
    assert trace.segments[0].optimizer_state is None


def test_a_resumed_run_goes_on_and_says_whether_its_optimizer_knew_the_past(path: Path) -> None:
    net = recorded(path, 12, every=4, dense=0)
    recorded(path, 8, net, every=4, dense=0)
    trace = read(path)
    assert trace.steps.tolist() == [4, 8, 12, 16, 20] and trace.begins.tolist() == [0, 4, 8, 12, 16]
    assert [(s.start, s.first, s.optimizer_state) for s in trace.segments] == [(0, 0, False), (12, 3, False)]
    recorded(path, 5, net, every=4, dense=0, start=14)
    trace = read(path)
    assert trace.steps.tolist() == [4, 8, 12, 16, 19] and trace.begins.tolist() == [0, 4, 8, 14, 16]
    assert trace.segments[2].abandoned == 2 and trace.loss.steps.tolist() == list(range(1, 20))
    assert (np.diff(trace.metrics["half"].steps) > 0).all()


def test_weights_edited_between_recordings_are_no_interval(path: Path) -> None:
    net = recorded(path, 4)
    with torch.no_grad():
        net.get_parameter("0.weight").add_(100)
    recorded(path, 4, net)
    assert read(path).change.max() < 1


def test_a_record_has_its_budget(path: Path) -> None:
    net = nn.Sequential(*(nn.Linear(3, 3) for _ in range(40)))
    with auditor.record(net, adam(net), path, every=10, dense=0) as recorder:
        before = path.stat().st_size
        for step in range(100):
            recorder.step(torch.tensor(0.5), {"accuracy": 0.5} if step % 10 == 0 else None)
    assert (path.stat().st_size - before) / 10 <= 5_000 + 200 * 80


def test_a_step_between_records_reads_no_tensor(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net, marks = perceptron(), []
    recorder = auditor.record(net, adam(net), path, every=100, dense=0)
    monkeypatch.setattr(recorder.watch, "mark", lambda: marks.append(recorder.at))
    written = path.stat().st_size
    for _ in range(99):
        recorder.step(torch.tensor(1.0))
    assert marks == [] and path.stat().st_size == written
    monkeypatch.undo()
    recorder.close()


def test_many_losses_between_records_do_not_pile_up(path: Path) -> None:
    with auditor.record(perceptron(), None, path, every=10_000, dense=0) as recorder:
        for step in range(1000):
            recorder.step(float(step))
            assert len(recorder.losses) <= 128
    assert read(path).loss.values.tolist() == [float(step) for step in range(1000)]


def test_snapshots_are_whole_states_within_their_budget(path: Path) -> None:
    net = recorded(path, 100, every=5, dense=0, snapshots=4000)
    trace = read(path)
    steps = [snapshot.step for snapshot in trace.snapshots]
    assert steps[0] == 0 and steps[-1] == 100 and np.ptp(np.diff(steps)[:-1]) == 0 and len(steps) >= 4
    folder = path.with_name("train.trace.weights")
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 4000
    last = load_file(trace.snapshots[-1].path)
    assert all((last[name] == value).all() for name, value in net.state_dict().items())
    assert trace.snapshots[0].path.name == "step-00000000.safetensors"


def test_snapshots_hold_buffers_ties_and_halves(path: Path) -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4)).to(torch.bfloat16)
    net[2].weight = net[0].weight
    with auditor.record(net, None, path, snapshots=10_000) as recorder:
        recorder.step()
    state = load_file(read(path).snapshots[-1].path)
    assert set(state) == set(net.state_dict()) and state["0.weight"].dtype == torch.float32
    assert state["1.num_batches_tracked"].dtype == torch.int64


def test_resuming_forgets_the_snapshots_of_what_it_abandons(path: Path) -> None:
    net = recorded(path, 20, every=5, snapshots=100_000)
    recorded(path, 3, net, every=5, snapshots=100_000, start=10)
    assert [snapshot.step for snapshot in read(path).snapshots] == [0, 5, 10, 13]


class Full:
    """A disk that is full for some writes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full, write = False, os.write

        def written(descriptor: int, data: Any) -> int:
            if self.full and len(data) > 5:
                return write(descriptor, bytes(data[:5]))  # what a disk does before it refuses
            if self.full:
                raise OSError(28, "No space left on device")
            return write(descriptor, data)

        monkeypatch.setattr(os, "write", written)


def test_a_full_disk_warns_and_what_was_missed_comes_later(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Full(monkeypatch)
    with auditor.record(perceptron(), None, path, every=1) as recorder:
        recorder.step()
        disk.full = True
        with pytest.warns(RecordingWarning, match="No space left on device.*the training goes on"):
            recorder.step()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            recorder.step(1.5)  # said once
        assert read(path).steps.tolist() == [1] and not read(path).torn
        disk.full = False
        recorder.step()
    assert read(path).steps.tolist() == [1, 2, 3, 4] and read(path).loss.values.tolist() == [1.5]


def test_a_disk_that_stays_full_leaves_the_trace_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Full(monkeypatch)
    with pytest.warns(RecordingWarning), auditor.record(perceptron(), None, path, every=1) as recorder:
        recorder.step()
        disk.full = True
        recorder.step()
    assert read(path).steps.tolist() == [1] and not read(path).torn


def closed(path: Path) -> Recorder:
    recorder: Recorder = auditor.record(perceptron(), None, path)
    recorder.close()
    return recorder


def test_wrong_use_is_told(path: Path, tmp_path: Path) -> None:
    net = perceptron()
    with pytest.raises(ValueError, match=r"step\(\) after the recording into .*train\.trace was closed"):
        closed(path).step()
    with auditor.record(net, None, tmp_path / "a") as recorder:
        with pytest.raises(ValueError, match="'accuracy' is no number: found 'high'"):
            recorder.step(metrics={"accuracy": "high"})
        with pytest.raises(ValueError, match=r"takes one number; found a tensor of shape \(3,\)"):
            recorder.step(torch.ones(3))
        with pytest.raises(ValueError, match="name is a text of 1 to 200 characters; found 3"):
            recorder.step(metrics={3: 1.0})
        with pytest.raises(OSError, match=r"another recording writes into .*close it"):
            auditor.record(net, None, tmp_path / "a")
    assert len(read(tmp_path / "a").steps) == 0
    with pytest.raises(ValueError, match="ReLU has no parameters to record"):
        auditor.record(nn.ReLU(), None, path)
    with pytest.raises(ValueError, match=r"follows a torch\.nn\.Module; found dict"):
        auditor.record({}, None, path)
    with pytest.raises(ValueError, match="the optimizer holds none of the model's parameters"):
        auditor.record(net, adam(perceptron()), path)
    for wrong in ({"every": 0}, {"dense": -1}, {"snapshots": 0.5}, {"start": -1}, {"every": True}):
        with pytest.raises(ValueError, match=r"is a whole number of at least [01]; found"):
            auditor.record(net, None, path, **wrong)
    with pytest.raises(ValueError, match=r"snapshots=10 bytes hold no series: one snapshot takes [\d,]+"):
        auditor.record(net, None, tmp_path / "b", snapshots=10)


def test_files_that_cannot_be_gone_on_with_are_told(path: Path, tmp_path: Path) -> None:
    closed(path)
    with pytest.raises(ValueError, match=r"of other tensors.*they differ in weight, bias, 0\.weight and 3 more"):
        auditor.record(nn.Linear(2, 2), None, path)
    other = tmp_path / "notes.txt"
    other.write_text("these are no trace\n" * 100)
    with pytest.raises(ValueError, match=r"notes\.txt cannot be read as a trace: it does not begin like a trace"):
        auditor.record(perceptron(), None, other)
    assert other.read_text().startswith("these are no trace")
    with pytest.raises(OSError, match="cannot be written: Is a directory"):
        auditor.record(perceptron(), None, tmp_path)
    with pytest.raises(OSError, match=r"x\.trace cannot be written"):
        auditor.record(perceptron(), None, other / "x.trace")


def test_a_recorder_that_is_forgotten_lets_its_file_go(path: Path) -> None:
    auditor.record(perceptron(), None, path)
    recorded(path, 2)


def test_tensors_that_come_to_the_optimizer_later_are_said(tmp_path: Path) -> None:
    body, head, late = torch.nn.Linear(3, 3), torch.nn.Linear(3, 2), torch.nn.Linear(3, 4)
    model = torch.nn.Sequential(body, head)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with auditor.record(model, optimizer, tmp_path / "train.trace", every=1) as recorder:
        recorder.step()
        model[1] = late
        optimizer.add_param_group({"params": late.parameters()})
        with pytest.warns(UserWarning, match="2 tensors came to the optimizer after record"):
            recorder.step()
        recorder.step()  # said once
