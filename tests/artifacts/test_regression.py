"""Regressions and nets of tables through a factory: float labels, one output or several, columns by their names."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from auditor.artifacts.roots import sweep_of
from auditor.blocks import Bars
from auditor.checks.interpretability.saliency import Saliency
from auditor.errors import SourceError
from auditor.execute.sweep import sweep
from auditor.sources import data, labels, models
from auditor.spec.model import DataEntry, ModelEntry
from auditor.subject import Runtime, Subject

NET = """
from torch import nn

def linear(columns, outputs, flat=False):
    layers = [nn.Linear(columns, outputs)]
    return nn.Sequential(*layers, *([nn.Flatten(0)] if flat else []))
"""
COLUMNS = ("age", "size", "weight")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed module with a linear net, weights of one and of two outputs, and a table with a numeric label."""
    home = tmp_path / "site"
    home.mkdir()
    (home / "own_linear_nets.py").write_text(NET)
    monkeypatch.syspath_prepend(str(home))
    generator = torch.Generator().manual_seed(0)
    for outputs in (1, 2):
        state = {"0.weight": torch.randn(outputs, 3, generator=generator), "0.bias": torch.zeros(outputs)}
        save_file(state, tmp_path / f"w{outputs}.safetensors")
    rows = torch.randn(20, 3, generator=generator)
    lines = [",".join(f"{value:.4f}" for value in (*row, sum(row))) for row in rows.tolist()]
    (tmp_path / "t.csv").write_text(",".join((*COLUMNS, "price")) + "\n" + "\n".join(lines) + "\n")
    yield tmp_path
    sys.modules.pop("own_linear_nets", None)


def subject(root: Path, outputs: int, *, flat: bool = False, label: bool = True, **options: Any) -> Subject:
    kwargs = {"columns": 3, "outputs": outputs, "flat": flat}
    given = {"factory": "own_linear_nets:linear", "kwargs": kwargs, "weights": f"w{outputs}.safetensors",
             "modality": "tabular", "task": "regression", **options}  # fmt: skip
    ref = models.describe(ModelEntry(name="m", source="factory", options=given), root)
    columns = {"features": list(COLUMNS), **({"label": "price"} if label else {})}
    rows = data.describe(DataEntry(name="d", source="csv", options={"path": "t.csv", **columns}), root)
    return Subject(model=ref, data=labels.match(ref, rows), runtime=Runtime(batch_size=8))


@pytest.mark.parametrize("flat", [False, True])
def test_one_output_and_labels_as_numbers(root: Path, flat: bool) -> None:
    """A net may give n values or n x 1: both are one output."""
    given = subject(root, 1, flat=flat)
    assert given.data is not None and (given.data.task, given.data.columns) == ("regression", COLUMNS)
    made = sweep_of(given)
    net, loader = made.model.load(root), made.batches.load(root)  # type: ignore[attr-defined]  # live needs
    batch = next(iter(loader))
    assert net.logits(batch.inputs).shape == (8, 1)
    assert batch.labels.dtype == torch.float32
    np.testing.assert_allclose(batch.labels.numpy(), batch.inputs.sum(1).numpy(), atol=2e-3)


def test_saliency_of_a_linear_regression_is_its_weight_and_names_the_columns(root: Path) -> None:
    given = subject(root, 1)
    check = Saliency(rows=8)
    need: Any = check.needs(given)["maps"]
    net, loader = need.sweep.model.load(root), need.sweep.batches.load(root)
    maps = sweep([need], net, loader)[need.key]
    weight = net.module[0].weight[0].abs().detach().numpy()
    np.testing.assert_allclose(maps.maps, np.tile(weight, (8, 1)), rtol=1e-5)
    bars = check.measure(maps=maps).blocks[0]
    assert isinstance(bars, Bars)
    assert [bar.label for bar in bars.bars] == [COLUMNS[place] for place in np.argsort(-weight)]


def test_several_outputs_are_explained_one_by_one(root: Path) -> None:
    given = subject(root, 2, label=False, classes=["low", "high"])
    assert given.model.outputs == 2
    assert "name one, output[0] to output[1]" in str(Saliency().applies(given))
    made = sweep_of(given, "output[1]")
    model = made.model.model.load(root)  # type: ignore[attr-defined]  # a view of a model
    loader = made.batches.load(root)  # type: ignore[attr-defined]  # a live need
    view = made.model.load(root, model=model, batches=loader)  # type: ignore[attr-defined]  # a live need
    inputs = loader.batch(range(4)).inputs
    torch.testing.assert_close(view.logits(inputs), model.logits(inputs)[:, 1:])
    with pytest.raises(SourceError, match="has 2 outputs"):
        subject(root, 2, classes=["low", "high"])
