"""Tiny transformers for tests: texts and pictures, learned in a second, with collapse planted where asked."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from auditor.execute.sweep import sweep
from auditor.needs import Need
from auditor.sources import data, labels, models
from auditor.sources.models.loaded import LoadedModel
from auditor.spec.model import DataEntry, ModelEntry
from auditor.subject import ModelRef, Runtime, Subject

N = 64

SMALL = {
    "initializer_range": 0.1,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 32,
}


def loaded(module: nn.Module, modality: Any = "text") -> LoadedModel:
    ref = ModelRef(digest="", name="m", source="transformers", entry={}, architecture="A", modality=modality, outputs=3)
    return LoadedModel(ref, module.eval())


def bert(impl: str = "eager", **more: Any) -> Any:
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    plain = {"vocab_size": 30, "num_labels": 2, "pad_token_id": 0, "max_position_embeddings": 16}
    config = BertConfig(**{**plain, **SMALL, **more})
    return BertForSequenceClassification._from_config(config, attn_implementation=impl)


def texts(n: int = 32, tokens: int = 10, seed: int = 0) -> tuple[dict[str, Tensor], Tensor]:
    """Ids from 5 on between 2 ([CLS]) and 3 ([SEP]), of various lengths; label: a 7 stands before the first 8.

    Every text holds both, so that only their order tells: what a model without attention cannot learn.
    """
    draw = torch.Generator().manual_seed(seed)
    ids = torch.randint(9, 30, (n, tokens), generator=draw)
    lengths = torch.randint(6, tokens + 1, (n,), generator=draw)
    labels = torch.randint(0, 2, (n,), generator=draw)
    for row in range(n):
        first, second = sorted((torch.randperm(int(lengths[row]) - 2, generator=draw)[:2] + 1).tolist())
        ids[row, first], ids[row, second] = (7, 8) if labels[row] else (8, 7)
        ids[row, lengths[row] - 1], ids[row, lengths[row] :] = 3, 0
    ids[:, 0] = 2
    return {"input_ids": ids, "attention_mask": (ids != 0).long()}, labels


def vit(**more: Any) -> Any:
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(0)
    config = ViTConfig(image_size=16, patch_size=4, num_channels=1, **{"num_labels": 2, **SMALL, **more})
    return ViTForImageClassification._from_config(config, attn_implementation="eager")


def pictures(n: int = 32, seed: int = 0) -> tuple[Tensor, Tensor]:
    """16 x 16 pixels of noise; class 1 has a bright patch somewhere."""
    draw = torch.Generator().manual_seed(seed)
    found = 0.3 * torch.randn(n, 1, 16, 16, generator=draw)
    labels = torch.randint(0, 2, (n,), generator=draw)
    for row in range(n):
        at = torch.randint(0, 4, (2,), generator=draw) * 4
        if labels[row]:
            found[row, 0, at[0] : at[0] + 4, at[1] : at[1] + 4] += 2
    return found, labels


def learned(module: nn.Module, inputs: Any, labels: Tensor, steps: int = 40, lr: float = 1e-2) -> LoadedModel:
    """The module after some steps on all examples at once."""
    model = loaded(module, "text" if isinstance(inputs, dict) else "image")
    steps_of = torch.optim.AdamW(module.parameters(), lr=lr)
    module.train()
    for _ in range(steps):
        steps_of.zero_grad()
        nn.functional.cross_entropy(model.logits(inputs), labels).backward()
        steps_of.step()
    return loaded(module, model.ref.modality)


def collapse(module: nn.Module) -> None:
    """Plant it: without query projections every query asks the same."""
    with torch.no_grad():
        for name, part in module.named_modules():
            if name.endswith((".query", ".q_proj")):
                part.weight.zero_()  # type: ignore[union-attr, operator]  # a Linear


def made(need: Need[Any], root: Path) -> Any:
    """The artifact of a need, its upstream made in the same simple way."""
    if hasattr(need, "load"):
        return need.load(root, **{name: made(each, root) for name, each in need.needs().items()})
    upstream = {name: made(each, root) for name, each in need.needs().items()}
    if hasattr(need, "collect"):
        found = sweep([need], upstream["model"], upstream["batches"])[need.key]  # type: ignore[list-item]
        assert isinstance(found, need.artifact), found
        return found
    return need.build(**upstream)  # type: ignore[attr-defined]


def saved_texts(root: Path, module: Any, name: str = "model", n: int = N) -> Subject:
    """The model with a tokenizer of 30 words, and texts of the task that it has learned."""
    from transformers import BertTokenizer

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{index}" for index in range(5, 30))]
    module.save_pretrained(root / name)
    BertTokenizer(vocab={word: index for index, word in enumerate(words)}).save_pretrained(root / name)
    inputs, targets = texts(n, seed=1)
    lines = [" ".join(words[i] for i in row if i > 4) for row in inputs["input_ids"].tolist()]
    rows = "".join(f"{line},{label}\n" for line, label in zip(lines, targets.tolist(), strict=True))
    (root / "rows.csv").write_text("text,label\n" + rows)
    entry = DataEntry(name="rows", source="csv", options={"path": "rows.csv", "text": "text", "label": "label"})
    return _subject(root, name, {}, entry)


def saved_pictures(root: Path, module: Any, name: str = "model", n: int = N) -> Subject:
    """The model, and pictures of the task that it has learned."""
    module.save_pretrained(root / name)
    inputs, targets = pictures(n, seed=1)
    np.savez(root / "rows.npz", inputs=inputs.numpy(), labels=targets.numpy())
    entry = DataEntry(name="rows", source="tensors", options={"path": "rows.npz"})
    return _subject(root, name, {"transforms": {"channels": 1, "mean": [0.0], "std": [1.0]}}, entry)


def _subject(root: Path, name: str, options: dict[str, Any], entry: DataEntry) -> Subject:
    ref = models.describe(ModelEntry(name=name, source="transformers", options={"path": name, **options}), root)
    return Subject(model=ref, data=labels.match(ref, data.describe(entry, root)), runtime=Runtime(batch_size=32))


def perceptron() -> nn.Module:
    """Five columns, two classes: a factory's model."""
    return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 2))
