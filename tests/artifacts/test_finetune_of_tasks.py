"""Each task is fine-tuned, stored, and loaded again as the model that was trained; heads fit the training data."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from making import evidence, make

from auditor.artifacts.finetune import FineTune
from auditor.artifacts.roots import Batches, Model
from auditor.artifacts.trajectory import Trajectories
from auditor.checks.optimizability.convergence import Convergence
from auditor.checks.optimizability.gradient_norm import GradientNorm
from auditor.checks.optimizability.landscape import Landscape
from auditor.checks.traceability.change_rate import ChangeRate
from auditor.errors import SourceError
from auditor.sources import data, models
from auditor.sources.models.finetune import describe_finetune
from auditor.sources.models.head import heads_of, renew_head
from auditor.spec.model import DataEntry, Finetune, ModelEntry
from auditor.subject import DataRef, Lora, ModelRef, Recipe, Runtime, Stop, Subject
from tests.tiny import save_all

RUNTIME = Runtime(batch_size=16)
NET = """
from torch import nn

def table(outputs=1):
    return nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, outputs))
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Tiny models; texts that are good or bad, tables and pictures, each to train on and to validate on."""
    root = tmp_path_factory.mktemp("tasks")
    save_all(root)
    draw = np.random.default_rng(0)
    words = ["good", "bad", "film", "a", "the", "very", "very film", "the film"]
    for split in ("train", "eval"):
        lines = [" ".join(draw.choice(words, draw.integers(2, 8))) for _ in range(48)]
        kinds = ["pos" if line.count("good") >= line.count("bad") else "neg" for line in lines]
        (root / f"texts-{split}.csv").write_text(
            "text,kind\n" + "".join(f"{line},{kind}\n" for line, kind in zip(lines, kinds, strict=True))
        )
        rows = draw.normal(size=(48, 3))
        cells = [",".join(f"{value:.4f}" for value in (*row, row.sum())) for row in rows]
        (root / f"rows-{split}.csv").write_text("a,b,c,price\n" + "\n".join(cells) + "\n")
        labels = draw.integers(0, 3, 48)
        pictures = draw.normal(size=(48, 3, 16, 16)) + labels[:, None, None, None]
        np.savez(root / f"pictures-{split}.npz", inputs=pictures.astype(np.float32), labels=labels)
    site = root / "site"
    site.mkdir()
    (site / "own_tables.py").write_text(NET)
    sys.path.insert(0, str(site))
    yield root
    sys.path.remove(str(site))
    sys.modules.pop("own_tables", None)


def texts(root: Path, split: str, label: bool) -> DataRef:
    options = {"path": f"texts-{split}.csv", "text": "text", **({"label": "kind"} if label else {})}
    return data.describe(DataEntry(name=split, source="csv", options=options), root)


def rows(root: Path, split: str) -> DataRef:
    options = {"path": f"rows-{split}.csv", "features": ["a", "b", "c"], "label": "price"}
    return data.describe(DataEntry(name=split, source="csv", options=options), root)


def pictures(root: Path, split: str) -> DataRef:
    return data.describe(DataEntry(name=split, source="tensors", options={"path": f"pictures-{split}.npz"}), root)


def tuned(root: Path, parent: ModelRef, kind: Any, *args: Any, **recipe: Any) -> ModelRef:
    made = Recipe(**{"steps": 24, "batch_size": 16, "record_every": 6, "seeds": 1, "lr": 1e-2, "keep": 2, **recipe})
    finetune = Finetune(parent="m", train="train", validation="eval", recipe=made)
    entry = ModelEntry(name="tuned", source="finetune", finetune=finetune)
    return describe_finetune(entry, parent, *(kind(root, split, *args) for split in ("train", "eval")))


def net(root: Path, path: str, **options: Any) -> ModelRef:
    return models.describe(ModelEntry(name="m", source="transformers", options={"path": path, **options}), root)


def factory(root: Path, **options: Any) -> ModelRef:
    given = {"factory": "own_tables:table", "modality": "tabular", "task": "regression", **options}
    return models.describe(ModelEntry(name="m", source="factory", options=given), root)


def learned(root: Path, ref: ModelRef, runtime: Runtime = RUNTIME) -> Any:
    """The run, once its loss has fallen and its last weights give the model's own loss on the validation data."""
    run = make(FineTune(ref, 1, runtime), root)
    assert np.isfinite(run.loss).all() and run.validation_loss[-1] < run.validation_loss[0]
    model = make(Model(ref, runtime), root)
    kept = model.module.state_dict()
    assert {name: value.tobytes() for name, value in run.weights().items()} == {
        name: value.numpy().tobytes() for name, value in kept.items()
    }
    return run


@pytest.mark.parametrize("path", ["gpt", "llama", "masked"])
def test_language_models_learn_the_tokens_of_texts_without_labels(root: Path, path: str) -> None:
    ref = tuned(root, net(root, path), texts, False)
    assert ref.task == ("masked_lm" if path == "masked" else "causal_lm")
    run = learned(root, ref)
    assert run.accuracy() is None
    assert "Losses are means over tokens." in run.remarks


def test_the_loss_of_a_causal_model_is_that_of_a_slow_loop(root: Path) -> None:
    ref = tuned(root, net(root, "gpt"), texts, False, validation_rows=48)
    run = learned(root, ref)
    model = make(Model(ref, RUNTIME), root)
    loader = make(Batches(ref, ref.validation, RUNTIME), root)  # type: ignore[arg-type]  # a fine-tune has it
    total, count = 0.0, 0
    for row in range(48):
        ids = torch.tensor(loader.encoder.tokenizer(loader.dataset.fetch(row))["input_ids"])
        with torch.no_grad():
            odds = torch.log_softmax(model.module(ids[None]).logits[0], dim=1)
        total -= float(odds[torch.arange(len(ids) - 1), ids[1:]].sum())
        count += len(ids) - 1
    assert run.validation_loss[-1] == pytest.approx(total / count, rel=1e-5)


def test_a_regression_of_texts_and_one_of_columns(root: Path) -> None:
    table = tuned(root, factory(root), rows)
    assert table.task == "regression" and table.train is not None and table.train.task == "regression"
    run = learned(root, table)
    loader = make(Batches(table, table.validation, RUNTIME), root)  # type: ignore[arg-type]  # a fine-tune has it
    model = make(Model(table, RUNTIME), root)
    with torch.no_grad():
        errors = [(model.logits(batch.inputs)[:, 0] - batch.labels).square() for batch in loader]
    assert run.validation_loss[-1] == pytest.approx(float(torch.cat(errors).mean()), rel=1e-5)
    assert run.accuracy() is None
    assert "Losses are mean squared errors, in squared units of the label, not nats." in run.remarks


def test_checks_read_a_run_without_classes(root: Path) -> None:
    ref = tuned(root, net(root, "gpt"), texts, False)
    trajectory = make(Trajectories(ref, RUNTIME), root)
    found = Convergence().measure(trajectory=trajectory)
    assert [block.title for block in found.blocks if "Accuracy" in str(block.title)] == []
    assert {one.name for one in found.measurements} >= {"final_loss_validation", "loss_auc_train"}
    assert GradientNorm().measure(trajectory=trajectory).blocks
    assert ChangeRate().measure(trajectory=trajectory).blocks


@pytest.mark.parametrize("path", ["encoder", "bare"])
def test_an_encoder_of_texts_becomes_the_classifier_of_its_kind(root: Path, path: str) -> None:
    ref = tuned(root, net(root, path), texts, True, head=2)
    assert (ref.task, ref.architecture, ref.outputs) == ("classification", "BertForSequenceClassification", 2)
    assert ref.classes == ("neg", "pos") and not any("averaged" in each for each in ref.assumptions)
    run = learned(root, ref)
    assert run.accuracy() is not None and len(run.train_correct) == len(run.record_steps)
    model = make(Model(ref, RUNTIME), root)
    assert model.module.config.num_labels == 2


@pytest.mark.parametrize(("path", "architecture"), [("vit", "ViT"), ("res", "ResNet")])
def test_an_encoder_of_pictures_becomes_the_classifier_of_its_kind(root: Path, path: str, architecture: str) -> None:
    ref = tuned(root, net(root, path), pictures, head=3)
    assert ref.architecture == f"{architecture}ForImageClassification"
    assert learned(root, ref).validation_correct[-1] > 16


def test_a_regression_becomes_a_classifier_by_a_new_head(root: Path) -> None:
    ref = tuned(root, net(root, "regression"), texts, True, head=2)
    assert ref.task == "classification"
    learned(root, ref)
    assert make(Model(ref, RUNTIME), root).module.config.problem_type == "single_label_classification"


def test_adapters_and_frozen_parts_of_a_transformer(root: Path) -> None:
    recipe = {"head": 2, "lora": Lora(rank=2, targets=("*.query", "*.value")), "stop": Stop(patience=50)}
    ref = tuned(root, net(root, "encoder"), texts, True, **recipe, freeze=("classifier.bias",))
    run = learned(root, ref)
    kept = [name for name, is_trained in zip(run.changes.tensors, run.changes.trained, strict=True) if is_trained]
    assert "classifier.weight" in kept and all("lora_" in name for name in kept if name != "classifier.weight")
    assert len(kept) == 2 * 2 * 2 + 1
    assert "classifier.bias" in run.frozen and "bert.embeddings.word_embeddings.weight" in run.frozen
    assert f"{len(run.frozen)} of {len(run.changes.tensors)} tensors were left alone on purpose." in run.remarks


def test_what_a_recipe_asks_for_in_vain_is_not_silent(root: Path) -> None:
    asked = {"momentum": 0.9, "warmup": 24, "batch_size": 64}
    remarks = " ".join(make(FineTune(tuned(root, factory(root), rows, **asked), 1, RUNTIME), root).remarks)
    assert "`momentum` was not used" in remarks and "optimizer is adamw" in remarks
    assert "warm-up of 24 steps is as long as the run" in remarks and "Batches hold 48 rows" in remarks
    plain = {"momentum": 0.9, "warmup": 23, "optimizer": "sgd"}
    none = " ".join(make(FineTune(tuned(root, factory(root), rows, **plain), 1, RUNTIME), root).remarks)
    assert not any(word in none for word in ("momentum", "warm-up", "Batches"))


def test_reduced_precision_on_a_processor_is_not_silent(root: Path) -> None:
    run = make(
        FineTune(tuned(root, factory(root), rows), 1, RUNTIME.model_copy(update={"precision": "bfloat16"})), root
    )
    assert any("`precision: bfloat16` was not used to train" in each for each in run.remarks)


@pytest.mark.parametrize(
    ("path", "label", "recipe", "message"),
    [
        ("encoder", True, {}, "has no head to train"),
        ("masked", True, {"head": 2}, "is a language model, which is fine-tuned as one"),
        ("encoder", True, {"head": 5}, r"expected as many classes as data.train has \(2: neg, pos\), found 5"),
        ("encoder", False, {"head": 2}, "data.train has no labels to learn from"),
    ],
)
def test_heads_that_cannot_be_meant_are_errors(
    root: Path, path: str, label: bool, recipe: dict[str, Any], message: str
) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        tuned(root, net(root, path), texts, label, **recipe)
    assert caught.value.hint


TORCHVISION = [
    "resnet18", "mobilenet_v3_small", "squeezenet1_1", "densenet121", "efficientnet_b0", "shufflenet_v2_x0_5",
    "convnext_tiny", "mnasnet0_5", "googlenet",
]  # fmt: skip


@pytest.mark.parametrize("arch", TORCHVISION)
def test_every_kind_of_torchvision_head_is_found(arch: str) -> None:
    import torchvision  # type: ignore[import-untyped]  # it ships no stubs

    extra = {"aux_logits": False, "init_weights": False} if arch == "googlenet" else {}
    with torch.device("meta"):
        module = torchvision.models.get_model(arch, weights=None, num_classes=10, **extra)
        [head] = renew_head(module, 10, 4, "m")
    assert heads_of(module, 4, "m") == (head,)
    assert module(torch.zeros(2, 3, 64, 64, device="meta")).shape == (2, 4)


def test_both_heads_of_a_distilled_transformer_are_new() -> None:
    from transformers import DeiTConfig, DeiTForImageClassificationWithTeacher

    config = DeiTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=16,
                        patch_size=8, num_labels=7)  # fmt: skip
    module = DeiTForImageClassificationWithTeacher(config)
    assert renew_head(module, 7, 3, "m") == ("cls_classifier", "distillation_classifier")
    assert module(torch.zeros(2, 3, 16, 16)).logits.shape == (2, 3)


def test_a_body_as_wide_as_the_classes_is_not_taken_for_the_head() -> None:
    module = torch.nn.Sequential()
    module.add_module("fc", torch.nn.Linear(4, 10))
    module.add_module("after", torch.nn.Linear(10, 10))
    assert heads_of(module, 10, "m") == ("fc",)
    with pytest.raises(SourceError, match="found no linear layer of 3 outputs"):
        heads_of(module, 3, "m")


def test_merged_adapters_and_frozen_layers_have_a_landscape(root: Path) -> None:
    adapted = tuned(root, net(root, "llama"), texts, False, seeds=2, lora=Lora(rank=2, targets=("*q_proj",)))
    frozen = tuned(root, factory(root), rows, seeds=2, freeze=("0.*",))
    for ref in (adapted, frozen):
        subject = Subject(model=ref, data=ref.validation, runtime=RUNTIME)
        found = evidence(Landscape(rows=16, grid=0, points=3), subject, root)
        assert {each.name for each in found.measurements} == {"flatness", "path_barrier", "seed_barrier"}
        assert all(np.isfinite(each.value) and not each.censored for each in found.measurements)
        assert found.inapplicable == {}
