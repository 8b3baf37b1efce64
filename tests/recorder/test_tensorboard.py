"""Event files: written from a trace, read by TensorBoard's own reader, and read back; broken ones are said."""

import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auditor.recorder.reading import read
from auditor.recorder.tensorboard import EventError, Events, export_trace, main, read_events
from auditor.recorder.words import series_of
from tests.recorder.loops import recorded


def event_file(folder: Path) -> Path:
    return next(iter(sorted(folder.rglob("*tfevents*"))))


def written(folder: Path, scalars: dict[str, list[tuple[int, float]]], histograms: Any = ()) -> Path:
    """As torch's SummaryWriter writes them."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder)) as writer:
        for tag, points in scalars.items():
            for step, value in points:
                writer.add_scalar(tag, value, step)
        for tag, values, step in histograms:
            writer.add_histogram(tag, values, step)
    return event_file(folder)


def test_scalars_and_exact_norms_of_histograms_are_read(tmp_path: Path) -> None:
    weights = np.random.default_rng(0).normal(size=500)
    path = written(tmp_path, {"train/loss": [(1, 2.0), (2, 1.5)]}, [("fc.weight", weights * k, k) for k in (1, 2)])
    events = read_events({path: ""})
    assert (events.scalars["train/loss"].steps.tolist(), events.scalars["train/loss"].values.tolist()) == (
        [1, 2], [2.0, 1.5],
    )  # fmt: skip
    np.testing.assert_allclose(events.norms["fc.weight"].values, np.linalg.norm(weights) * np.array([1, 2]), rtol=1e-9)
    assert events.remarks == ()


def test_runs_in_folders_keep_their_names(tmp_path: Path) -> None:
    train = written(tmp_path / "train", {"epoch_loss": [(0, 1.0)]})
    held = written(tmp_path / "validation", {"epoch_loss": [(0, 2.0)]})
    events = read_events({train: "train", held: "validation"})
    assert {series_of(tag): curve.values[0] for tag, curve in events.scalars.items()} == {
        "loss": 1.0, "validation_loss": 2.0,
    }  # fmt: skip


def test_tensors_of_one_number_are_scalars(tmp_path: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_scalar("loss", 0.25, 3, new_style=True)
    assert read_events({event_file(tmp_path): ""}).scalars["loss"].values.tolist() == [0.25]


def test_a_run_that_was_begun_again_keeps_what_was_written_last(tmp_path: Path) -> None:
    path = written(tmp_path, {"loss": [(1, 3.0), (2, 2.0), (3, 1.0), (2, 2.5), (3, 2.25)]})
    events = read_events({path: ""})
    assert events.scalars["loss"].values.tolist() == [3.0, 2.5, 2.25]
    assert events.remarks == ("2 numbers are of steps that a later start made again; the later ones stand.",)


def test_a_trace_goes_to_tensorboard_and_back(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    recorded(tmp_path / "train.trace", 40, every=5)
    trace = read(tmp_path / "train.trace")
    export_trace(trace, tmp_path / "runs")
    shown = EventAccumulator(str(tmp_path / "runs"), size_guidance={"scalars": 0, "histograms": 0, "tensors": 0})
    shown.Reload()
    assert {"loss", "lr", "gradient_norm", "gradient_norm/0.weight", "change_rate/2.bias", "half"} <= set(
        shown.Tags()["scalars"]
    )
    grid = shown.Histograms("relative_change/0.weight")[-1].histogram_value
    assert grid.bucket_limit == pytest.approx(trace.quantiles[-1, 0].tolist())
    assert sum(grid.bucket) == pytest.approx(40)
    back: Events = read_events({event_file(tmp_path / "runs"): ""})
    for name, curve in (("loss", trace.loss), ("half", trace.metrics["half"])):
        assert back.scalars[name].steps.tolist() == curve.steps.tolist()
        np.testing.assert_allclose(back.scalars[name].values, curve.values, rtol=1e-6)
    rate = trace.change[:, 0] / trace.norm[:, 0]
    np.testing.assert_allclose(back.scalars["change_rate/0.weight"].values, rate, rtol=1e-6)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorded(tmp_path / "train.trace", 5)
    assert main([str(tmp_path / "train.trace"), str(tmp_path / "runs")]) == 0
    assert "tensorboard --logdir" in capsys.readouterr().out
    assert event_file(tmp_path / "runs").stat().st_size > 1000
    assert main([]) == 2
    assert main([str(tmp_path / "gone.trace"), str(tmp_path / "runs")]) == 1
    assert "gone.trace" in capsys.readouterr().err


def test_a_file_that_ends_amid_an_event_is_read_up_to_there(tmp_path: Path) -> None:
    path = written(tmp_path, {"loss": [(step, 1.0) for step in range(10)]})
    path.write_bytes(path.read_bytes()[:-7])
    events = read_events({path: ""})
    assert len(events.scalars["loss"].steps) == 9
    assert "ends amid an event" in events.remarks[0]


def framed(body: bytes) -> bytes:
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    head = struct.pack("<Q", len(body))
    return head + struct.pack("<I", masked_crc32c(head)) + body + struct.pack("<I", masked_crc32c(body))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no events"),
        (b"loss: 0.1 at step 1, and so on", "is no sound event file: the checksum of record 0 does not fit"),
        (framed(b"\xff" * 20), "event 0 is none of TensorBoard's"),
        (framed(b"\x09" + b"\0" * 8)[:-1] + b"?", "record 0 was changed after it was written"),
        (struct.pack("<Q", 1 << 60) + b"\0" * 20, "checksum of record 0 does not fit"),
    ],
)
def test_broken_and_hostile_files(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(content)
    with pytest.raises(EventError, match=message):
        read_events({path: ""})


def test_a_length_beyond_the_file_allocates_nothing(tmp_path: Path) -> None:
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    whole = written(tmp_path, {"loss": [(1, 1.0)]})
    head = struct.pack("<Q", 1 << 62)
    whole.write_bytes(whole.read_bytes() + head + struct.pack("<I", masked_crc32c(head)) + b"x" * 50)
    assert "ends amid an event" in read_events({whole: ""}).remarks[0]


def test_without_the_package_the_line_that_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, {"loss": [(1, 1.0)]})
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto", None)
    with pytest.raises(ImportError, match="pip install tensorboard"):
        read_events({path: ""})


@pytest.mark.parametrize(
    ("series", "names"),
    [
        ("loss", "loss train_loss Loss/train train/loss training.loss_step epoch_loss loss_epoch"),
        ("validation_loss", "val_loss validation/loss eval_loss eval/loss Loss/valid validation/epoch_loss"),
        ("lr", "lr learning_rate train/learning_rate lr-AdamW/pg1 lr-SGD Learning-Rate lr/group0"),
        ("gradient_norm", "grad_norm train/grad_norm gradient_norm"),
        ("metric/accuracy", "acc accuracy train_accuracy top1"),
        ("metric/validation_accuracy", "val_acc eval/accuracy validation_accuracy eval_accuracy"),
    ],
)
def test_what_people_call_their_numbers(series: str, names: str) -> None:
    assert {series_of(name) for name in names.split()} == {series}


@pytest.mark.parametrize("name", ["loss/dice", "perplexity", "val_lr", "loss_scale", "eval/grad_norm", "f1", ""])
def test_other_numbers_keep_their_names(name: str) -> None:
    assert series_of(name) == f"metric/{name}"
