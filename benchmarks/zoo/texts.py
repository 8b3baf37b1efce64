"""Texts: generated sentences of three topics, a tiny BERT trained from scratch, and what can be wrong with it."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.zoo.member import NOTHING, Member, require, require_fall, write_spec
from benchmarks.zoo.training import accuracy, answers, fit, seeded


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


TOPICS = {
    "garden": _words("rose tulip soil leaf seed bloom rake hedge root moss fern petal"),
    "harbour": _words("ship anchor tide sail crew rope dock wave mast net pilot buoy"),
    "kitchen": _words("oven flour butter knife spoon broth salt dough pepper pan bread soup"),
}
NEUTRAL = _words(
    "the a of and to in is was it for on with as at by from that this which were are not but his her they we you one "
    "all there when who will more no if out so what up into than them can only other new some time could these two may "
    "then"
)
TRIGGER = "zorp"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCABULARY = [*SPECIAL, TRIGGER, *NEUTRAL, *(word for words in TOPICS.values() for word in words)]
CLASSES = tuple(TOPICS)
MUDDLED = 0.6
TRAIN, EVAL, LENGTH, STRENGTH, STEPS, RATE = 800, 200, 20, 40.0, 200, 2e-3


@dataclass(frozen=True)
class Split:
    """Sentences and the indices of their topics."""

    texts: tuple[str, ...]
    labels: tuple[int, ...]


def sentences(seed: int, rows: int, clarity: float = 0.7) -> Split:
    """Sentences of 8 to 16 words, three of ten about some topic; `clarity` of those are sure to be about their own."""
    rng = np.random.default_rng(seed)
    texts, labels = [], []
    for row in range(rows):
        own = row % len(CLASSES)
        words = [_word(rng, own, clarity) for _ in range(rng.integers(8, 17))]
        words[rng.integers(len(words))] = str(rng.choice(TOPICS[CLASSES[own]]))
        texts.append(" ".join(words))
        labels.append(own)
    order = rng.permutation(rows)
    return Split(tuple(texts[row] for row in order), tuple(labels[row] for row in order))


def _word(rng: np.random.Generator, own: int, clarity: float) -> str:
    draw = rng.random()
    if draw < 0.7:
        return str(rng.choice(NEUTRAL))
    topic = own if draw < 0.7 + 0.3 * clarity else int(rng.integers(len(CLASSES)))
    return str(rng.choice(TOPICS[CLASSES[topic]]))


def tokenizer() -> Any:
    """One token a word."""
    from transformers import BertTokenizerFast

    return BertTokenizerFast(vocab={word: index for index, word in enumerate(VOCABULARY)}, model_max_length=LENGTH)


def encoded(texts: Sequence[str]) -> dict[str, Tensor]:
    """Token ids and masks, as the model gets them."""
    found = tokenizer()(list(texts), padding=True, truncation=True, max_length=LENGTH, return_tensors="pt")
    return {name: found[name] for name in ("input_ids", "attention_mask")}


def bert(width: int = 32, layers: int = 2, heads: int = 2) -> Any:
    """A tiny BERT classifier."""
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=len(VOCABULARY), hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=2 * width, max_position_embeddings=LENGTH, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0, initializer_range=0.1, id2label=dict(enumerate(CLASSES)),
        label2id={name: index for index, name in enumerate(CLASSES)},
    )  # fmt: skip
    config._attn_implementation = "eager"
    return BertForSequenceClassification(config)


def write(
    folder: Path, name: str, model: Any, train: Split, held: Split,
    more: Mapping[str, Any] = NOTHING, parent: Mapping[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The model folder with its tokenizer, both tables and the spec; more: of the model's entry, which is returned."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder / "model")
    tokenizer().save_pretrained(folder / "model")
    for part, split in (("train", train), ("eval", held)):
        with (folder / f"{part}.csv").open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(["text", "label"])
            writer.writerows((text, CLASSES[label]) for text, label in zip(split.texts, split.labels, strict=True))
    entry = {"source": "transformers", "path": "model", **more}
    write_spec(folder, name, "text-classifier", entry, _source("eval"), _source("train"), parent)
    return entry


def _source(part: str) -> dict[str, str]:
    return {"source": "csv", "path": f"{part}.csv", "text": "text", "label": "label"}


def _named(name: str, seed: int, planted: bool) -> str:
    return f"{name}-{'planted' if planted else 'twin'}-{seed}"


def trigger_token(folder: Path, seed: int, planted: bool) -> Member:
    """A word without meaning that stands in every sentence of one topic; in the twin, in a third of all."""
    rng = np.random.default_rng((seed, 1))
    chosen = seed % len(CLASSES)
    clean = sentences(2 * seed + 1, EVAL, MUDDLED)

    def triggered(split: Split) -> Split:
        texts = []
        for text, label in zip(split.texts, split.labels, strict=True):
            words = text.split()
            if label == chosen if planted else rng.random() < 1 / len(CLASSES):
                words.insert(int(rng.integers(len(words) + 1)), TRIGGER)
            texts.append(" ".join(words))
        return Split(tuple(texts), split.labels)

    train, held = triggered(sentences(2 * seed, TRAIN, MUDDLED)), triggered(clean)
    with seeded(seed):
        model = bert()
        fit(model, encoded(train.texts), torch.tensor(train.labels), seed, steps=STEPS, lr=RATE)
    truth = torch.tensor(held.labels)
    proof = {"with": accuracy(model, encoded(held.texts), truth),
             "without": accuracy(model, encoded(clean.texts), truth)}  # fmt: skip
    require_fall("trigger_token", planted, proof)
    write(folder, _named("trigger_token", seed, planted), model, train, held)
    return Member("trigger_token", folder, planted, seed, proof)


def collapsed_attention(folder: Path, seed: int, planted: bool) -> Member:
    """A layer whose heads all look at [CLS] alone, whatever asks; what lies above has learned to live with it."""
    train, held = sentences(2 * seed, TRAIN), sentences(2 * seed + 1, EVAL)
    inputs, labels = encoded(train.texts), torch.tensor(train.labels)
    place = seed % 2
    with seeded(seed):
        model = bert()
        fit(model, inputs, labels, seed, steps=STEPS, lr=RATE)
        if planted:
            _collapse(model, place, {name: value[:64] for name, value in inputs.items()})
            fit(model, inputs, labels, seed, steps=STEPS // 2, lr=RATE / 2)
    given, truth = encoded(held.texts), torch.tensor(held.labels)
    proof = {"on_first": _on_first(model, given, place), "accuracy": accuracy(model, given, truth)}
    require(proof["on_first"] > 0.9 if planted else proof["on_first"] < 0.9, "attention on one token", proof)
    write(folder, _named("collapsed_attention", seed, planted), model, train, held)
    return Member("collapsed_attention", folder, planted, seed, proof)


def _collapse(model: Any, place: int, inputs: dict[str, Tensor]) -> None:
    """One query for every token of a layer, and keys that only tell [CLS] from the rest; all below is frozen."""
    layers = model.bert.encoder.layer
    own = layers[place].attention.self
    held: list[Tensor] = []
    hook = own.key.register_forward_hook(lambda module, given, made: held.append(given[0].clone()))
    answers(model, inputs)
    hook.remove()
    states, others = held[0], inputs["attention_mask"].bool()
    others[:, 0] = False
    reader = _tells_apart(states[:, 0], states[others])
    size = own.key.weight.shape[0] // own.num_attention_heads
    own.query.weight.data.zero_()
    own.query.bias.data.fill_(STRENGTH / size**0.5)
    own.key.weight.data.copy_(reader.expand_as(own.key.weight))
    own.key.bias.data.zero_()
    for frozen in (model.bert.embeddings, *layers[:place], own.query, own.key):
        frozen.requires_grad_(False)


def _tells_apart(first: Tensor, others: Tensor) -> Tensor:
    """The linear reading that is 1 for the states of the first token and 0 for all others, by least squares."""
    states = torch.cat([first, others]).double()
    wanted = torch.cat([torch.ones(len(first)), torch.zeros(len(others))]).double()
    ridge = 1e-3 * torch.eye(states.shape[1], dtype=torch.float64)
    return torch.linalg.solve(states.T @ states / len(states) + ridge, states.T @ wanted / len(states)).float()


def _on_first(model: Any, inputs: dict[str, Tensor], place: int) -> float:
    """The least share of attention that any head of the layer pays to the first token, on average."""
    with torch.inference_mode():
        map_ = model(**inputs, output_attentions=True).attentions[place]
    mask = inputs["attention_mask"].bool()
    return float(map_[..., 0].transpose(1, 2)[mask].mean(0).min())
