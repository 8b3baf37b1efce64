"""Faithfulness and infidelity of texts, whatever the model gives: tokens, similarities, outputs, classes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from making import make

from auditor.artifacts.faithfulness import Faithfulness, faithfulness_of
from auditor.artifacts.infidelity import Infidelities, infidelity_of
from auditor.checks.interpretability.faithfulness import Faithfulness as Check
from auditor.sources import data, labels, models
from auditor.spec.model import DataEntry, ModelEntry
from auditor.subject import Runtime, Subject
from tests.tiny import WORDS, save_all

TEXTS = ["a good film", "bad", "the very very good film a", "very bad film", "good good bad film", "the film"]
SETTINGS: dict[str, Any] = {"points": 4, "nulls": 8, "groups": 4, "grid": 16, "scale": "logit"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import transformers as hf

    root = tmp_path_factory.mktemp("texts")
    save_all(root)
    torch.manual_seed(1)
    hf.BertForSequenceClassification(hf.BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=16, num_labels=3,
    )).save_pretrained(root / "classes")  # fmt: skip
    hf.BertTokenizerFast(vocab={word: index for index, word in enumerate(WORDS)}).save_pretrained(root / "classes")
    (root / "texts.csv").write_text("text\n" + "\n".join(TEXTS) + "\n")
    return root


def subject_of(root: Path, name: str) -> Subject:
    ref = models.describe(ModelEntry(name="m", source="transformers", options={"path": name}), root)
    rows = data.describe(DataEntry(name="d", source="csv", options={"path": "texts.csv", "text": "text"}), root)
    return Subject(model=ref, data=labels.match(ref, rows), runtime=Runtime(batch_size=4))


@pytest.mark.parametrize(("name", "target", "probable"), [
    ("classes", "predicted", True), ("masked", 'token:"good"', False), ("masked", "predicted", True),
    ("encoder", "similarity:#0", False), ("regression", "output[0]", False),
])  # fmt: skip
def test_every_kind_of_target_is_asked(root: Path, name: str, target: str, probable: bool) -> None:
    subject = subject_of(root, name)
    found: Faithfulness = make(faithfulness_of(subject, ("saliency",), 6, target, **SETTINGS), root)
    assert found.deletion.shape == (1, 2, 6, 5)
    lengths = {text: len(text.split()) for text in TEXTS}
    assert sorted(found.parts) == sorted(lengths.values())  # special tokens and padding are no parts
    assert set(found.eraser) == ({"comprehensiveness", "sufficiency"} | NULLS if probable else set())
    np.testing.assert_allclose(found.full, found.explained.scores, atol=1e-5)
    single = found.parts == 1
    assert not found.judged()[single].any() and single.sum() == 1
    other: Infidelities = make(infidelity_of(subject, ("saliency",), 6, target, draws=8, nulls=8, grid=16), root)
    assert other.map.shape == (1, 2, 6) and ((other.map >= 0) & (other.map <= 1)).all()


NULLS = {"comprehensiveness_null", "sufficiency_null"}


def test_a_score_that_is_no_probability_is_not_shown_as_one(root: Path) -> None:
    check = Check(scale="probability", target="output[0]")
    assert "no probability" in str(check.applies(subject_of(root, "regression")))
    assert Check(scale="probability").applies(subject_of(root, "classes")) is None
    assert Check(target="output[0]").applies(subject_of(root, "regression")) is None
    assert "none of a model" in str(Check(target="output[0]").applies(subject_of(root, "classes")))
