"""Fakes: small checks, needs, subjects and specs without torch, for tests of the machinery.

`PLUGINS` names the fake checks as plug-ins, so that a worker finds them too (tests/ must be on its PYTHONPATH).
"""

import ctypes
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from auditor.check import About, Check
from auditor.errors import NotApplicable
from auditor.evidence import Evidence, Metric, Moments
from auditor.needs import Cost, Derived, Live, Need
from auditor.spec.model import CheckEntry, ModelEntry, RunSettings, Spec
from auditor.subject import ModelRef, Runtime, Subject

ABOUT = About(title="Fake", question="?", formula="", method="", reading="", limits="", citation="")
METRIC = Metric(name="mean", unit="", interval="t", resampling="example", doc="The mean of the numbers.")


@dataclass(frozen=True)
class Numbers:
    """A fake artifact."""

    values: "np.ndarray[Any, np.dtype[np.float64]]"
    label: str


@dataclass(frozen=True)
class Source(Live[int]):
    """A live thing; `diary` names a file in the root that gets a line for each load."""

    artifact = int
    tensors = False
    name: str = "source"
    fault: str = ""

    def load(self, root: Path, **upstream: Any) -> int:
        write(root, f"load {self.name}")
        act(self.fault)
        return 7


@dataclass(frozen=True)
class Draw(Derived[Numbers]):
    """Numbers drawn from the need's own seed. fault: what goes wrong while it is built."""

    artifact = Numbers
    tensors = False
    source: Source = Source()
    rows: int = 40
    seed: int = 0
    fault: str = ""

    def needs(self) -> Mapping[str, Need[Any]]:
        return {"source": self.source}

    def cost(self) -> Cost:
        return Cost(training_steps=self.rows)

    def build(self, *args: Any, source: int, **upstream: Any) -> Numbers:
        act(self.fault)
        values = np.random.default_rng(self.draw_seed(self.seed)).normal(source, 1.0, self.rows)
        return Numbers(values, f"{self.rows} rows")


@dataclass(frozen=True)
class Doubled(Derived[Numbers]):
    """Built from another stored artifact."""

    artifact = Numbers
    tensors = False
    draw: Draw = Draw()

    def needs(self) -> Mapping[str, Need[Any]]:
        return {"draw": self.draw}

    def build(self, *args: Any, draw: Numbers, progress: Callable[[int, int], None], **upstream: Any) -> Numbers:
        progress(1, 1)
        return Numbers(draw.values * 2, draw.label)


class Mean(Check):
    """The mean of some numbers.

    fault: what goes wrong while measuring; need_fault: while its need is built; load_fault: while its source loads.
    """

    pillar = "task"
    about = ABOUT
    metrics = (METRIC,)
    rows: int = 40
    fault: str = ""
    need_fault: str = ""
    load_fault: str = ""
    pause: float = 0.0

    def applies(self, subject: Subject) -> str | None:
        return "it asks for no rows" if self.rows == 0 else None

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        source = Source(subject.model.name, self.load_fault)
        return {"numbers": Draw(source, self.rows, subject.runtime.seed, self.need_fault)}

    def measure(self, *args: Any, numbers: Numbers, seed: int, **artifacts: Any) -> Evidence:
        act(self.fault)
        time.sleep(self.pause)
        jitter = np.random.default_rng(seed).normal()
        values = numbers.values
        moments = Moments(mean=float(values.mean()) + jitter, sd=float(values.std(ddof=1)), n=len(values))
        return Evidence(measurements=(self.sampled("mean", moments),))


class Twice(Mean):
    """The mean of the doubled numbers, which shares its draw with Mean."""

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        return {"numbers": Doubled(Mean.needs(self, subject)["numbers"])}  # type: ignore[arg-type]  # a Draw

    def measure(self, *args: Any, numbers: Numbers, seed: int, **artifacts: Any) -> Evidence:
        return super().measure(numbers=numbers, seed=seed)


class Mismatched(Mean):
    """measure() and needs() disagree on a name."""

    def measure(self, *args: Any, figures: Numbers, **artifacts: Any) -> Evidence:
        return super().measure(numbers=figures, seed=0)


PLUGINS = {f"task.fake_{cls.__name__.lower()}": f"fakes:{cls.__name__}" for cls in (Mean, Twice, Mismatched)}


def act(fault: str) -> None:
    """Do what goes wrong; "" is nothing."""
    if fault:
        FAULTS[fault]()


def _flood() -> None:
    for _ in range(200):
        print("x" * 100_000, flush=True)
        print('{"kind": "finished"}', file=sys.stderr)


def _fail(error: Exception) -> None:
    raise error


def _call_home() -> None:
    """Reach for another machine; the address is one that documentation may use, and nobody has (RFC 5737)."""
    with socket.socket() as made:
        made.settimeout(0.2)
        made.connect(("192.0.2.1", 80))


def _call_here() -> None:
    """Talk to this machine alone."""
    with socket.socket() as server, socket.socket() as client:
        server.bind(("127.0.0.1", 0))
        server.listen()
        client.connect(server.getsockname())
    socket.getaddrinfo("localhost", 80)


def _spill() -> None:
    """Name the variables that one sees."""
    raise ValueError(f"sees {' '.join(sorted(os.environ))}")


def _grandchild() -> None:
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    raise ValueError("left a child behind")


FAULTS: dict[str, Callable[[], object]] = {
    "raise": lambda: _fail(ValueError("the numbers do not add up")),
    "hang": lambda: time.sleep(600),
    "leave": lambda: os._exit(0),
    "segfault": lambda: ctypes.string_at(0),
    "flood": _flood,
    "grandchild": _grandchild,
    "escape": lambda: subprocess.run(["setsid", sys.executable, "-c", "import time; time.sleep(600)"]),
    "grandchild_hang": lambda: subprocess.run([sys.executable, "-c", "import time; time.sleep(600)"]),
    "skip": lambda: _fail(NotApplicable("the built model has no numbers")),
    "call_home": _call_home,
    "look_up": lambda: socket.getaddrinfo("example.org", 443),
    "call_here": _call_here,
    "spill": _spill,
    "memory": lambda: _fail(MemoryError("no room")),
}


def write(root: Path, line: str) -> None:
    """Add a line to the diary, by which tests count what was really done."""
    with (root / "diary").open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def diary(root: Path) -> list[str]:
    """The lines of the diary."""
    path = root / "diary"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def model_ref(name: str = "m") -> ModelRef:
    """A described model."""
    return ModelRef(
        digest=f"sha256:{name}", name=name, source="factory", entry={}, architecture="fake", modality="image"
    )


def entry(check_id: str, use: str = "task.fake_mean", **params: Any) -> CheckEntry:
    """One check of a spec."""
    return CheckEntry(id=check_id, use=use, params=params, model="m")


def spec_of(*checks: CheckEntry, **run: Any) -> Spec:
    """A resolved spec with one model "m"."""
    models = {"m": ModelEntry(name="m", source="factory")}
    return Spec(name="fake", models=models, checks=checks, run=RunSettings(**run))


def subjects_of(spec: Spec, seed: int = 0) -> dict[str, Subject]:
    """The subject of each check."""
    runtime = Runtime(seed=seed, packages={"numpy": "x"})
    return {check.id: Subject(model=model_ref(check.model), runtime=runtime) for check in spec.checks}
