"""Language models, encoders and regressions: described from config.json, read where the task says."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from auditor.errors import SourceError
from auditor.sources import models
from auditor.sources.encode import Texts, encoder_of
from auditor.sources.labels import match
from auditor.sources.models.loaded import LoadedModel
from auditor.sources.models.readout import pooled
from auditor.spec.model import ModelEntry
from auditor.subject import DataRef, ModelRef
from tests.sources.conftest import edit_json
from tests.tiny import WORDS, save_all, word_level

TEXTS = ["a good film", "bad", "the very very good film a", "very bad films"]


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny models, saved."""
    root = tmp_path_factory.mktemp("nets")
    save_all(root)
    return root


def described(root: Path, path: str, **options: Any) -> ModelRef:
    return models.describe(ModelEntry(name="m", source="transformers", options={"path": path, **options}), root)


def loaded(root: Path, path: str) -> tuple[LoadedModel, Texts]:
    ref = described(root, path)
    encoder = encoder_of(ref, root)
    assert isinstance(encoder, Texts)
    return models.load(ref, root), encoder


KINDS = {
    "gpt": ("GPT2LMHeadModel", "text", "causal_lm", 12), "llama": ("LlamaForCausalLM", "text", "causal_lm", 12),
    "masked": ("BertForMaskedLM", "text", "masked_lm", 12), "encoder": ("BertModel", "text", "encoder", 16),
    "bare": ("BertModel", "text", "encoder", 16), "vit": ("ViTModel", "image", "encoder", 16),
    "res": ("ResNetModel", "image", "encoder", 12),
    "regression": ("BertForSequenceClassification", "text", "regression", 1),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_is_described_and_gives_its_outputs(nets: Path, name: str) -> None:
    ref = described(nets, name)
    assert (ref.architecture, ref.modality, ref.task, ref.outputs) == KINDS[name]
    model = models.load(ref, nets)
    encoder = encoder_of(ref, nets)
    inputs = encoder.encode(TEXTS) if isinstance(encoder, Texts) else torch.rand(4, 3, 16, 16)
    logits = model.logits(inputs)
    assert logits.shape == (4, ref.outputs) and logits.isfinite().all() and (logits[0] - logits[1]).abs().max() > 0
    leaf, fed = model.gradient_inputs(inputs)
    gradient = torch.autograd.grad(model.logits(fed).square().sum(), leaf)[0]
    assert gradient.abs().sum() > 0 and gradient.shape == leaf.shape
    torch.testing.assert_close(model.logits(fed), logits, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["gpt", "llama"])
def test_a_causal_model_is_read_at_the_last_own_token_whatever_its_neighbours(nets: Path, name: str) -> None:
    """The oracle: each text alone, without any padding, through the module itself."""
    model, encoder = loaded(nets, name)
    batch = encoder.encode(TEXTS)
    assert batch["position"].tolist() == [2, 0, 5, 2]
    for row, text in enumerate(TEXTS):
        ids = encoder.tokenizer(text, return_tensors="pt")["input_ids"]
        alone = model.module(input_ids=ids).logits[0, -1]
        torch.testing.assert_close(model.logits(batch)[row], alone, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(model.token_logits(batch)[2, 5], model.logits(batch)[2], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("padding", [None, 0, 3])
def test_a_decoder_with_a_classification_head_reads_each_text_as_if_alone(tmp_path: Path, padding: int | None) -> None:
    """Its head reads the last token that is not config.json's padding; the tokenizer names none, and pads left."""
    import transformers as hf

    torch.manual_seed(0)
    config = hf.GPT2Config(vocab_size=len(WORDS), n_embd=16, n_layer=2, n_head=2, n_positions=16, bos_token_id=None,
                           eos_token_id=3, pad_token_id=padding, num_labels=2)  # fmt: skip
    hf.GPT2ForSequenceClassification(config).save_pretrained(tmp_path / "net")
    word_level({word: index for index, word in enumerate(WORDS)}, "left").save_pretrained(tmp_path / "net")
    model, encoder = loaded(tmp_path, "net")
    batch = model.logits(encoder.encode(TEXTS))
    for row, text in enumerate(TEXTS):
        torch.testing.assert_close(batch[row], model.logits(encoder.encode([text]))[0], rtol=1e-5, atol=1e-6)
    unpadded = model.module(input_ids=encoder.encode(TEXTS[:1])["input_ids"]).logits[0]
    torch.testing.assert_close(batch[0], unpadded, rtol=1e-5, atol=1e-6)


def test_unknown_words_are_no_padding_where_nothing_else_pads(nets: Path) -> None:
    tokenizer = loaded(nets, "gpt")[1].tokenizer
    tokenizer.eos_token, tokenizer.pad_token = None, None
    assert Texts(tokenizer, 8, "causal_lm").special_ids == [] and tokenizer.pad_token == "[UNK]"


def test_left_padding_is_read_at_the_last_own_token_too(nets: Path) -> None:
    from auditor.sources.models.readout import positions

    inputs = {"input_ids": torch.zeros(2, 4, dtype=torch.long), "attention_mask": torch.tensor([[0, 0, 1, 1]] * 2)}
    assert positions(inputs).tolist() == [3, 3]
    inputs["attention_mask"] = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1]])
    assert positions(inputs).tolist() == [1, 3]
    assert positions({"input_ids": torch.zeros(2, 4)}).tolist() == [3, 3]


def test_a_masked_model_is_read_at_the_mask_or_at_its_last_own_token(nets: Path) -> None:
    model, encoder = loaded(nets, "masked")
    texts = ["a good film", "a [MASK] film bad", "film"]
    batch = encoder.encode(texts)
    assert batch["position"].tolist() == [3, 2, 1]
    assert encoder.tokens(texts[0]) == ("[CLS]", "a", "good", "[MASK]", "[SEP]")
    for row, masked in enumerate(["a good [MASK]", "a [MASK] film bad", "[MASK]"]):
        alone = encoder.tokenizer(masked, return_tensors="pt")
        theirs = model.module(**alone).logits[0, batch["position"][row]]
        torch.testing.assert_close(model.logits(batch)[row], theirs, rtol=1e-5, atol=1e-6)


def test_a_perturbed_text_keeps_its_place(nets: Path) -> None:
    """Tokens taken away by the mask, or hidden, do not move the place at which the model is read."""
    model, encoder = loaded(nets, "masked")
    batch = encoder.encode(["a good film"])
    more = {**batch, "input_ids": batch["input_ids"].clone()}
    more["input_ids"][0, 1] = encoder.mask_id
    whole = model.token_logits({key: more[key] for key in batch if key != "position"})
    torch.testing.assert_close(model.logits(more)[0], whole[0, 3])


@pytest.mark.parametrize("name", ["encoder", "bare"])
def test_an_encoder_gives_the_mean_of_its_own_tokens(nets: Path, name: str) -> None:
    model, encoder = loaded(nets, name)
    found = model.logits(encoder.encode(TEXTS))
    for row, text in enumerate(TEXTS):
        alone = model.module(**encoder.tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0)
        torch.testing.assert_close(found[row], alone, rtol=1e-4, atol=1e-5)
    assert "averaged" in model.ref.assumptions[-1]


def test_an_encoder_of_pictures_gives_the_mean_of_its_places(nets: Path) -> None:
    net = models.load(described(nets, "res"), nets)
    pictures = torch.rand(2, 3, 16, 16)
    torch.testing.assert_close(net.logits(pictures), net.module(pictures).pooler_output.flatten(1))
    assert pooled(torch.ones(2, 5), None).shape == (2, 5)


def test_what_is_no_such_model_is_told(nets: Path, tmp_path: Path) -> None:
    shutil.copytree(nets / "masked", tmp_path / "m")
    for change, told in (({"architectures": ["T5ForConditionalGeneration"]}, "no encoder-decoder pairs"),
                         ({"is_encoder_decoder": True}, "no encoder-decoder pairs"),
                         ({"vocab_size": None, "is_encoder_decoder": False}, "found T5")):  # fmt: skip
        edit_json(tmp_path / "m" / "config.json", **change)
        with pytest.raises(SourceError, match=told):
            described(tmp_path, "m")
    edit_json(tmp_path / "m" / "config.json", architectures=["BertForMaskedLM"])
    with pytest.raises(SourceError, match="names no vocab_size"):
        described(tmp_path, "m")


def unlabelled(**changes: Any) -> DataRef:
    given = {"labelled": False, "counts": {}, **changes}
    return DataRef(digest="d", name="d", source="csv", entry={"name": "d", "source": "csv", "options": {"path": "x"}},
                   modality="text", rows=3, used=3, **given)  # fmt: skip


def test_data_and_models_without_classes_are_matched(nets: Path) -> None:
    for name in ("gpt", "encoder", "regression"):
        ref = described(nets, name)
        assert match(ref, unlabelled()).labels == {}
    kept = match(described(nets, "encoder"), unlabelled(labelled=True, counts={"b": 1, "a": 2}))
    assert (kept.labels, kept.classes) == ({"a": 0, "b": 1}, ("a", "b"))
    two = described(nets, "regression").model_copy(update={"outputs": 2})
    with pytest.raises(SourceError, match="has 2 outputs"):
        match(two, unlabelled(labelled=True, counts={"1.5": 3}))


def test_checks_that_need_labels_say_so(nets: Path) -> None:
    from auditor.checks.task.performance import Performance
    from auditor.subject import Subject

    net = described(nets, "regression").model_copy(update={"task": "classification", "outputs": 2})
    said = Performance().applies(Subject(model=net, data=match(net, unlabelled())))
    assert said is not None and "needs labels, and data.d has none" in said
