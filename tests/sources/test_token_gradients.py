"""The gradient at token embeddings must not change what the model says, also where padding decides what it reads."""

from typing import Any

import pytest
import torch

from auditor.errors import NotApplicable
from auditor.methods.attribution.asked import moved
from auditor.methods.passes import Wants, run_pass
from auditor.sources.models.loaded import EMBEDDINGS, LoadedModel
from auditor.subject import ModelRef

IDS = torch.tensor([[5, 6, 7, 8], [5, 6, 0, 0], [9, 0, 0, 0]])
SMALL = {"vocab_size": 10, "pad_token_id": 0, "num_labels": 3, "bos_token_id": 1, "eos_token_id": 2}


def _loaded(module: Any) -> LoadedModel:
    ref = ModelRef(digest="", name="m", source="transformers", entry={}, architecture="A", modality="text", outputs=3)
    return LoadedModel(ref, module.eval())


def _gpt2() -> LoadedModel:
    from transformers import GPT2Config, GPT2ForSequenceClassification

    torch.manual_seed(0)
    return _loaded(GPT2ForSequenceClassification(GPT2Config(n_embd=8, n_layer=1, n_head=2, n_positions=8, **SMALL)))


def test_a_decoder_reads_the_last_token_before_the_padding_whether_or_not_a_gradient_is_taken() -> None:
    model, inputs = _gpt2(), {"input_ids": IDS, "attention_mask": (IDS != 0).long()}
    leaf, asked = model.gradient_inputs(inputs)
    found = run_pass(
        model.module, model.logits, asked, lambda logits: logits.argmax(dim=1), Wants(input_gradient=True), leaf
    )
    assert torch.equal(found.logits, model.logits(inputs))
    assert found.input_gradient is not None
    assert found.input_gradient[1, 1].abs().sum() > 0, "the token that the head reads has a gradient"
    assert found.input_gradient[1, 2:].abs().sum() == 0, "padding has none"


def test_embeddings_that_were_moved_stay_where_they_are() -> None:
    model, inputs = _gpt2(), {"input_ids": IDS, "attention_mask": (IDS != 0).long()}
    shifted = moved(model, inputs, lambda leaf: leaf + 1)
    leaf, _ = model.gradient_inputs(inputs)
    assert torch.equal(model.gradient_inputs(shifted)[0], leaf + 1)
    assert not torch.equal(model.logits(shifted), model.logits(inputs))
    assert torch.equal(model.logits(moved(model, inputs, lambda leaf: leaf)), model.logits(inputs))


def test_a_model_that_asks_its_embedding_layer_twice_has_no_gradient_of_one_text() -> None:
    class Twice(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = torch.nn.Embedding(10, 3)

        def get_input_embeddings(self) -> torch.nn.Module:
            return self.embed

        def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
            return (self.embed(input_ids) + self.embed(input_ids)).sum(dim=1)

    model = _loaded(Twice())
    _, asked = model.gradient_inputs({"input_ids": IDS})
    assert EMBEDDINGS in asked
    with pytest.raises(NotApplicable, match="2 times"):
        model.logits(asked)
    assert not model.module.embed._forward_hooks
