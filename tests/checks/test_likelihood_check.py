"""task.likelihood: a small model that learned a language passes, shuffled words do not; masked models; what is said."""

import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from auditor.artifacts.likelihood import Likelihoods
from auditor.blocks import Lines
from auditor.checks.task.likelihood import Likelihood
from auditor.errors import NotApplicable
from auditor.evidence import Evidence
from auditor.execute.codec import decode, encode
from auditor.sources import data, labels, models
from auditor.spec.model import DataEntry, ModelEntry
from auditor.subject import Runtime, Subject
from tests.checks.judged import one, outcome
from tests.tiny import save_all, word_level

SENTENCES = (
    "the cat sleeps on the mat",
    "a dog runs in the park",
    "the bird sings in a tree",
    "a fish swims in the sea",
)


def _texts(count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    return [" . ".join(rng.choices(SENTENCES, k=rng.randint(2, 5))) for _ in range(count)]


def _shuffled(texts: list[str]) -> list[str]:
    rng = random.Random(9)
    return [" ".join(rng.sample(words, len(words))) for words in (text.split() for text in texts)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of one layer, trained here on sentences, and texts in the same words, ordered and shuffled."""
    from transformers import LlamaConfig, LlamaForCausalLM

    root = tmp_path_factory.mktemp("likelihood")
    words = sorted({word for sentence in SENTENCES for word in sentence.split()})
    tokenizer = word_level({word: index for index, word in enumerate(["[PAD]", "[UNK]", "[SEP]", ".", *words])})
    torch.manual_seed(0)
    net = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), hidden_size=24, num_hidden_layers=1,
                           num_attention_heads=2, intermediate_size=32, max_position_embeddings=24))  # fmt: skip
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.02)
    ids = [torch.tensor(tokenizer(text)["input_ids"][:12]) for text in _texts(256, 1)]
    batch = torch.stack([row for row in ids if len(row) == 12])
    for _ in range(60):
        optimizer.zero_grad()
        net(input_ids=batch, labels=batch).loss.backward()
        optimizer.step()
    net.save_pretrained(root / "net")
    tokenizer.save_pretrained(root / "net")
    save_all(root)
    for name, texts in (("real", _texts(40, 2)), ("shuffled", _shuffled(_texts(40, 2)))):
        (root / f"{name}.csv").write_text("text\n" + "\n".join(texts) + "\n")
    (root / "films.csv").write_text("text\na good film\nvery bad films\na a a the film good bad very\ngood\n")
    return root


def subject(root: Path, model: str, rows: str) -> Subject:
    ref = models.describe(ModelEntry(name="m", source="transformers", options={"path": model}), root)
    entry = DataEntry(name="d", source="csv", options={"path": f"{rows}.csv", "text": "text"})
    return Subject(model=ref, data=labels.match(ref, data.describe(entry, root)), runtime=Runtime(batch_size=8))


def found_of(root: Path, check: Likelihood, model: str, rows: str) -> tuple[Any, Any, Any, Evidence]:
    """The artifact (through the codec), the model, the loader and the evidence."""
    need: Any = check.needs(subject(root, model, rows))["found"]
    net, loader = need.model.load(root), need.batches.load(root)
    found = decode(*encode(need.build(model=net, batches=loader)), Likelihoods)
    return found, net, loader, check.measure(found=found, seed=1)


@pytest.mark.parametrize("stride", [None, 5])
def test_the_loss_equals_the_direct_loop_and_bits_count_bytes(root: Path, stride: int | None) -> None:
    """Llama has no absolute positions, but its windows hold 24 tokens: the first 24 of each text are compared."""
    found, net, loader, evidence = found_of(root, Likelihood(stride=stride), "net", "real")
    text = loader.shown(range(3, 4))[0]
    ids = torch.tensor(loader.encoder.tokenizer(text)["input_ids"])
    said = net.module(input_ids=ids[None, :24]).logits[0].log_softmax(1)
    oracle = [-float(said[at - 1, ids[at]].detach()) for at in range(1, min(24, len(ids)))]
    mine = [float(loss) for which, at, loss in zip(found.document, found.place, found.loss, strict=True)
            if which == 3 and at < 24]  # fmt: skip
    assert sorted(mine) == pytest.approx(sorted(oracle), abs=1e-4)
    assert found.tokens[3] == len(ids) - 1
    assert found.bytes[3] == len(text.split(" ", 1)[1].encode())
    nll = found.nats.sum() / found.tokens.sum()
    assert one(evidence, "nll").value == pytest.approx(nll)
    assert one(evidence, "perplexity").value == pytest.approx(math.exp(nll))
    assert one(evidence, "bits_per_byte").value == pytest.approx(found.nats.sum() / found.bytes.sum() / math.log(2))
    assert f"Windows of 24 tokens, {stride or 12} apart" in evidence.notes[0]


def test_a_model_that_learned_the_language_passes_and_shuffled_words_do_not(root: Path) -> None:
    real = found_of(root, Likelihood(), "net", "real")[3]
    shuffled = found_of(root, Likelihood(), "net", "shuffled")[3]
    for name, bound in (("perplexity", 4.0), ("bits_per_byte", 1.0)):
        assert outcome(one(real, name), at_most=bound) == "pass", one(real, name).value
        assert outcome(one(shuffled, name), at_most=bound) == "fail", one(shuffled, name).value
    assert one(real, "nll").n == 40 and one(real, "nll").unit_of_resampling == "document"
    curve = real.blocks[0]
    assert isinstance(curve, Lines) and len(curve.lines[0].x) > 10
    assert all(a <= b <= c for a, b, c in zip(curve.lines[0].low, curve.lines[0].y, curve.lines[0].high, strict=True))
    assert len(real.samples["nll"]) == len(real.examples) == 40


def test_a_masked_model_has_a_pseudo_perplexity(root: Path) -> None:
    found, net, loader, evidence = found_of(root, Likelihood(masked=4), "masked", "films")
    assert {m.name for m in evidence.measurements} == {"nll", "pseudo_perplexity"}
    assert sorted(found.tokens.tolist()) == [1, 3, 4, 4]
    row = int(np.flatnonzero(found.tokens == 1)[0])
    alone = loader.encoder.encode([loader.shown(range(row, row + 1))[0]])
    said = net.logits(alone)[0].detach().log_softmax(0)
    assert found.nats[row] == pytest.approx(
        -float(said[loader.encoder.tokenizer.convert_tokens_to_ids("good")]), abs=1e-5
    )


def test_texts_of_one_token_are_left_out_and_counted(root: Path) -> None:
    evidence = found_of(root, Likelihood(), "gpt", "films")[3]
    assert any("1 of 4 documents hold no token" in note for note in evidence.notes)
    assert one(evidence, "nll").n == 3
    (root / "short.csv").write_text("text\ngood\nbad\n")
    with pytest.raises(NotApplicable, match="no text has a token"):
        found_of(root, Likelihood(), "gpt", "short")
    (root / "single.csv").write_text("text\na good film\n")
    with pytest.raises(NotApplicable, match="one document alone"):
        found_of(root, Likelihood(), "gpt", "single")


def test_empty_texts_are_counted_and_unknown_words_are_said_to_be_unknown(root: Path) -> None:
    lines = ["text,label", "a good film,x", ",x", '"  ",y', "very bad bad,y", "zzz qqq film,y"]
    (root / "odd.csv").write_text("\n".join(lines) + "\n")
    entry = DataEntry(name="d", source="csv", options={"path": "odd.csv", "text": "text", "label": "label"})
    for batch_size in (1, 8):
        plain = subject(root, "gpt", "films")
        data_ref = labels.match(plain.model, data.describe(entry, root))
        runtime = Runtime(batch_size=batch_size)
        need: Any = Likelihood().needs(plain.model_copy(update={"data": data_ref, "runtime": runtime}))["found"]
        found = need.build(model=need.model.load(root), batches=need.batches.load(root))
        assert sorted(found.tokens.tolist()) == [0, 0, 2, 2, 2] and np.isfinite(found.nats).all()
        said = Likelihood().measure(found=found, seed=1).notes
        assert any("2 of 5 documents hold no token" in note for note in said)
        assert any(note.startswith("1 of the 6 scored tokens are the unknown token") for note in said)


def test_groups_are_the_unit_where_there_are_some(root: Path) -> None:
    found = found_of(root, Likelihood(), "net", "real")[0]
    grouped = Likelihoods(**{**vars(found), "groups": tuple(f"g{row // 4}" for row in range(40))})
    measured = one(Likelihood().measure(found=grouped, seed=1), "nll")
    assert measured.n == 10 and measured.unit_of_resampling == "group"


def test_it_applies_to_language_models_alone(root: Path) -> None:
    assert Likelihood().applies(subject(root, "gpt", "films")) is None
    assert "encoder" in str(Likelihood().applies(subject(root, "encoder", "films")))
