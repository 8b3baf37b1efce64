"""Buffers are no parameters: neither for lineage nor for the changes between checkpoints."""

from pathlib import Path

import pytest
import torch
from making import evidence, make
from positional import Positional
from safetensors.torch import save_file

from auditor.artifacts.buffers import BuffersOf, named_in
from auditor.artifacts.recorded import HistoryTrajectory
from auditor.checks.traceability.lineage import Lineage
from auditor.checks.traceability.local import LocalChanges
from auditor.errors import SourceError
from auditor.evidence import Evidence
from auditor.sources import models
from auditor.spec.model import ModelEntry
from auditor.subject import ModelRef, Runtime, Subject


def net(seed: int) -> Positional:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Positional()


def described(root: Path, name: str, seed: int, lead: str = "", **history: str) -> ModelRef:
    state = {f"{lead}{key}": value for key, value in net(seed).state_dict().items()}
    save_file(state, root / f"{name}.safetensors")
    options = {"factory": "positional:Positional", "weights": f"{name}.safetensors", "modality": "tabular",
               "task": "classification", "classes": ["x", "y"]}  # fmt: skip
    return models.describe(ModelEntry(name=name, source="factory", options=options, **history), root)


def beside(root: Path, child: ModelRef, parent: ModelRef) -> Evidence:
    return evidence(Lineage(), Subject(model=child, against=(parent,), runtime=Runtime()), root)


def test_two_unrelated_nets_of_one_positional_encoding_do_not_correlate(tmp_path: Path) -> None:
    child = described(tmp_path, "child", 1, lead="module.")
    found = beside(tmp_path, child, described(tmp_path, "stranger", 2))
    values = {one.name: one.value for one in found.measurements}
    assert abs(values["parent_correlation"]) < 0.3
    assert not any("could not be built" in note for note in found.notes)


def test_a_model_that_cannot_be_built_gives_no_correlation_instead_of_one_over_buffers(tmp_path: Path) -> None:
    child, stranger = described(tmp_path, "child", 1), described(tmp_path, "stranger", 2)
    lost = stranger.model_copy(update={"digest": "sha256:lost", "entry": {"options": {
        **stranger.entry["options"], "factory": "nowhere:net"}}})  # fmt: skip
    with pytest.raises(SourceError, match="nowhere"):
        BuffersOf(lost).load(tmp_path)
    with pytest.raises(SourceError, match="nowhere"):
        beside(tmp_path, child, lost)


def test_what_is_no_parameter_stands_last_in_the_table(tmp_path: Path) -> None:
    child = described(tmp_path, "child", 1)
    state = {**net(2).state_dict(), "norm.num_batches_tracked": torch.tensor(7)}
    parent = described(tmp_path, "parent", 2)
    save_file(state, tmp_path / "parent.safetensors")
    parent = models.describe(ModelEntry(name="parent", source="factory", options=parent.entry["options"]), tmp_path)
    rows = [row[:2] for row in beside(tmp_path, child, parent).blocks[1].rows]  # type: ignore[union-attr]
    assert rows[-1] == ("norm.num_batches_tracked", "changed (no parameter)")


def test_a_positional_encoding_is_no_frozen_tensor(tmp_path: Path) -> None:
    for step in range(4):
        state = {name: value + step / 10 if name.startswith(("mix", "out")) else value
                 for name, value in net(1).state_dict().items()}  # fmt: skip
        save_file({f"_orig_mod.{name}": value for name, value in state.items()}, tmp_path / f"step-{step}.safetensors")
    ref = described(tmp_path, "m", 1, checkpoints="step-*.safetensors")
    found = make(HistoryTrajectory(ref, Runtime()), tmp_path)
    assert "pe" not in found.changes[0].tensors and "mix.weight" in found.changes[0].tensors
    shares = [one.value for one in LocalChanges().measure(trajectory=found).measurements if one.name == "frozen_share"]
    assert shares == [0.0]


def test_names_of_a_module_are_told_below_wrappers(tmp_path: Path) -> None:
    buffers = named_in(net(1))
    assert buffers.among(["model.pe", "model.mix.weight", "model.out.weight"]) == {"model.pe"}
    assert buffers.among(["mix.weight"]) == frozenset()
    assert make(BuffersOf(described(tmp_path, "m", 1)), tmp_path).named == buffers.named
