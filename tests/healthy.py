"""Healthy: small models trained in a second on data that scikit-learn ships, for checks of whole models."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from auditor.sources import data, labels
from auditor.sources.data.batch import BatchLoader
from auditor.sources.encode import Columns, Encoder, Pictures
from auditor.sources.models.loaded import LoadedModel
from auditor.sources.steps import Steps
from auditor.spec.model import DataEntry
from auditor.subject import ModelRef, Runtime, Subject


@dataclass(frozen=True)
class Trained:
    """A model, its evaluation data, and the subject that describes both."""

    subject: Subject
    model: LoadedModel
    loader: BatchLoader

    def upstream(self) -> dict[str, Any]:
        """What a need over model and data receives."""
        return {"model": self.model, "batches": self.loader}


class DigitNet(nn.Module):
    """Two convolutions and a linear head for 8 x 8 digits."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.relu1 = nn.Conv2d(1, 12, 3, padding=1), nn.ReLU()
        self.conv2, self.relu2 = nn.Conv2d(12, 16, 3, padding=1, stride=2), nn.ReLU()
        self.head = nn.Linear(16 * 16, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.relu2(self.conv2(self.relu1(self.conv1(x)))).flatten(1))


def fit(module: nn.Module, inputs: Tensor, labels: Tensor, steps: int = 120, seed: int = 0) -> nn.Module:
    """The module after some steps of AdamW on batches of 64."""
    draw = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(module.parameters(), lr=5e-3)
    for _ in range(steps):
        rows = torch.randint(len(inputs), (64,), generator=draw)
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(inputs[rows]), labels[rows]).backward()
        optimizer.step()
    return module.eval()


def all_of(loader: BatchLoader) -> tuple[Tensor, Tensor]:
    """Every input and label of a loader."""
    batches = list(loader)
    return torch.cat([batch.inputs for batch in batches]), torch.cat([batch.labels for batch in batches])


def loader_of(name: str, split: str, encoder: Encoder, n: int | None = None) -> BatchLoader:
    """scikit-learn's data set in batches of 64."""
    sample = {"sample": {"n": n}} if n else {}
    entry = DataEntry(name=split, source="sklearn", options={"name": name, "split": split, **sample})
    root = Path(__file__).parent
    found = labels.match(ref_of(name), data.describe(entry, root))
    return BatchLoader(data.load(found, root), encoder, 64)


def ref_of(name: str) -> ModelRef:
    """A net for that data, as it would be described."""
    modality: Any = "image" if name == "digits" else "tabular"
    outputs = 10 if name == "digits" else 2
    return ModelRef(digest=f"net of {name}", name="net", source="factory", entry={}, architecture="net",
                    modality=modality, outputs=outputs)  # fmt: skip


@cache
def _state(name: str) -> dict[str, Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = DigitNet() if name == "digits" else columns_net()
    return fit(module, *all_of(loader_of(name, "train", encoder_of(name)))).state_dict()


def columns_net(inputs: int = 30) -> nn.Sequential:
    """A small net of rows of numbers."""
    return nn.Sequential(nn.Linear(inputs, 24), nn.ReLU(), nn.Linear(24, 2))


def encoder_of(name: str) -> Encoder:
    """Pictures scaled to about [0, 1], or columns standardized by the training rows."""
    if name == "digits":
        return Pictures(Steps.model_validate({"mean": [0.0], "std": [1.0], "channels": 1}))
    rows = loader_of(name, "train", Columns()).dataset
    table = np.stack([rows.fetch(row) for row in range(rows.rows)])
    return Columns(tuple(table.mean(axis=0)), tuple(table.std(axis=0)))


def trained(name: str, rows: int | None = None) -> Trained:
    """A net of its own that has learned `digits` or `breast_cancer`, with the test split."""
    module = DigitNet() if name == "digits" else columns_net()
    module.load_state_dict(_state(name))
    return of(name, module.eval(), rows)


def of(name: str, module: nn.Module, rows: int | None = None) -> Trained:
    """Any module beside the test split of a data set."""
    loader = loader_of(name, "test", encoder_of(name), rows)
    ref, found = ref_of(name), loader.dataset.ref
    return Trained(Subject(model=ref, data=found, runtime=Runtime(batch_size=64)), LoadedModel(ref, module), loader)


def of_table(root: Path, columns: dict[str, "np.ndarray[Any, Any]"], labels_: list[str], module: nn.Module) -> Trained:
    """Any module beside named columns and labels, written to a CSV file in `root`."""
    lines = [",".join(map(repr, map(float, row))) for row in zip(*columns.values(), strict=True)]
    rows = [f"{line},{label}" for line, label in zip(lines, labels_, strict=True)]
    (root / "rows.csv").write_text("\n".join([",".join([*columns, "label"]), *rows]))
    options = {"path": "rows.csv", "label": "label", "features": list(columns)}
    ref = ModelRef(digest="net of columns", name="net", source="factory", entry={}, architecture="net",
                   modality="tabular", outputs=len(set(labels_)))  # fmt: skip
    found = labels.match(ref, data.describe(DataEntry(name="rows", source="csv", options=options), root))
    loader = BatchLoader(data.load(found, root), Columns(), 64)
    return Trained(Subject(model=ref, data=found, runtime=Runtime(batch_size=64)), LoadedModel(ref, module), loader)


def reviews(root: Path, n: int = 40) -> Subject:
    """A tiny BERT classifier with random weights, and short texts of different lengths, written to `root`."""
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    from auditor.sources import models
    from auditor.spec.model import ModelEntry

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "good", "bad", "film"]
    (root / "vocab.txt").write_text("\n".join(words))
    config = BertConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
                        max_position_embeddings=16, id2label={0: "no", 1: "yes"})  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertForSequenceClassification(config).save_pretrained(root / "bert")
    BertTokenizer(str(root / "vocab.txt")).save_pretrained(root / "bert")
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(words[5:], size=rng.integers(1, 6))) for _ in range(n)]
    lines = [f"{text},{'yes' if 'good' in text else 'no'}" for text in texts]
    (root / "rows.csv").write_text("\n".join(["text,label", *lines]))
    ref = models.describe(ModelEntry(name="net", source="transformers", options={"path": "bert"}), root)
    entry = DataEntry(name="rows", source="csv", options={"path": "rows.csv", "text": "text", "label": "label"})
    return Subject(model=ref, data=labels.match(ref, data.describe(entry, root)), runtime=Runtime(batch_size=16))
