"""One member of the zoo: a model and its data on disk, the spec that names only a preset, and the proof."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

FALL = 0.10
"""By how much accuracy must fall on data without the defect, where that is the proof."""

NOTHING: Mapping[str, Any] = MappingProxyType({})

SPEC = """auditor: 1
name: {name}
extends: [auditor:{preset}]
{models}
data:
  eval: {eval}
  train: {train}
defaults: {defaults}
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


def write_spec(
    folder: Path, name: str, preset: str, model: Mapping[str, Any], evaluation: Any, train: Any,
    parent: Mapping[str, Any] | None = None,
) -> None:  # fmt: skip
    """The eight lines. parent: the model that this one is said to come from."""
    models = f"model: {flow(model)}" if parent is None else f"models: {flow({'model': model, 'parent': parent})}"
    defaults = "{data: eval}" if parent is None else "{model: model, data: eval}"
    text = SPEC.format(name=name.replace("_", "-"), preset=preset, models=models, eval=flow(evaluation),
                       train=flow(train), defaults=defaults)  # fmt: skip
    (folder / "audit.yaml").write_text(text, encoding="utf-8")


def require(holds: bool, what: str, proof: Mapping[str, float]) -> None:
    """Unproven unless it holds."""
    if not holds:
        raise Unproven(f"{what}: {dict(proof)}")


def require_fall(name: str, planted: bool, proof: Mapping[str, float]) -> None:
    """A planted model falls without its defect; a twin does not depend on it."""
    fall = proof["with"] - proof["without"]
    require(fall >= FALL if planted else abs(fall) < FALL, f"{name}: accuracy with and without the defect", proof)
