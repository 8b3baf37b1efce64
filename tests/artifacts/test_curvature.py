"""The curvature of models of every task, through sources and batches; one run serves both checks."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from auditor.artifacts.curvature import Curvature, CurvatureOf, curvature_of, without_loss
from auditor.checks.optimizability.sharpness import Sharpness
from auditor.checks.optimizability.spectrum import Spectrum
from auditor.execute.codec import decode, encode
from auditor.sources import data, labels, models
from auditor.spec.model import DataEntry, ModelEntry
from auditor.subject import Runtime, Subject
from tests.tiny import word_level
from tests.tiny_transformers import bert, made, saved_texts

TINY: dict[str, Any] = {"num_hidden_layers": 1, "hidden_size": 4, "num_attention_heads": 2, "intermediate_size": 6}


def asked(subject: Subject, rows: int = 40, **more: Any) -> CurvatureOf:
    given = {"rows": rows, "matrix": "hessian", "layers": (), "top": 2, "probes": 10, **more}
    return curvature_of(subject, **given)  # type: ignore[arg-type]


def language(root: Path, kind: str) -> Subject:
    from transformers import BertConfig, BertForMaskedLM, LlamaConfig, LlamaForCausalLM

    words = ["a", "dog", "cat", "sits", "runs", "here", "there"]
    tokenizer = word_level({word: at for at, word in enumerate(["[PAD]", "[UNK]", "[SEP]", "[MASK]", *words])})
    tokenizer.mask_token = "[MASK]"
    torch.manual_seed(0)
    plain = {"vocab_size": len(tokenizer), "max_position_embeddings": 16, **TINY}
    net = LlamaForCausalLM(LlamaConfig(**plain)) if kind == "causal" else BertForMaskedLM(BertConfig(**plain))
    net.save_pretrained(root / kind)
    tokenizer.save_pretrained(root / kind)
    rng = np.random.default_rng(0)
    rows = [" ".join(rng.choice(words, rng.integers(3, 7))) for _ in range(40)]
    (root / "texts.csv").write_text("text\n" + "\n".join(rows))
    ref = models.describe(ModelEntry(name="m", source="transformers", options={"path": kind}), root)
    entry = DataEntry(name="rows", source="csv", options={"path": "texts.csv", "text": "text"})
    return Subject(model=ref, data=labels.match(ref, data.describe(entry, root)), runtime=Runtime(batch_size=16))


@pytest.mark.parametrize("kind", ["causal", "masked"])
def test_language_models_by_the_loss_of_their_tokens(tmp_path: Path, kind: str) -> None:
    subject = language(tmp_path, kind)
    assert without_loss(subject) is None
    need = asked(subject, layers=("*norm*", "*LayerNorm*"))  # a few parameters: each takes three products
    found: Curvature = made(need, tmp_path)
    assert found.found.full and found.found.sharpness > 0
    assert found.batches == 3 and found.rows == 40
    assert found.units > 40 if kind == "causal" else 0 < found.units < 100
    again: Curvature = made(need, tmp_path)
    assert (again.found.values == found.found.values).all()


def test_a_classifier_of_texts_and_one_layer_of_it(tmp_path: Path) -> None:
    subject = saved_texts(tmp_path, bert(**TINY))
    found: Curvature = made(asked(subject, layers=("classifier",), matrix="gauss_newton"), tmp_path)
    assert found.found.size == 10 and found.units == 64 and found.batches == 2
    assert found.found.density.nodes.min() > -1e-6
    assert decode(*encode(found), Curvature).found.values == pytest.approx(found.found.values)
    assert "Gauss-newton of 10 parameters" in found.notes()[0]


def test_both_checks_share_one_run(tmp_path: Path) -> None:
    subject = saved_texts(tmp_path, bert(**TINY))
    (one,), (two,) = Sharpness().needs(subject).values(), Spectrum().needs(subject).values()
    assert one.key == two.key
    assert one.key != asked(subject).key
    assert one.cost().products > 0


def test_who_has_no_loss(tmp_path: Path) -> None:
    subject = saved_texts(tmp_path, bert(**TINY))
    assert without_loss(subject) is None
    encoder = subject.model_copy(update={"model": subject.model.model_copy(update={"task": "encoder"})})
    assert without_loss(encoder) == "an encoder has no loss"
    assert without_loss(subject.model_copy(update={"data": None})) == "without a data set there is no loss"
    bare = subject.data.model_copy(update={"labelled": False}) if subject.data else None
    assert "needs labels" in str(without_loss(subject.model_copy(update={"data": bare})))
