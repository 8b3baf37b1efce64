"""Healthy models of several architectures on several data sets: what the bounds of the presets are calibrated on.

Their seeds and recipes are not those of the zoo's twins, which are counted in the table of detection.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from auditor.sources.steps import assumed, overridden
from auditor.spec.options import Transforms
from benchmarks.zoo import fits, histories, pictures, runs, tables, texts
from benchmarks.zoo.member import Generator, Member, Unproven, require, write_spec
from benchmarks.zoo.nets import cnn, mlp
from benchmarks.zoo.training import accuracy, fit, seeded, take

Recipe = Callable[[Path], Member]
SHAPES = ("disk", "square", "cross", "stripes")
TRANSFORMS: dict[str, Any] = {
    "resize": 32, "crop": 32, "interpolation": "bilinear", "mean": [pictures.MEAN], "std": [pictures.STD],
    "channels": 1,
}  # fmt: skip


def image_models(seed: int = 1000) -> Iterator[tuple[str, Recipe]]:
    """Twenty-four classifiers of pictures: ResNets, plain CNNs and ViTs, on digits, noisy digits and shapes."""
    nets: dict[str, Any] = {
        "resnet": lambda n: pictures.resnet(12, (1, 1), n), "resnet deeper": lambda n: pictures.resnet(10, (2, 2), n),
        "resnet wider": lambda n: pictures.resnet(20, (1, 1), n), "cnn": lambda n: cnn(len(n), 12),
        "cnn wider": lambda n: cnn(len(n), 24), "vit": lambda n: vit(n, 32, 2), "vit deeper": lambda n: vit(n, 32, 4),
        "vit wider": lambda n: vit(n, 48, 2),
    }  # fmt: skip
    for at, (kind, net) in enumerate(nets.items()):
        for number, data in enumerate((pictures.digits, lambda s: pictures.digits(s, 60.0), shapes)):
            own = seed + 10 * at + number
            classes = SHAPES if number == 2 else pictures.CLASSES
            name = f"{kind}-{('digits', 'noisy', 'shapes')[number]}".replace(" ", "-")
            yield name, _picture_recipe(name, net, data, classes, own)


def _picture_recipe(name: str, net: Any, data: Any, classes: tuple[str, ...], seed: int) -> Recipe:
    def make(folder: Path) -> Member:
        train, held = data(seed)
        is_plain = name.startswith("cnn")
        see = seen_plainly if is_plain else pictures.seen
        is_vit = name.startswith("vit")
        with seeded(seed):
            model = net(classes)
            fit(model, see(train.pictures), torch.tensor(train.labels), seed, steps=400 if is_vit or is_plain else 200,
                lr=2e-3 if is_vit else 3e-3)  # fmt: skip
        proof = {"accuracy": accuracy(model, see(held.pictures), torch.tensor(held.labels))}
        require(proof["accuracy"] > 0.75, f"{name} is healthy", proof)
        if not is_plain:
            pictures.write(folder, name, model, train, held)
            return Member(name, folder, False, seed, proof)
        folder.mkdir(parents=True, exist_ok=True)
        save_file(model.state_dict(), folder / "model.safetensors")
        entry = {
            "source": "factory", "factory": "benchmarks.zoo.nets:cnn", "weights": "model.safetensors",
            "kwargs": {"classes": len(classes), "width": model[0].out_channels}, "modality": "image",
            "classes": list(classes), "transforms": TRANSFORMS,
        }  # fmt: skip
        pictures.write_data(folder, name, entry, train, held)
        return Member(name, folder, False, seed, proof, frozenset({"model"}))

    return make


def seen_plainly(given: Any) -> torch.Tensor:
    """Pictures through the steps that the spec of a factory names."""
    from PIL import Image

    steps = overridden(assumed(1), Transforms.model_validate(TRANSFORMS))
    return torch.tensor(np.stack([steps.normalized(steps.pixels(Image.fromarray(each))) for each in given]))


def vit(classes: tuple[str, ...], width: int, layers: int) -> Any:
    """A tiny ViT with patches of 4 x 4."""
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(
        num_channels=1, image_size=pictures.SIDE, patch_size=4, hidden_size=width, num_hidden_layers=layers,
        num_attention_heads=4, intermediate_size=2 * width, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        initializer_range=0.08, id2label=dict(enumerate(classes)),
        label2id={name: index for index, name in enumerate(classes)},
    )  # fmt: skip
    config._attn_implementation = "eager"
    return ViTForImageClassification(config)


def shapes(seed: int) -> tuple[pictures.Split, pictures.Split]:
    """Disks, squares, crosses and stripes of any place, size and brightness, on a noisy ground."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(len(SHAPES), size=pictures.TRAIN + pictures.EVAL)
    drawn = np.stack([_shape(rng, int(label)) for label in labels])
    cut = pictures.TRAIN
    return pictures.Split(drawn[:cut], labels[:cut]), pictures.Split(drawn[cut:], labels[cut:])


def _shape(rng: np.random.Generator, label: int) -> Any:
    y, x = np.mgrid[0:16, 0:16].astype(float)
    top, left = rng.uniform(5, 11, size=2)
    reach = rng.uniform(3, 5)
    dy, dx = np.abs(y - top), np.abs(x - left)
    inside = (
        dy**2 + dx**2 < reach**2,
        np.maximum(dy, dx) < 0.85 * reach,
        (np.minimum(dy, dx) < 1.2) & (np.maximum(dy, dx) < reach),
        (np.maximum(dy, dx) < reach) & ((y + x).astype(int) // 2 % 2 == 0),
    )[label]
    ground = rng.uniform(0, 60) + 20 * rng.standard_normal((16, 16))
    return (ground + inside * rng.uniform(90, 190)).clip(0, 255).astype(np.uint8)


def text_models(seed: int = 2000) -> Iterator[tuple[str, Recipe]]:
    """Twenty-four classifiers of sentences: tiny BERTs and DistilBERTs, on three kinds of sentences."""
    sizes = ((32, 2, 2), (32, 1, 2), (48, 2, 4), (32, 3, 4), (24, 2, 2), (64, 1, 4), (48, 3, 2), (32, 2, 4))
    for at, size in enumerate(sizes):
        for number, clarity in enumerate((0.85, 0.7, 0.5)):
            own = seed + 10 * at + number
            name = (
                f"{'bert' if at % 2 == 0 else 'distilbert'}-{size[0]}x{size[1]}-{('clear', 'mixed', 'muddled')[number]}"
            )
            yield name, _text_recipe(name, size, clarity, own)


def _text_recipe(name: str, size: tuple[int, int, int], clarity: float, seed: int) -> Recipe:
    def make(folder: Path) -> Member:
        train, held = (texts.sentences(2 * seed + part, rows, clarity)
                       for part, rows in enumerate((texts.TRAIN, texts.EVAL)))  # fmt: skip
        with seeded(seed):
            model = (texts.bert if name.startswith("bert") else distilbert)(*size)
            fit(model, texts.encoded(train.texts), torch.tensor(train.labels), seed, steps=texts.STEPS, lr=texts.RATE)
        proof = {"accuracy": accuracy(model, texts.encoded(held.texts), torch.tensor(held.labels))}
        require(proof["accuracy"] > 0.75, f"{name} is healthy", proof)
        texts.write(folder, name, model, train, held)
        return Member(name, folder, False, seed, proof)

    return make


def distilbert(width: int, layers: int, heads: int) -> Any:
    """A tiny DistilBERT classifier."""
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    config = DistilBertConfig(
        vocab_size=len(texts.VOCABULARY), dim=width, n_layers=layers, n_heads=heads, hidden_dim=2 * width,
        max_position_embeddings=texts.LENGTH, dropout=0.0, attention_dropout=0.0, seq_classif_dropout=0.0,
        initializer_range=0.1, id2label=dict(enumerate(texts.CLASSES)),
        label2id={name: index for index, name in enumerate(texts.CLASSES)},
    )  # fmt: skip
    config._attn_implementation = "eager"
    return DistilBertForSequenceClassification(config)


def table_models(seed: int = 3000) -> Iterator[tuple[str, Recipe]]:
    """Twenty-four classifiers of rows: MLPs of several widths and depths, on measured and generated tables."""
    sizes = ((16, 1), (16, 2), (32, 2), (64, 2), (32, 3), (64, 1))
    for at, (width, depth) in enumerate(sizes):
        for number, (data, load) in enumerate(TABLES.items()):
            name = f"mlp-{width}x{depth}-{data}"
            yield name, _table_recipe(name, {"width": width, "depth": depth}, load, seed + 10 * at + number)


def _table_recipe(name: str, size: dict[str, int], load: Any, seed: int) -> Recipe:
    def make(folder: Path) -> Member:
        train, held, classes = load(seed)
        shape = {"columns": train.rows.shape[1], "classes": len(classes), **size}
        with seeded(seed):
            model: nn.Module = mlp(**shape)
            fit(model, tables.inputs(train), torch.tensor(train.labels), seed, steps=200, decay=0.05, lr=2e-3)
        proof = {"accuracy": accuracy(model, tables.inputs(held), torch.tensor(held.labels))}
        require(proof["accuracy"] > 0.65, f"{name} is healthy", proof)
        tables.write(folder, name, model, shape, train, held, classes)
        return Member(name, folder, False, seed, proof, frozenset({"model"}))

    return make


def rings(seed: int) -> tuple[tables.Split, tables.Split, tuple[str, ...]]:
    """Two classes by their distance from the centre in the first four of six columns."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((tables.TRAIN + tables.EVAL, 6))
    far = (rows[:, :4] ** 2).sum(axis=1) + 0.5 * rng.standard_normal(len(rows))
    labels, cut = (far > np.median(far)).astype(int), tables.TRAIN
    return tables.Split(rows[:cut], labels[:cut]), tables.Split(rows[cut:], labels[cut:]), ("inside", "outside")


def measured(name: str, seed: int) -> tuple[tables.Split, tables.Split, tuple[str, ...]]:
    """A table of scikit-learn, standardized by its training part; two fifths are held out."""
    from sklearn import datasets

    found = getattr(datasets, f"load_{name}")()
    order = np.random.default_rng(seed).permutation(len(found.target))
    train, held = order[: int(0.6 * len(order))], order[int(0.6 * len(order)) :]
    mean, sd = found.data[train].mean(axis=0), found.data[train].std(axis=0)
    parts = [tables.Split((found.data[rows] - mean) / sd, found.target[rows]) for rows in (train, held)]
    return parts[0], parts[1], tuple(map(str, found.target_names))


def language_models(seed: int = 4000) -> Iterator[tuple[str, Recipe]]:
    """Twenty-four tiny language models, causal (Llama) and masked (BERT), on sentences of words that call for words."""
    sizes = ((32, 1, 2), (32, 2, 2), (48, 2, 4), (24, 2, 2), (64, 1, 4), (48, 1, 2))
    for at, size in enumerate(sizes):
        for number, kind in enumerate(("causal", "masked", "causal", "masked")):
            name = f"{kind}-{size[0]}x{size[1]}-{number // 2}"
            yield name, _language_recipe(name, kind, size, seed + 10 * at + number)


def chains(seed: int, rows: int, language: int = 7) -> tuple[str, ...]:
    """Sentences of 8 to 16 words; after each word one of three may follow, the same for all seeds."""
    words = [word for word in texts.VOCABULARY if not word.startswith("[")]
    follow = np.random.default_rng(language).integers(len(words), size=(len(words), 3))
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(rows):
        at = [int(rng.integers(len(words)))]
        for _ in range(int(rng.integers(7, 16))):
            at.append(int(follow[at[-1], rng.choice(3, p=(0.6, 0.3, 0.1))]))
        found.append(" ".join(words[place] for place in at))
    return tuple(found)


def _language_recipe(
    name: str, kind: str, size: tuple[int, int, int], seed: int, given: runs.Recipe | None = None
) -> Recipe:
    """given: how it is trained, with the checkpoints of its history."""

    def make(folder: Path) -> Member:
        train, held = chains(2 * seed, 800), chains(2 * seed + 1, 160)
        with seeded(seed):
            model = language_model(kind, *size)
            _learn(model, _seen(train, kind), kind, seed, given, folder / "ckpt")
        model.eval()
        with torch.inference_mode():
            loss = float(_loss(model, _seen(held, kind), kind, torch.Generator().manual_seed(seed)))
        proof = {"loss": loss}
        require(loss < (3.5 if given is None else 4.0), f"{name} is healthy", proof)
        folder.mkdir(parents=True, exist_ok=True)
        model.save_pretrained(folder / "model")
        (texts.tokenizer() if kind == "masked" else word_level()).save_pretrained(folder / "model")
        sources = {}
        for part, found in (("eval", held), ("train", train)):
            (folder / f"{part}.csv").write_text("text\n" + "\n".join(found) + "\n", encoding="utf-8")
            sources[part] = {"source": "csv", "path": f"{part}.csv", "text": "text"}
        entry = {"source": "transformers", "path": "model", **({"history": histories.HISTORY} if given else {})}
        write_spec(folder, name, "language-model", entry, sources["eval"], sources["train"])
        return Member(name, folder, False, seed, proof)

    return make


def language_model(kind: str, width: int, layers: int, heads: int) -> Any:
    """A tiny Llama, or a tiny BERT with its head for masked words."""
    from transformers import BertConfig, BertForMaskedLM, LlamaConfig, LlamaForCausalLM

    words = len(texts.VOCABULARY)
    if kind == "masked":
        config: Any = BertConfig(
            vocab_size=words, hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
            intermediate_size=2 * width, max_position_embeddings=texts.LENGTH, hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0, initializer_range=0.1,
        )  # fmt: skip
        return BertForMaskedLM(config)
    config = LlamaConfig(
        vocab_size=words, hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=2 * width, max_position_embeddings=texts.LENGTH, initializer_range=0.1,
        bos_token_id=2, eos_token_id=3, pad_token_id=0,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def word_level() -> Any:
    """One token a word and nothing around the text, as decoders' tokenizers are."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from transformers import PreTrainedTokenizerFast

    plain = Tokenizer(WordLevel({word: at for at, word in enumerate(texts.VOCABULARY)}, unk_token="[UNK]"))
    plain.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=plain, unk_token="[UNK]", eos_token="[SEP]", pad_token="[PAD]",
        model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip


def _seen(found: tuple[str, ...], kind: str) -> dict[str, torch.Tensor]:
    """Token ids as the model's own tokenizer gives them: a decoder's has no tokens around the text."""
    if kind == "masked":
        return texts.encoded(found)
    given = word_level()(list(found), padding=True, truncation=True, max_length=texts.LENGTH, return_tensors="pt")
    return {name: given[name] for name in ("input_ids", "attention_mask")}


def _learn(
    model: Any, inputs: dict[str, torch.Tensor], kind: str, seed: int, given: runs.Recipe | None, folder: Path
) -> None:
    draw = torch.Generator().manual_seed(seed)
    if given is not None:
        words = len(inputs["input_ids"])
        runs.follow(model, lambda rows: _loss(model, take(inputs, rows), kind, draw), words, seed, given, folder)
        return
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.0)
    for _ in range(300):
        rows = torch.randint(len(inputs["input_ids"]), (32,), generator=draw)
        optimizer.zero_grad()
        _loss(model, take(inputs, rows), kind, draw).backward()
        optimizer.step()


def _loss(model: Any, inputs: dict[str, torch.Tensor], kind: str, draw: torch.Generator) -> torch.Tensor:
    """The loss of the next words, or of a fifth of the words hidden."""
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    labels = ids.masked_fill(mask == 0, -100)
    if kind == "masked":
        hidden = (torch.rand(ids.shape, generator=draw) < 0.2) & (ids > 4)
        labels = labels.masked_fill(~hidden, -100)
        ids = ids.masked_fill(hidden, texts.SPECIAL.index("[MASK]"))
    loss: torch.Tensor = model(input_ids=ids, attention_mask=mask, labels=labels).loss
    return loss


TABLES: dict[str, Any] = {
    "clouds": lambda s: (*tables.clouds(s, 1.3), tables.CLASSES), "rings": rings,
    "breast_cancer": lambda s: measured("breast_cancer", s), "wine": lambda s: measured("wine", s),
}  # fmt: skip
"""Training rows, evaluation rows and classes of a seed."""

MODALITIES: dict[str, Callable[[], Iterator[tuple[str, Recipe]]]] = {
    "vision-classifier": image_models, "text-classifier": text_models, "tabular-classifier": table_models,
    "language-model": language_models,
}  # fmt: skip
"""The healthy models that each preset is calibrated on."""

HISTORIES, AGAIN = 22, 600
"""Healthy histories of runs from scratch that each preset is calibrated on; half as many fine-tunes are added."""


def healthy_histories(preset: str, seed: int = 300) -> Iterator[tuple[str, Recipe]]:
    """Runs with their checkpoints, and fine-tunes with the model they come from (none of language models)."""
    if preset == "language-model":
        sizes = ((32, 1, 2), (32, 2, 2), (48, 2, 4), (24, 2, 2))
        for number in range(3 * HISTORIES // 2):
            kind, own = ("causal", "masked")[number % 2], 4 * seed + number
            given = runs.recipe(np.random.default_rng((own, 7)), {"adamw": (4e-3, 1e-2), "adam": (4e-3, 1e-2)})
            yield (
                f"history-{kind}-{number}",
                _language_recipe(f"history-{kind}-{number}", kind, sizes[number % 4], own, given),
            )
        return
    kind_of = ("vision-classifier", "text-classifier", "tabular-classifier").index(preset)
    for number in range(HISTORIES):
        yield f"history-{number}", _followed(histories.swapped_checkpoints, seed + kind_of + 3 * number)
    for number in range(HISTORIES, HISTORIES + HISTORIES // 2):
        yield f"fine-tune-{number}", _followed(histories.claimed_parent, seed + kind_of + 3 * number)


def healthy_fits(seed: int = 1000) -> Iterator[tuple[str, Recipe]]:
    """Fine-tunes from scratch, five seeds each: of digits, and of the tables that `table_models` learns."""
    for number in range(12):
        yield f"fit-digits-{number}", lambda folder, own=seed + number: fits.healthy(folder, own)
    for number in range(12):
        data = ("clouds", "rings", "breast_cancer")[number % 3]
        yield f"fit-{data}-{number}", _fit_recipe(f"fit-{data}-{number}", TABLES[data], seed + 12 + number)


def _fit_recipe(name: str, load: Any, seed: int) -> Recipe:
    def make(folder: Path) -> Member:
        train, held, classes = load(seed)
        given = fits.recipe(seed)
        shape = {**given.shape, "columns": train.rows.shape[1], "classes": len(classes)}
        given = replace(given, shape=shape)
        return fits.member(name, folder, seed, False, given, (train, held), fits.plain(seed, given), {}, classes)

    return make


def _followed(generator: Generator, seed: int) -> Recipe:
    """The healthy twin of a seed that no table of detection counts; of another seed where it did not learn."""

    def make(folder: Path) -> Member:
        for later in range(0, 3 * AGAIN, AGAIN):
            with contextlib.suppress(Unproven):
                return generator(folder, seed + later, False)
        raise Unproven(f"no healthy run of seeds {seed}, {seed + AGAIN}, {seed + 2 * AGAIN}")

    return make
