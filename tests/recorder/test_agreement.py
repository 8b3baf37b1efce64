"""A trace and the checkpoints of the same run, read back from the disk, say the same within 1e-5."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import auditor
from auditor.recorder.reading import read
from auditor.recorder.watch import Moved, Watch


def between(files: list[Path], tensors: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The columns of the intervals between these files."""
    held = {name: value for name, value in load_file(files[0]).items() if name in tensors}
    watch, moved = Watch({name: held[name] for name in tensors}), list[Moved]()
    for file in files[1:]:
        for name, value in load_file(file).items():
            if name in held:
                held[name].copy_(value)
        moved.append(watch.mark())
    return {name: np.array([getattr(each, name) for each in moved]) for name in COLUMNS}


COLUMNS = ("norm", "change", "l1_norm", "l1_change", "elementwise", "quantiles", "projection")


def test_a_trace_and_checkpoints_of_one_run_agree(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.Flatten(), nn.Linear(16 * 36, 600)).train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    files, steps = [], []

    def keep(step: int) -> None:
        files.append(tmp_path / f"step-{step:04d}.safetensors")
        steps.append(step)
        save_file(net.state_dict(), files[-1])

    keep(0)
    with auditor.record(net, optimizer, tmp_path / "train.trace", every=2, dense=0) as recorder:
        for step in range(1, 9):
            optimizer.zero_grad()
            net(torch.randn(4, 3, 8, 8)).square().mean().backward()
            optimizer.step()
            recorder.step()
            if step % 2 == 0:
                keep(step)
    trace = read(tmp_path / "train.trace")
    assert trace.steps.tolist() == steps[1:]
    for name, expected in between(files, trace.tensors).items():
        scale = np.abs(expected).max() if name == "projection" else 0.0
        assert getattr(trace, name) == pytest.approx(expected, rel=1e-5, abs=1e-5 * scale), name


def test_snapshots_of_a_trace_are_such_checkpoints(tmp_path: Path) -> None:
    net = nn.Linear(50, 50)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with auditor.record(net, optimizer, tmp_path / "train.trace", every=2, dense=0, snapshots=1_000_000) as recorder:
        for _ in range(6):
            optimizer.zero_grad()
            net(torch.ones(2, 50)).square().mean().backward()
            optimizer.step()
            recorder.step()
    trace = read(tmp_path / "train.trace")
    assert [each.step for each in trace.snapshots] == [0, 2, 4, 6]
    disk = between([each.path for each in trace.snapshots], trace.tensors)
    assert trace.change == pytest.approx(disk["change"], rel=1e-5)
