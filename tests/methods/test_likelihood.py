"""Likelihood against a direct loop over prefixes, against a bigram table, and in windows of any stride."""

import doctest
import math

import pytest
import torch
from torch import Tensor

from auditor.methods import likelihood
from auditor.methods.likelihood import Document, causal, masked, windows

VOCABULARY = 7


def document(length: int, seed: int) -> Document:
    ids = torch.randint(VOCABULARY - 1, (length,), generator=torch.Generator().manual_seed(seed))
    scored = torch.ones(length, dtype=torch.bool)
    scored[0] = False
    return Document(ids, scored)


DOCUMENTS = [document(length, length) for length in (5, 1, 12, 23, 6)]


class Bigram:
    """A model whose next token depends on the last one alone: logits are log p(next | last), up to a constant."""

    def __init__(self) -> None:
        table = torch.rand(VOCABULARY, VOCABULARY, generator=torch.Generator().manual_seed(0))
        self.table = table / table.sum(1, keepdim=True)
        self.calls = 0

    def __call__(self, ids: Tensor, mask: Tensor) -> Tensor:
        self.calls += 1
        return self.table[ids].log() + 3.0


class Averaging:
    """A model that sees all before (or, not causal, all around) within its window: logits of the mean embedding."""

    def __init__(self, is_causal: bool) -> None:
        generator = torch.Generator().manual_seed(1)
        self.embed = torch.randn(VOCABULARY, 4, generator=generator)
        self.out = torch.randn(4, VOCABULARY, generator=generator)
        self.is_causal = is_causal

    def __call__(self, ids: Tensor, mask: Tensor) -> Tensor:
        states = self.embed[ids] * mask[..., None]
        seen = states.cumsum(1) if self.is_causal else states.sum(1, keepdim=True).expand_as(states)
        return seen.tanh() @ self.out


@pytest.mark.parametrize(("window", "stride"), [(64, 32), (6, 3), (6, 6), (5, 1)])
def test_a_bigram_models_loss_is_its_table(window: int, stride: int) -> None:
    """A stride of the whole window leaves the first token of each window without context; all others are exact."""
    model = Bigram()
    owner, place, nats = causal(model, DOCUMENTS, window, stride, VOCABULARY, 2).columns()
    assert len(set(zip(owner.tolist(), place.tolist(), strict=True))) == len(owner)
    for which, at, found in zip(owner.tolist(), place.tolist(), nats.tolist(), strict=True):
        ids = DOCUMENTS[which].ids
        assert found == pytest.approx(-math.log(float(model.table[ids[at - 1], ids[at]])), abs=1e-5)
    every = sum(len(one.ids) - 1 for one in DOCUMENTS)
    lost = sum((len(one.ids) - 1) // window for one in DOCUMENTS) if stride == window else 0
    assert len(owner) == every - lost


def test_a_causal_model_equals_the_loop_over_prefixes() -> None:
    model = Averaging(is_causal=True)
    owner, place, nats = causal(model, DOCUMENTS, 64, 32, VOCABULARY, 3).columns()
    oracle = {}
    for which, one in enumerate(DOCUMENTS):
        for at in range(1, len(one.ids)):
            prefix = one.ids[None, :at]
            said = model(prefix, torch.ones_like(prefix))[0, -1].double().log_softmax(0)
            oracle[which, at] = -float(said[one.ids[at]])
    assert dict(zip(zip(owner.tolist(), place.tolist(), strict=True), nats.tolist(), strict=True)) == pytest.approx(
        oracle, abs=1e-5
    )


def test_windows_give_each_token_the_context_that_is_stated() -> None:
    model, (window, stride) = Averaging(is_causal=True), (8, 3)
    owner, place, nats = causal(model, DOCUMENTS, window, stride, VOCABULARY, 4).columns()
    for which, at, found in zip(owner.tolist(), place.tolist(), nats.tolist(), strict=True):
        (own,) = [w for w in windows(which, len(DOCUMENTS[which].ids), window, stride) if w.fresh <= at < w.stop]
        assert at - own.start >= min(at, window - stride)
        before = DOCUMENTS[which].ids[None, own.start : at]
        said = model(before, torch.ones_like(before))[0, -1].double().log_softmax(0)
        assert found == pytest.approx(-float(said[DOCUMENTS[which].ids[at]]), abs=1e-5)
    with pytest.raises(ValueError, match="stride 9, window 8"):
        causal(model, DOCUMENTS, 8, 9, VOCABULARY, 4)
    assert doctest.testmod(likelihood).failed == 0


def test_pseudo_likelihood_equals_the_loop_over_masks() -> None:
    model, mask_id, window = Averaging(is_causal=False), VOCABULARY - 1, 10
    draw = torch.Generator().manual_seed(3)
    owner, place, nats = masked(model, DOCUMENTS, window, mask_id, 8, VOCABULARY, 5, draw).columns()
    counts = torch.bincount(owner, minlength=len(DOCUMENTS)).tolist()
    assert counts == [min(8, int(one.scored.sum())) for one in DOCUMENTS]
    for which, at, found in zip(owner.tolist(), place.tolist(), nats.tolist(), strict=True):
        start = at // window * window
        ids = DOCUMENTS[which].ids[None, start : start + window].clone()
        ids[0, at - start] = mask_id
        said = model(ids, torch.ones_like(ids))[0, at - start].double().log_softmax(0)
        assert found == pytest.approx(-float(said[DOCUMENTS[which].ids[at]]), abs=1e-5)
    again = masked(model, DOCUMENTS, window, mask_id, 8, VOCABULARY, 5, torch.Generator().manual_seed(3)).columns()
    assert torch.equal(place, again[1]) and torch.equal(nats, again[2])


def test_large_vocabularies_are_read_in_smaller_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    few, many = Bigram(), Bigram()
    whole = causal(few, DOCUMENTS, 64, 32, VOCABULARY, 16).columns()
    monkeypatch.setattr(likelihood, "LARGEST", 2 * 12 * VOCABULARY)
    parts = causal(many, DOCUMENTS, 64, 32, VOCABULARY, 16).columns()
    assert many.calls > few.calls == 1
    assert torch.equal(whole[1], parts[1]) and torch.allclose(whole[2], parts[2])
