"""One run, three ways to look at it: its trace, its checkpoints on disk, and full copies say the same within 1e-5."""

from pathlib import Path

import numpy as np
import pytest
import torch
from histories import on_disk
from safetensors.torch import save_file
from torch import nn

import auditor
from auditor.methods.training.checkpoints import changes_of
from auditor.recorder.reading import read

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
    trace, disk = read(tmp_path / "train.trace"), changes_of(on_disk(files), steps).changes
    order = [trace.tensors.index(name) for name in disk.tensors]
    assert sorted(order) == list(range(len(trace.tensors))) and trace.steps.tolist() == disk.steps[1:].tolist()
    for name in COLUMNS:
        found, expected = getattr(trace, name), getattr(disk, name)
        found = found if name == "projection" else found[:, order]
        scale = np.abs(expected).max() if name == "projection" else 0.0
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-5 * scale), name


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
    snapshots = trace.snapshots
    disk = changes_of(on_disk([each.path for each in snapshots]), [each.step for each in snapshots]).changes
    assert [each.step for each in snapshots] == [0, 2, 4, 6]
    assert trace.change[:, [trace.tensors.index(name) for name in disk.tensors]] == pytest.approx(disk.change, rel=1e-5)
