"""task.data: planted copies, conflicts, wrong labels, wrong inputs, cut texts, corrupt pictures; healthy twins."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from making import ASSETS, evidence, make
from PIL import Image

from auditor.artifacts.content import content_of
from auditor.blocks import Bars, Images, Table
from auditor.checks.task.data import Data
from auditor.evidence import Evidence
from auditor.judge.intervals import interval
from auditor.sources import data, labels, models
from auditor.spec.model import DataEntry, ModelEntry
from auditor.subject import DataRef, ModelRef, Runtime, Subject

CLASSES = tuple(str(digit) for digit in range(10))


def _split(name: str) -> tuple[Any, Any]:
    entry = DataEntry(name=name, source="sklearn", options={"name": "digits", "split": name})
    found = data.load(data.describe(entry, ASSETS), ASSETS)
    pixels = np.stack([np.asarray(found.fetch(row)) for row in range(found.rows)])
    return pixels, np.array([int(label) for label in found.labels])


(TRAIN, TRAIN_LABELS), (EVAL, EVAL_LABELS) = _split("train"), _split("test")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with net/: the shipped network on digits, which learned from scikit-learn's training split."""
    folder = tmp_path_factory.mktemp("data-check")
    shutil.copytree(ASSETS / "assets" / "digits-shipped", folder / "net")
    return folder


def net(root: Path, **options: Any) -> ModelRef:
    return models.describe(ModelEntry(name="net", source="transformers", options={"path": "net", **options}), root)


def arrays(root: Path, name: str, inputs: Any, targets: Any, groups: Any = None, modality: str = "image") -> DataRef:
    more = {} if groups is None else {"groups": groups}
    np.savez(root / f"{name}.npz", inputs=inputs, labels=targets, **more)
    options: dict[str, Any] = {"path": f"{name}.npz", "inputs": "inputs", "targets": "labels", "modality": modality}
    options |= {"classes": CLASSES} | ({} if groups is None else {"groups": "groups"})
    return data.describe(DataEntry(name=name, source="tensors", options=options), root)


def audit(
    root: Path, mine: DataRef, train: DataRef | None = None, model: ModelRef | None = None, **more: Any
) -> Evidence:
    model = model or net(root)
    others = {"train": labels.match(model, train)} if train else {}
    subject = Subject(
        model=model, data=labels.match(model, mine), others=others, runtime=Runtime(batch_size=128, seed=0)
    )
    return evidence(Data(**more), subject, root, seed=1)


def value(found: Evidence, name: str, of: str = "") -> float:
    (one,) = [each for each in found.measurements if (each.name, each.of) == (name, of)]
    return one.value


def bounds(found: Evidence, name: str, of: str = "") -> tuple[float, float]:
    (one,) = [each for each in found.measurements if (each.name, each.of) == (name, of)]
    return interval(one, 0.95)


def titles(found: Evidence) -> list[str]:
    return [block.title for block in found.blocks]


@pytest.fixture(scope="module")
def healthy(root: Path) -> Evidence:
    train = arrays(root, "train", TRAIN, TRAIN_LABELS)
    return audit(root, arrays(root, "eval", EVAL, EVAL_LABELS), train)


def test_sound_data_show_nothing(healthy: Evidence) -> None:
    for name in ("leak_share", "conflict_share", "corrupt_share"):
        assert value(healthy, name) == 0
    assert value(healthy, "label_noise_share") <= 0.01
    assert value(healthy, "label_noise_share", "train") <= 0.01
    low, high = bounds(healthy, "shift_auroc")
    assert low < 0.5 < high + 0.02 and high < 0.6
    assert value(healthy, "input_shift", "mean") < 0.05 and value(healthy, "input_shift", "variance") < 0.05
    assert titles(healthy)[:1] == ["Shift by feature"]


def test_all_that_is_measured_was_declared_and_the_rest_is_explained(healthy: Evidence) -> None:
    declared = {metric.name for metric in Data.metrics}
    assert {each.name for each in healthy.measurements} == declared - {"truncated_share"}
    assert healthy.notes == ()
    assert set(healthy.samples) == {"leak_share", "conflict_share"}


def test_planted_leaks_are_counted_and_shown(root: Path) -> None:
    inputs, targets = EVAL.copy(), EVAL_LABELS.copy()
    inputs[:50], targets[:50] = TRAIN[:50], TRAIN_LABELS[:50]
    noisy = inputs[:25].astype(int) + np.random.default_rng(0).integers(-4, 5, inputs[:25].shape)
    inputs[:25] = np.clip(noisy, 0, 255)  # half of them are no longer equal, only alike
    train = arrays(root, "train", TRAIN, TRAIN_LABELS)
    found = audit(root, arrays(root, "leaky", inputs, targets), train)
    assert value(found, "leak_share") == 50 / len(EVAL)
    assert sum(found.samples["leak_share"]) == 50
    block = next(block for block in found.blocks if isinstance(block, Images))
    assert block.title == "Leaked examples" and [len(row.pictures) for row in block.rows] == [6, 6]
    assert [row.label for row in block.rows] == ["evaluation", "its copy"]
    assert [a.data for a in block.rows[0].pictures] == [b.data for b in block.rows[1].pictures]  # equal ones come first


def test_planted_conflicts_are_counted_and_shown(root: Path) -> None:
    inputs, targets = EVAL.copy(), EVAL_LABELS.copy()
    inputs[:20], targets[:20] = inputs[20:40], (targets[20:40] + 1) % 10
    found = audit(root, arrays(root, "torn", inputs, targets))
    assert value(found, "conflict_share") == 40 / len(EVAL)
    assert "Conflicting labels" in titles(found)


@pytest.mark.parametrize(("share", "low", "high"), [(0.2, 0.14, 0.24), (1.0, 0.75, 1.0)])
def test_planted_wrong_labels_are_doubted(root: Path, share: float, low: float, high: float) -> None:
    rng = np.random.default_rng(3)
    targets = EVAL_LABELS.copy()
    wrong = rng.random(len(targets)) < share
    targets[wrong] = rng.integers(0, 10, wrong.sum()) if share == 1 else (targets[wrong] + rng.integers(1, 10)) % 10
    found = audit(root, arrays(root, "noisy", EVAL, targets))
    assert low <= value(found, "label_noise_share") <= high
    assert "Doubtful labels" in titles(found)


def test_small_classes_are_left_out_of_the_probe_and_named(root: Path) -> None:
    few = np.concatenate([np.flatnonzero(EVAL_LABELS != 3), np.flatnonzero(EVAL_LABELS == 3)[:5]])
    found = audit(root, arrays(root, "few", EVAL[few], EVAL_LABELS[few]))
    assert any(
        "leaves out 1 classes of fewer than 20 examples, or of one group alone: 3." in note for note in found.notes
    )
    tiny = audit(root, arrays(root, "tiny", EVAL[:30], EVAL_LABELS[:30]))
    assert not [each for each in tiny.measurements if each.name == "label_noise_share"]
    assert any("needs two classes of at least 20" in note for note in tiny.notes)


@pytest.mark.parametrize(
    "transforms", [{"mean": [0.485], "std": [0.229]}, {"mean": [0.0], "std": [1.0]}, {"mean": [127.5], "std": [127.5]}]
)
def test_a_wrong_normalization_shows_at_the_first_normalization_layer(root: Path, transforms: Any) -> None:
    mine = arrays(root, "eval", EVAL, EVAL_LABELS)
    found = audit(root, mine, model=net(root, transforms=transforms))
    lowest = max(bounds(found, "input_shift", of)[0] for of in ("mean", "variance"))
    assert lowest >= 0.1


def test_another_domain_moves_inputs_and_is_told_apart(root: Path) -> None:
    negative = 255 - EVAL
    found = audit(root, arrays(root, "negative", negative, EVAL_LABELS),
                  arrays(root, "train", TRAIN, TRAIN_LABELS))  # fmt: skip
    assert bounds(found, "shift_auroc")[0] > 0.95
    assert value(found, "input_shift", "mean") > 0.1
    bars = next(block for block in found.blocks if isinstance(block, Bars))
    assert bars.bars[0].label in ("brightness", "contrast") and bars.bars[0].value > 0.9


def test_without_training_data_the_note_says_how_to_name_them(root: Path) -> None:
    found = audit(root, arrays(root, "eval", EVAL, EVAL_LABELS))
    names = {each.name for each in found.measurements}
    assert not names & {"leak_share", "shift_auroc"}
    assert any("with: {train: NAME}" in note for note in found.notes)


@pytest.mark.slow
def test_groups_are_the_unit_and_shared_ones_are_named(root: Path) -> None:
    groups = np.array([f"g{row % 60}" for row in range(len(EVAL))])
    both = np.array([f"g{row % 200 + 50}" for row in range(len(TRAIN))])
    found = audit(root, arrays(root, "grouped", EVAL, EVAL_LABELS, groups),
                  arrays(root, "train-grouped", TRAIN, TRAIN_LABELS, both))  # fmt: skip
    units = {each.name: each.unit_of_resampling for each in found.measurements if each.of != "train"}
    assert units["leak_share"] == units["input_shift"] == "group"
    assert any("10 of 60 groups of grouped occur in the training data too." in note for note in found.notes)


def test_copies_of_a_wrong_label_do_not_vouch_for_it(root: Path) -> None:
    """A hundred pictures, each six times with one label, a fifth of them wrong: the wrong ones outnumber no one."""
    rng, rows = np.random.default_rng(5), np.flatnonzero(EVAL_LABELS < 4)[:100]
    inputs, given = EVAL[rows], EVAL_LABELS[rows].copy()
    wrong = rng.random(100) < 0.2
    given[wrong] = (given[wrong] + 1) % 4
    found = audit(root, arrays(root, "copied", np.tile(inputs, (6, 1, 1)), np.tile(given, 6)))
    (doubted,) = [each for each in found.measurements if each.name == "label_noise_share"]
    assert 0.7 * wrong.mean() < doubted.value < 1.3 * wrong.mean()
    assert (doubted.n, doubted.unit_of_resampling) == (100, "group")
    assert any("500 rows repeat others" in note for note in found.notes)


def test_a_class_of_one_group_is_not_held_against_its_labels(root: Path) -> None:
    groups = np.array(["alone" if label == 3 else f"g{row % 60}" for row, label in enumerate(EVAL_LABELS)])
    grouped = arrays(root, "one-group", EVAL, EVAL_LABELS, groups)
    found = audit(root, grouped, arrays(root, "train-one-group", TRAIN, TRAIN_LABELS, TRAIN_LABELS.astype(str)))
    assert value(found, "label_noise_share") < 0.05
    assert any("or of one group alone: 3." in note for note in found.notes)
    assert not [each for each in found.measurements if (each.name, each.of) == ("label_noise_share", "train")]


def test_a_corrupt_picture_is_one_unreadable_row(root: Path) -> None:
    for digit in ("0", "1"):
        (root / "folder" / digit).mkdir(parents=True)
        for at in np.flatnonzero(int(digit) == EVAL_LABELS)[:30]:
            Image.fromarray(EVAL[at]).save(root / "folder" / digit / f"{at}.png")
    (root / "folder" / "0" / "broken.png").write_bytes(b"\x89PNG no picture")
    entry = DataEntry(name="folder", source="image_folder", options={"path": "folder"})
    found = audit(root, data.describe(entry, root))
    assert value(found, "corrupt_share") == 1 / 61
    assert any("0/broken.png" in note for note in found.notes)


LINE = "[PAD] [UNK] [CLS] [SEP] [MASK] good bad film a the very dull fine scene story plot slow bright"
WORDS = LINE.split(" ")


@pytest.fixture(scope="module")
def bert(root: Path) -> ModelRef:
    """A small BERT with random weights and a window of 16 tokens."""
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    torch.manual_seed(0)
    config = BertConfig(vocab_size=len(WORDS), hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
                        intermediate_size=8, max_position_embeddings=16, id2label={0: "0", 1: "1"})  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(root / "bert")
    vocabulary = {word: index for index, word in enumerate(WORDS)}
    BertTokenizer(vocab=vocabulary).save_pretrained(root / "bert")
    return models.describe(ModelEntry(name="bert", source="transformers", options={"path": "bert"}), root)


def reviews(root: Path, name: str, texts: list[str]) -> DataRef:
    lines = [f'"{text}",{row % 2}' for row, text in enumerate(texts)]
    (root / f"{name}.csv").write_text("\n".join(["review,label", *lines]))
    options = {"path": f"{name}.csv", "text": "review", "label": "label"}
    return data.describe(DataEntry(name=name, source="csv", options=options), root)


def test_cut_and_leaked_texts(root: Path, bert: ModelRef) -> None:
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS[5:], 10)) for _ in range(120)]
    mine = [*texts[:50], *(f"{text} {text}" for text in texts[50:60])]
    train = [*texts[60:], *(f"{text.upper()}!" for text in texts[:12])]
    found = audit(root, reviews(root, "reviews", mine), reviews(root, "more", train), bert)
    assert value(found, "truncated_share") == 10 / 60
    assert value(found, "leak_share") == 12 / 60
    table = next(block for block in found.blocks if isinstance(block, Table))
    assert table.title == "Leaked examples" and len(table.rows) == 6
    assert any("10 of 60 texts of reviews are longer than 16 tokens" in note for note in found.notes)
    assert any("layer norms keep none" in note for note in found.notes)


def test_rows_of_numbers(root: Path) -> None:
    entry = {name: DataEntry(name=name, source="sklearn", options={"name": "breast_cancer", "split": name})
             for name in ("train", "test")}  # fmt: skip
    mine, train = (data.describe(entry[name], ASSETS) for name in ("test", "train"))
    model = ModelRef(digest="columns", name="net", source="factory", entry={}, architecture="net", modality="tabular",
                     task="encoder", outputs=2, classes=mine.classes)  # fmt: skip
    subject = Subject(model=model, data=mine, others={"train": train})
    found = evidence(Data(), subject, ASSETS, seed=1)
    assert value(found, "leak_share") == 0 and bounds(found, "shift_auroc")[0] < 0.5
    leaky = evidence(Data(), subject.model_copy(update={"data": train}), ASSETS, seed=1)
    assert value(leaky, "leak_share") == 1
    assert any("labels are not classes" in note for note in leaky.notes)
    (table,) = [block for block in leaky.blocks if isinstance(block, Table)]
    assert table.rows[0][2] == table.rows[0][5] != ""


def test_data_without_labels_have_neither_conflicts_nor_wrong_labels(root: Path) -> None:
    mine = arrays(root, "eval", EVAL, EVAL_LABELS)
    subject = Subject(model=net(root), data=mine, runtime=Runtime(batch_size=128))
    assert mine.labels == {}  # not matched with the model's head
    content = make(content_of(subject), root)
    assert not content.labelled and content.class_name(0) == "" and content.total == len(EVAL)


@pytest.mark.slow
def test_equal_runs_give_equal_evidence(root: Path, healthy: Evidence) -> None:
    train = arrays(root, "train", TRAIN, TRAIN_LABELS)
    assert audit(root, arrays(root, "eval", EVAL, EVAL_LABELS), train) == healthy
    assert not any(isinstance(block, Table) and block.title == "Leaked examples" for block in healthy.blocks)
