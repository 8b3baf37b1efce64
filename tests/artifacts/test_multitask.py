"""Several tasks of one parent: described, trained together and alone, and audited as the first task's model."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from making import evidence, make
from safetensors.torch import save_file

from auditor.artifacts.finetune import FineTune
from auditor.artifacts.multitask import Tasks, TasksOf
from auditor.artifacts.roots import Batches, Model
from auditor.checks.optimizability.multitask import Multitask
from auditor.errors import NotApplicable, SourceError
from auditor.sources import data, models
from auditor.sources.models.finetune import describe_finetune
from auditor.sources.models.joint import describe_joint
from auditor.spec.model import DataEntry, Finetune, ModelEntry, TaskEntry
from auditor.subject import DataRef, ModelRef, Recipe, Runtime, Subject
from tests.tiny import save_all

RUNTIME = Runtime(batch_size=16)
NETS = """
from torch import nn

def wide():
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))

def narrow():
    return nn.Sequential(nn.Linear(3, 1), nn.Linear(1, 1))

def headless():
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh())
"""
FAST = {"steps": 60, "batch_size": 16, "record_every": 10, "seeds": 2, "lr": 2e-2, "keep": 1, "validation_rows": 48}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Tables whose label columns are `first` and `second` (one column each), `sum` and `sign`; texts; tiny models."""
    root = tmp_path_factory.mktemp("tasks")
    save_all(root)
    draw = np.random.default_rng(0)
    for split in ("train", "eval"):
        rows = draw.normal(size=(48, 3))
        lines = [
            ",".join([*(f"{value:.4f}" for value in (*row, row[0], row[1], row.sum())), "pm"[int(row[0] < 0)]])
            for row in rows
        ]
        (root / f"rows-{split}.csv").write_text("a,b,c,first,second,sum,sign\n" + "\n".join(lines) + "\n")
        words = draw.choice(["good", "bad", "film", "a", "the"], (48, 4))
        texts = [",".join([" ".join(line), "yn"["good" in line], "yn"["film" in line]]) for line in words]
        (root / f"texts-{split}.csv").write_text("text,good,film\n" + "\n".join(texts) + "\n")
    site = root / "site"
    site.mkdir()
    (site / "own_trunks.py").write_text(NETS)
    sys.path.insert(0, str(site))
    stored = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    save_file(stored.state_dict(), root / "wide.safetensors")
    yield root
    sys.path.remove(str(site))
    sys.modules.pop("own_trunks", None)


def column(root: Path, split: str, label: str, kind: str = "rows") -> DataRef:
    inputs = {"features": ["a", "b", "c"]} if kind == "rows" else {"text": "text"}
    options = {"path": f"{kind}-{split}.csv", **inputs, "label": label}
    return data.describe(DataEntry(name=f"{split}-{label}", source="csv", options=options), root)


def factory(root: Path, name: str, **more: str) -> ModelRef:
    options = {"factory": f"own_trunks:{name}", "modality": "tabular", "task": "regression", **more}
    return models.describe(ModelEntry(name="m", source="factory", options=options), root)


def net(root: Path, path: str) -> ModelRef:
    return models.describe(ModelEntry(name="m", source="transformers", options={"path": path}), root)


def both(root: Path, parent: ModelRef, *labels: str, heads: Any = None, kind: str = "rows", **recipe: Any) -> ModelRef:
    """A model of one task a label column."""
    heads = heads or {}
    tasks = tuple(TaskEntry(name=label, train=f"train-{label}", validation=f"eval-{label}", head=heads.get(label))
                  for label in labels)  # fmt: skip
    made = Recipe(**{**FAST, **recipe, "head": tasks[0].head})
    own = tasks[0]
    tune = Finetune(parent="m", train=own.train, validation=own.validation, recipe=made, tasks=tasks)
    found = {f"{split}-{label}": column(root, split, label, kind) for split in ("train", "eval") for label in labels}
    return describe_joint(ModelEntry(name="both", source="finetune", finetune=tune), parent, found)


def values(found: Any) -> dict[str, float]:
    return {f"{one.name} {one.of}": one.value for one in found.measurements}


def audited(root: Path, ref: ModelRef) -> Any:
    return evidence(Multitask(), Subject(model=ref, data=ref.validation, runtime=RUNTIME), root)


def test_the_model_is_the_first_tasks_own(root: Path) -> None:
    ref = both(root, net(root, "encoder"), "good", "film", heads={"good": 2, "film": 2}, kind="texts", seeds=1)
    run = make(FineTune(ref, 1, RUNTIME), root)
    model = make(Model(ref, RUNTIME), root)
    loader = make(Batches(ref, ref.validation, RUNTIME), root)  # type: ignore[arg-type]  # a fine-tune has it
    with torch.no_grad():
        right = [(model.logits(batch.inputs).argmax(1) == batch.labels).sum() for batch in loader]
    assert int(sum(right)) == run.validation_correct[-1] == run.joint.tasks[0].validation_correct[-1]
    assert run.changes.tensors[-2:] == ("classifier.weight", "classifier.bias")
    assert run.joint.shared == sum(run.changes.sizes[:-2])
    assert [ref.name, *(task.model.name for task in ref.tasks)] == ["both", "both.good", "both.film"]
    assert ref.classes == ("n", "y")


def test_a_task_alone_is_the_run_that_a_spec_without_tasks_would_have(root: Path) -> None:
    ref = both(root, factory(root, "wide"), "first", "second")
    tune = Finetune(parent="m", train="x", validation="y", recipe=Recipe(**FAST))
    pair = (column(root, split, "second") for split in ("train", "eval"))
    alone = describe_finetune(ModelEntry(name="other", source="finetune", finetune=tune), factory(root, "wide"), *pair)
    assert FineTune(alone, 1, RUNTIME).key == FineTune(ref.tasks[1].model, 1, RUNTIME).key
    assert ref.digest != alone.digest and "tasks" not in tune.to_json()


def test_tasks_that_get_along_lose_nothing(root: Path) -> None:
    found = values(audited(root, both(root, factory(root, "wide"), "first", "sum", heads={})))
    assert found["gradient_conflict first, sum"] < 0.5
    assert abs(found["task_gap first"]) < 0.1 and abs(found["task_gap sum"]) < 0.1


def test_the_same_task_twice_is_no_conflict_and_no_gap(root: Path) -> None:
    ref = both(root, factory(root, "wide"), "first", "first")
    twice = ref.model_copy(update={"tasks": (ref.tasks[0], ref.tasks[1].model_copy(update={"name": "again"}))})
    found = values(audited(root, twice))
    assert found["gradient_conflict first, again"] == 0
    assert found["task_gap first"] == found["task_gap again"] == pytest.approx(0, abs=0.02)


def test_two_tasks_that_one_narrow_trunk_cannot_serve_conflict_and_pay(root: Path) -> None:
    """The trunk is a single number: alone it becomes the label, together it has to choose."""
    recipe = {"steps": 200, "optimizer": "sgd", "lr": 0.05, "momentum": 0.5}
    found = values(audited(root, both(root, factory(root, "narrow"), "first", "second", **recipe)))
    assert found["gradient_conflict first, second"] > 0.6
    assert found["task_gap first"] + found["task_gap second"] > 0.5


def test_numbers_and_classes_share_a_trunk(root: Path) -> None:
    evidence = audited(root, both(root, factory(root, "wide"), "first", "sign", heads={"sign": 2}))
    assert {one.of for one in evidence.measurements if one.name == "task_gap"} == {"first", "sign"}
    table = evidence.blocks[0]
    assert [row[1] for row in table.rows] == ["loss", "accuracy"]


def test_a_frozen_trunk_has_nothing_to_fight_for(root: Path) -> None:
    with pytest.raises(NotApplicable, match="the trunk is frozen"):
        audited(root, both(root, factory(root, "wide"), "first", "sum", freeze=("0.*",), steps=10))


def test_together_and_alone_begin_with_the_same_head_and_see_the_same_batches(root: Path) -> None:
    """With a frozen trunk the tasks do not meet: their curves must be those of training alone."""
    parent = factory(root, "wide", weights="wide.safetensors")
    ref = both(root, parent, "sign", "sum", heads={"sign": 2}, freeze=("0.*",))
    found: Tasks = make(TasksOf(ref, RUNTIME), root)
    for run, *alone in zip(found.together.runs, *(each.runs for each in found.alone), strict=True):
        for task, single in zip(run.joint.tasks, alone, strict=True):  # type: ignore[union-attr]  # it has tasks
            assert task.loss == pytest.approx(single.loss, rel=1e-6)
            assert task.validation_loss == pytest.approx(single.validation_loss, rel=1e-6)


def test_an_encoder_without_a_pooling_layer_gets_one_for_all(root: Path) -> None:
    ref = both(root, net(root, "bare"), "good", "film", heads={"good": 2, "film": 2}, kind="texts", seeds=1, steps=10)
    run = make(FineTune(ref, 1, RUNTIME), root)
    assert np.isfinite(run.joint.cosine).all() and run.joint.shared == sum(run.changes.sizes[:-2])


def test_a_model_without_a_head_says_so(root: Path) -> None:
    ref = both(root, factory(root, "headless"), "first", "sum")
    with pytest.raises(SourceError, match="found no linear layer of") as caught:
        make(FineTune(ref, 1, RUNTIME), root)
    assert caught.value.where == ("models", "both", "finetune", "tasks") and "last linear layer" in caught.value.hint


@pytest.mark.parametrize(
    ("path", "heads", "message", "where"),
    [
        ("encoder", {"good": 2}, r"finetune\.tasks\.film: 'm' has no head to train", ("film", "head")),
        ("encoder", {"good": 2, "film": 3}, r"finetune\.tasks\.film\.head: expected as many classes", ("film", "head")),
        ("masked", {}, r"finetune\.tasks: 'm' is a language model", ()),
        ("vit", {"good": 2, "film": 2}, r"tasks\.good\.data: data\.train-good holds text data, but 'm' takes image",
         ("good", "data")),
    ],
)  # fmt: skip
def test_tasks_that_cannot_be_meant_are_errors_at_their_place(
    root: Path, path: str, heads: dict[str, int], message: str, where: tuple[str, ...]
) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        both(root, net(root, path), "good", "film", heads=heads, kind="texts")
    assert caught.value.where == ("models", "both", "finetune", "tasks", *where) and caught.value.hint
