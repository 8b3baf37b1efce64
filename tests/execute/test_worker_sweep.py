"""Sweeps in a worker: a probe that crashes a fused pass loses only itself."""

import ctypes
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fakes
import numpy as np
from bench import Bench
from fakes import entry

from auditor.evidence import Evidence, Moments
from auditor.execute.protocol import Begun
from auditor.needs import Collector, Live, Need, Probe, Step, Sweep
from auditor.subject import Subject


@dataclass(frozen=True)
class Net(Live[Any]):
    """A linear model of four inputs and two classes."""

    artifact = object

    def load(self, root: Path, **upstream: Any) -> Any:
        import torch

        fakes.write(root, "load net")
        module = torch.nn.Linear(4, 2)
        module.register_forward_hook(lambda *of_pass: fakes.write(root, "forward"))
        return SimpleNamespace(module=module, logits=module, gradient_inputs=lambda inputs: (inputs, inputs))


@dataclass(frozen=True)
class Rows(Live[Any]):
    """Three batches of four rows."""

    artifact = object
    rows: int = 12
    batch_size: int = 4

    def load(self, root: Path, **upstream: Any) -> Any:
        import torch

        labels, examples = torch.zeros(4, dtype=torch.int64), ("a", "b", "c", "d")
        return [SimpleNamespace(inputs=torch.ones(4, 4), labels=labels, examples=examples) for _ in range(3)]


@dataclass(frozen=True)
class Count(Probe[fakes.Numbers]):
    """Counts rows, or crashes the process."""

    artifact = fakes.Numbers
    does_crash: bool = False

    def collect(self) -> Collector[fakes.Numbers]:
        return _Counter(self.does_crash)


@dataclass
class _Counter(Collector[fakes.Numbers]):
    does_crash: bool
    rows: list[int] = field(default_factory=list)

    def see(self, step: Step) -> None:
        if self.does_crash:
            ctypes.string_at(0)
        self.rows.append(len(step.logits))

    def result(self) -> fakes.Numbers:
        return fakes.Numbers(np.array(self.rows, dtype=float), "rows")


class Counting(fakes.Mean):
    """How many rows a sweep saw."""

    does_crash: bool = False

    def needs(self, subject: Subject) -> dict[str, Need[Any]]:
        return {"numbers": Count(Sweep(Net(), Rows()), rows=self.rows, does_crash=self.does_crash)}

    def measure(self, *args: Any, numbers: fakes.Numbers, **artifacts: Any) -> Evidence:
        values = numbers.values
        return Evidence(measurements=(self.sampled("mean", Moments(mean=float(values.sum()), sd=0.0, n=len(values))),))


PLUGINS = {"task.counting": "test_worker_sweep:Counting"}


def counting(check_id: str, rows: int, **params: Any) -> Any:
    return entry(check_id, "task.counting", rows=rows, **params)


def test_a_probe_that_crashes_a_fused_sweep_loses_only_itself(bench: Bench, monkeypatch):
    monkeypatch.setattr(fakes, "PLUGINS", PLUGINS)
    found = bench.run(counting("five", 5), counting("bad", 12, does_crash=True))
    assert found["five"].measurements[0].value == 5
    assert found["bad"].kind == "crashed"
    assert len([event for event in bench.events if isinstance(event, Begun) and event.title == "Count"]) == 3
    assert fakes.diary(bench.root).count("forward") == 1 + 2 + 1
