"""The loss landscape of models of every task, and of histories, through sources and batches."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from making import evidence, make
from test_curvature import TINY, language
from test_trajectory import ASSETS, RUNTIME, digits, shipped, tuned
from torch.nn.functional import cross_entropy

from auditor.artifacts.landscape import LandscapeOf, PairsOf, PathOf, landscape_of
from auditor.artifacts.landscape_found import Landscape as Found
from auditor.artifacts.landscape_found import Pairs
from auditor.artifacts.landscape_found import Path as Way
from auditor.checks.optimizability.landscape import Landscape
from auditor.errors import NotApplicable
from auditor.execute.codec import decode, encode
from auditor.sources import data, labels, models
from auditor.spec.model import DataEntry, ModelEntry
from auditor.subject import History, ModelRef, Runtime, Subject
from tests.checks.judged import one
from tests.tiny_transformers import bert, saved_pictures, saved_texts, vit


def subject_of(ref: ModelRef, n: int = 64) -> Subject:
    return Subject(model=ref, data=labels.match(ref, digits("test", n)), runtime=RUNTIME)


def asked(subject: Subject, rows: int = 64, grid: int = 0, points: int = 3) -> LandscapeOf:
    return landscape_of(subject, rows, (), 10, 0.1, grid, points)


@pytest.mark.parametrize("kind", ["bert", "vit", "causal", "masked", "table"])
def test_flatness_of_every_task(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if kind == "bert":
        subject = saved_texts(tmp_path, bert(**TINY))
    elif kind == "vit":
        subject = saved_pictures(tmp_path, vit(**TINY))
    elif kind == "table":
        subject = table(tmp_path, monkeypatch)
    else:
        subject = language(tmp_path, kind)
    check = Landscape(rows=40, grid=3)
    assert check.applies(subject) is None
    made: dict[str, Any] = {}
    need = check.needs(subject)["landscape"]
    assert isinstance(need, LandscapeOf) and need.cost().forwards == 0 < need.around.cost().forwards
    model = make(need.around.model, tmp_path, made).module
    before = {name: value.numpy().tobytes() for name, value in model.state_dict().items()}
    found: Found = make(need, tmp_path, made)
    assert {name: value.numpy().tobytes() for name, value in model.state_dict().items()} == before
    assert found.around.fed == "" and found.around.found.own == found.around.found.centre > 0
    seen = check.measure(landscape=found)
    flat = one(seen, "flatness")
    assert flat.n == 10 and flat.value != 0 and not flat.censored
    assert len(seen.measurements) == 1 and set(seen.inapplicable) == {"path_barrier", "seed_barrier"}
    assert "history" in seen.inapplicable["path_barrier"] and "fine-tune" in seen.inapplicable["seed_barrier"]
    assert len(seen.blocks) == 1 and found.around.found.surface[1, 1] == pytest.approx(found.around.found.centre)
    again = decode(*encode(found.around), type(found.around))
    assert (again.found.rises == found.around.found.rises).all()


def table(root: Path, monkeypatch: pytest.MonkeyPatch, bend: str = "nn.ReLU()") -> Subject:
    """A regression of three columns by a factory's network; by default without BatchNorm."""
    site = root / "site"
    site.mkdir()
    (site / "flat_table.py").write_text(
        "from torch import manual_seed, nn\n\n\ndef net():\n    manual_seed(0)\n"
        f"    return nn.Sequential(nn.Linear(3, 8), {bend}, nn.Linear(8, 1))\n"
    )
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delitem(sys.modules, "flat_table", raising=False)
    draw = np.random.default_rng(0).normal(size=(48, 3))
    lines = [",".join(f"{value:.4f}" for value in (*row, row.sum())) for row in draw]
    (root / "rows.csv").write_text("a,b,c,price\n" + "\n".join(lines) + "\n")
    given = {"factory": "flat_table:net", "modality": "tabular", "task": "regression"}
    ref = models.describe(ModelEntry(name="m", source="factory", options=given), root)
    options = {"path": "rows.csv", "features": ["a", "b", "c"], "label": "price"}
    found = data.describe(DataEntry(name="rows", source="csv", options=options), root)
    return Subject(model=ref, data=labels.match(ref, found), runtime=Runtime(batch_size=16))


def test_lines_of_a_fine_tune_end_at_the_losses_of_its_weights() -> None:
    ref = tuned()
    subject, made = subject_of(ref), {}
    need = asked(subject)
    assert isinstance(need.path, PathOf) and isinstance(need.pairs, PairsOf) and need.absent == ()
    path: Way = make(need.path, ASSETS, made)
    pairs: Pairs = make(need.pairs, ASSETS, made)
    assert path.lane.name == "step 2 to step 4" and path.trodden.steps == (2, 4) and not path.diverged
    assert pairs.pairs == ((1, 2),) and pairs.lost == () and pairs.seeds == 2
    runs = [make(each, ASSETS, made) for name, each in need.pairs.needs().items() if name.startswith("seed")]
    fed, batch = (next(iter(make(each, ASSETS, made))) for each in (need.path.ground.fed, need.path.ground.batches))
    assert need.path.ground.fed.data.name == "train"

    def slow(weights: dict[str, Any]) -> float:
        model = need.pairs.stages  # type: ignore[union-attr]  # seen above
        module = make(model, ASSETS, made).fresh().module
        module.load_state_dict({name: torch.as_tensor(value) for name, value in weights.items()})
        norms = [each for each in module.modules() if isinstance(each, torch.nn.BatchNorm2d)]
        assert norms
        for norm in norms:
            norm.momentum = 1.0  # one batch: its own statistics
            norm.train()
        with torch.no_grad():
            module(fed.inputs)
            module.eval()
            return float(cross_entropy(module(batch.inputs).logits, batch.labels))

    assert path.lane.losses[[0, -1]] == pytest.approx([slow(runs[0].weights(step)) for step in (2, 4)], rel=1e-4)
    assert pairs.lanes[0].losses[[0, -1]] == pytest.approx([slow(run.weights()) for run in runs], rel=1e-4)
    assert path.trodden.losses == pytest.approx(path.lane.losses[[0, -1]], rel=1e-5)
    assert path.trodden.share == pytest.approx([0, 1])
    assert pairs.lanes[0].losses[0] == pytest.approx(path.lane.losses[-1], rel=1e-5)
    assert (decode(*encode(pairs), Pairs).lanes[0].losses == pairs.lanes[0].losses).all()
    assert (decode(*encode(path), Way).trodden.flat == path.trodden.flat).all()


def test_checkpoints_on_disk_have_a_path_and_no_seeds() -> None:
    need = asked(subject_of(shipped()), points=11)
    assert need.pairs is None and dict(need.absent).keys() == {"seed_barrier"}
    path: Way = make(need.path, ASSETS)  # type: ignore[arg-type]  # it has one
    assert path.lane.name == "step 0 to step 200" and len(path.trodden.steps) == 21 and not path.diverged
    assert (path.lane.barrier() or 0) > 0.01  # from random weights, not downhill all along
    assert path.trodden.losses[-1] < 0.5 * path.trodden.losses[0]


def test_what_a_recipe_or_a_history_does_not_allow_says_why() -> None:
    single = dict(asked(subject_of(tuned(seeds=1, keep=1))).absent)
    assert "one step alone" in single["path_barrier"] and "one seed" in single["seed_barrier"]
    adapters = History(source="checkpoints", holds=frozenset({"weights"}), steps=(1, 2), adapters=True)
    ref = shipped().model_copy(update={"history": adapters})
    assert "adapters" in dict(asked(subject_of(ref)).absent)["path_barrier"]
    curves = History(source="tensorboard", holds=frozenset({"losses"}))
    ref = shipped().model_copy(update={"history": curves})
    assert "does not hold weights" in dict(asked(subject_of(ref)).absent)["path_barrier"]
    assert asked(subject_of(tuned(seeds=12))).pairs.seeds == 10  # type: ignore[union-attr]  # it has them
    with pytest.raises(ValueError, match="needs data"):
        asked(subject_of(shipped()).model_copy(update={"data": None}))


def test_batchnorm_measures_on_the_training_data_that_are_named() -> None:
    subject = subject_of(shipped())
    assert asked(subject).around.ground.fed.data.name == "test"
    named = subject.model_copy(update={"others": {"train": labels.match(subject.model, digits("train", 64))}})
    assert asked(named).around.ground.fed.data.name == "train"
    assert asked(named).around.key != asked(subject).around.key
    found = evidence(Landscape(rows=64, grid=0, points=3), named, ASSETS)
    assert "BatchNorm measured its statistics anew on train" in found.notes[1]


def test_batches_on_which_batchnorm_cannot_measure_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = table(tmp_path, monkeypatch, "nn.BatchNorm1d(8)")
    assert evidence(Landscape(grid=0), subject, tmp_path).measurements
    single = subject.model_copy(update={"runtime": Runtime(batch_size=1)})
    with pytest.raises(NotApplicable, match="batches of one row"):
        evidence(Landscape(grid=0), single, tmp_path)


def test_a_run_that_ends_above_its_beginning_has_no_path_to_pass() -> None:
    subject = subject_of(tuned(lr=10.0, optimizer="sgd", seeds=1))
    barrier = one(evidence(Landscape(rows=64, grid=0, points=3), subject, ASSETS), "path_barrier")
    assert barrier.censored and barrier.value >= 0


def test_seeds_that_diverge_have_no_end() -> None:
    subject = subject_of(tuned(lr=1e38, optimizer="sgd", seeds=2))
    found = evidence(Landscape(rows=64, grid=0, points=3), subject, ASSETS)
    assert found.measurements == () and found.inapplicable == {}
    assert "flatness is not measured: the loss of the model itself is not finite." in found.notes
    assert "Seed 1 diverged and is left out of seed_barrier." in found.notes
    assert "path_barrier is not measured: the loss at an end of the path is not finite." in found.notes
