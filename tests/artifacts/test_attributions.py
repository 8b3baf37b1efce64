"""Saliency and Grad-CAM through real sources: one sweep, stored and brought back, shown as the model saw it."""

import doctest
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from making import make

from auditor.artifacts import explained
from auditor.artifacts.attributions import Attributions
from auditor.artifacts.explained import Explained
from auditor.artifacts.explanations import maps_of
from auditor.artifacts.predictions import Predictions
from auditor.blocks import Images, TokenMap
from auditor.checks.interpretability.grad_cam import GradCam
from auditor.checks.interpretability.saliency import Saliency
from auditor.checks.task.performance import Performance
from auditor.errors import SourceError
from auditor.execute.codec import decode, encode
from auditor.execute.sweep import sweep
from auditor.needs import Probe
from auditor.sources import data, labels, models
from auditor.spec.model import DataEntry, ModelEntry
from auditor.subject import Runtime, Subject

ASSETS = Path(__file__).parents[2] / "specs"
CHECKS = Performance(), Saliency(rows=32), GradCam(rows=32)


def described(root: Path, model: dict[str, Any], rows: DataEntry) -> Subject:
    ref = models.describe(ModelEntry(name="net", source="transformers", options=model), root)
    found = labels.match(ref, data.describe(rows, root))
    return Subject(model=ref, data=found, runtime=Runtime(batch_size=32))


def swept(subject: Subject, root: Path, probes: list[Probe[Any]]) -> list[Any]:
    """What one sweep over the loaded model and data brings, through the codec of the store."""
    model, batches = probes[0].sweep.model, probes[0].sweep.batches
    assert all(probe.sweep == probes[0].sweep for probe in probes)
    found = sweep(probes, model.load(root), batches.load(root))  # type: ignore[attr-defined]  # live needs
    assert [type(found[probe.key]) for probe in probes] == [probe.artifact for probe in probes], found
    return [decode(*encode(found[probe.key]), probe.artifact) for probe in probes]


@pytest.fixture(scope="module")
def digits() -> Subject:
    entry = DataEntry(name="eval", source="sklearn", options={"name": "digits", "split": "test", "sample": {"n": 256}})
    return described(ASSETS, {"path": "assets/digits-shipped"}, entry)


@pytest.fixture(scope="module")
def artifacts(digits: Subject) -> list[Any]:
    probes: list[Any] = [need for check in CHECKS for need in check.needs(digits).values()]
    return swept(digits, ASSETS, probes)


def test_three_checks_share_one_sweep(digits: Subject, artifacts: list[Any]) -> None:
    said, saliency, cam = artifacts
    assert isinstance(said, Predictions) and said.logits.shape == (256, 10) and said.classes == digits.model.classes
    assert isinstance(saliency, Attributions) and saliency.maps.shape == (32, 32, 32)
    assert isinstance(cam, Attributions) and len(cam.maps) == 32 and cam.layer
    assert saliency.explained.examples == said.examples[:32]
    np.testing.assert_array_equal(saliency.explained.predicted, said.logits[:32].argmax(1))


def test_the_evidence_goes_to_the_page(artifacts: list[Any]) -> None:
    performance = Performance().measure(predictions=artifacts[0], seed=0)
    assert next(m.value for m in performance.measurements if m.name == "accuracy") > 0.9
    for check, maps in ((Saliency(), artifacts[1]), (GradCam(), artifacts[2])):
        found = check.measure(maps=maps)
        pictures = found.blocks[0]
        assert isinstance(pictures, Images) and [len(row.pictures) for row in pictures.rows] == [6, 6]
        assert all(picture.width == 160 for row in pictures.rows for picture in row.pictures)
        assert found.measurements[0].value <= 0.2


def test_the_pictures_are_those_the_model_saw(digits: Subject, artifacts: list[Any]) -> None:
    from auditor.artifacts.roots import sweep_of

    loader = sweep_of(digits).batches.load(ASSETS)  # type: ignore[attr-defined]  # a live need
    shown = artifacts[1].explained.pictures
    assert len(shown) == 6 and shown[0].dtype == np.uint8
    np.testing.assert_array_equal(shown[3], loader.shown(range(3, 4))[0])


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> tuple[Subject, Path]:
    """A tiny BERT classifier and eight short texts of different lengths."""
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    root = tmp_path_factory.mktemp("reviews")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "good", "bad", "film", "very"]
    (root / "vocab.txt").write_text("\n".join(words))
    torch.manual_seed(0)
    config = BertConfig(vocab_size=10, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
                        max_position_embeddings=16, id2label={0: "no", 1: "yes"})  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(root / "bert")
    BertTokenizer(str(root / "vocab.txt")).save_pretrained(root / "bert")
    texts = ["a good film", "bad", "a very very bad film", "good", "very good", "a film", "bad film", "good good film"]
    (root / "rows.csv").write_text("text,label\n" + "".join(f"{t},{'yes' if 'good' in t else 'no'}\n" for t in texts))
    entry = DataEntry(name="rows", source="csv", options={"path": "rows.csv", "text": "text", "label": "label"})
    return described(root, {"path": "bert"}, entry), root


def test_texts_are_explained_at_their_embeddings(reviews: tuple[Subject, Path]) -> None:
    subject, root = reviews
    need: Any = Saliency(rows=8).needs(subject)["maps"]
    (maps,) = swept(subject, root, [need])
    lengths = [len(tokens) for tokens in maps.explained.tokens]
    assert maps.maps.shape == (8, max(maps.lengths)) and maps.lengths[:6].tolist() == lengths
    assert all(maps.maps[row, length:].sum() == 0 < maps.maps[row, :length].min() for row, length in enumerate(lengths))
    shown = Saliency().measure(maps=maps).blocks[0]
    assert isinstance(shown, TokenMap) and shown.texts[0].tokens[0] == "[CLS]"
    assert GradCam().applies(subject) is not None


def test_token_gradients_equal_those_of_one_text_alone(reviews: tuple[Subject, Path]) -> None:
    subject, root = reviews
    need: Any = Saliency(rows=8).needs(subject)["maps"]
    (maps,) = swept(subject, root, [need])
    model, loader = need.sweep.model.load(root), need.sweep.batches.load(root)
    inputs = loader.encoder.encode(loader.shown(range(2, 3)))
    leaf, fed = model.gradient_inputs(inputs)
    (gradient,) = torch.autograd.grad(model.logits(fed).max(), leaf)
    np.testing.assert_allclose(maps.maps[2, : maps.lengths[2]], gradient[0].norm(dim=-1).numpy(), rtol=1e-3)


def test_a_missing_model_stays_a_source_error() -> None:
    with pytest.raises(SourceError):
        described(ASSETS, {"path": "assets/nowhere"}, DataEntry(name="x", source="sklearn", options={"name": "digits"}))


def test_a_caption_names_the_explained_class_where_it_is_not_the_predicted_one() -> None:
    assert doctest.testmod(explained).failed == 0
    three = Explained(*np.array([[1], [2], [0]]), np.array([0.9]), ("x",), classes=("cat", "dog", "hen"))
    assert three.caption(0) == "cat 0.90, label dog, explained hen"


@pytest.mark.parametrize("method", ["smoothgrad", "integrated_gradients", "occlusion", "rise", "random"])
def test_methods_of_many_passes_explain_texts(reviews: tuple[Subject, Path], method: str) -> None:
    subject, root = reviews
    found = make(maps_of(subject, method, 8), root)
    lengths = found.lengths.tolist()
    assert found.maps.shape == (8, max(lengths))
    assert lengths[:6] == [len(tokens) for tokens in found.explained.tokens]
    assert all(
        line[:length].any() and not line[length:].any() for line, length in zip(found.maps, lengths, strict=True)
    )
    if method in ("integrated_gradients", "occlusion", "rise"):
        assert not found.maps[:, 0].any()  # [CLS] is never taken away
    if method == "integrated_gradients":
        assert found.facts["completeness_error"].max() <= 0.05
