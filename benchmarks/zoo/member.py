"""One member of the zoo: a model and its data on disk, the spec that names only a preset, and the proof."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FALL = 0.10
"""By how much accuracy must fall on data without the defect, where that is the proof."""

SPEC = """auditor: 1
name: {name}
extends: [auditor:{preset}]
model: {model}
data:
  eval: {eval}
  train: {train}
defaults: {{data: eval}}
"""


class Unproven(AssertionError):
    """The defect was not learned (or a twin is not healthy): the member would prove nothing."""


@dataclass(frozen=True)
class Member:
    """A model with its data. proof: what was measured of the defect; trust: the models whose code may run."""

    name: str
    folder: Path
    planted: bool
    seed: int
    proof: Mapping[str, float]
    trust: frozenset[str] = frozenset()

    @property
    def spec(self) -> Path:
        """The eight lines of its audit."""
        return self.folder / "audit.yaml"


Generator = Callable[[Path, int, bool], Member]
"""Writes a member into a folder: where, seed, planted or healthy."""


def flow(value: Any) -> str:
    """A value as one line of YAML (JSON is YAML)."""
    return json.dumps(value)


def write_spec(folder: Path, name: str, preset: str, model: Any, evaluation: Any, train: Any) -> None:
    """The eight lines."""
    text = SPEC.format(name=name.replace("_", "-"), preset=preset, model=flow(model), eval=flow(evaluation),
                       train=flow(train))  # fmt: skip
    (folder / "audit.yaml").write_text(text, encoding="utf-8")


def require(holds: bool, what: str, proof: Mapping[str, float]) -> None:
    """Unproven unless it holds."""
    if not holds:
        raise Unproven(f"{what}: {dict(proof)}")


def require_fall(name: str, planted: bool, proof: Mapping[str, float]) -> None:
    """A planted model falls without its defect; a twin does not depend on it."""
    fall = proof["with"] - proof["without"]
    require(fall >= FALL if planted else abs(fall) < FALL, f"{name}: accuracy with and without the defect", proof)
