"""A training run that is killed leaves a trace with every record but at most the last."""

import os
import subprocess
import sys
from pathlib import Path

from safetensors import safe_open

from auditor.recorder.reading import read

RUNS = """
import os, random, signal, sys, time
from pathlib import Path
import torch
import auditor
from loops import adam, made, perceptron

def loop(folder):
    net = perceptron()
    optimizer, draw = adam(net), torch.Generator().manual_seed(0)
    log = os.open(folder / "steps", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    snapshots = 20_000 if folder.name == "0" else 0
    with auditor.record(net, optimizer, folder / "train.trace", every=2, dense=3, snapshots=snapshots) as recorder:
        for step in range(1, 10**9):
            recorder.step(made(net, optimizer, draw), {"step": step})
            os.write(log, b"%d\\n" % step)

net = perceptron()
made(net, adam(net), torch.Generator())  # what torch imports at the first step
draw = random.Random(0)
for moment in range(10):
    folder = Path(sys.argv[1]) / str(moment)
    folder.mkdir()
    child = os.fork()  # importing torch anew takes seconds
    if not child:
        loop(folder)
    while not (folder / "steps").exists() or not (folder / "steps").stat().st_size:
        time.sleep(0.005)
    time.sleep(draw.uniform(0, 0.3))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


def test_killed_at_ten_moments(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", RUNS, str(tmp_path)], env=environment, check=True)
    for moment in range(10):
        _has_all_but_the_last(tmp_path / str(moment))


def _has_all_but_the_last(folder: Path) -> None:
    steps = [int(line) for line in (folder / "steps").read_text().splitlines()]
    trace = read(folder / "train.trace")
    due = [step for step in steps if step % 2 == 0 or step <= 3]
    # A step whose record was written may have been killed before it returned to the loop.
    assert trace.steps.tolist()[: len(due)] == due and len(trace.steps) <= len(due) + 1
    assert trace.loss.steps.tolist() == list(range(1, trace.steps[-1] + 1))
    assert (trace.metrics["step"].steps == trace.metrics["step"].values).all()
    for snapshot in trace.snapshots:
        with safe_open(str(snapshot.path), framework="pt") as file:
            assert len(list(file.keys())) == 4
