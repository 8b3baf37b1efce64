"""Small models that attribution can ask, and what every method must leave as it found it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from auditor.methods.attribution.method import Context

SPECIAL = (0, 1, 2)  # padding, [CLS], [SEP]
MASK = 3
CONTEXT = Context(seed=5, batch_size=7, mask_id=MASK, pad_id=0, special_ids=SPECIAL)


@dataclass
class Net:
    """A module as attribution asks it; texts need an `embed` and a forward from embeddings and mask."""

    module: nn.Module
    most: int = 10_000

    def logits(self, inputs: Any) -> Tensor:
        if isinstance(inputs, Mapping):
            leaf = inputs.get("inputs_embeds")
            leaf = self.module.embed(inputs["input_ids"]) if leaf is None else leaf
            self._fits(leaf)
            return self.module(leaf, inputs["attention_mask"])
        self._fits(inputs)
        return self.module(inputs)

    def _fits(self, batch: Tensor) -> None:
        if len(batch) > self.most:
            raise torch.OutOfMemoryError("not enough memory")

    def gradient_inputs(self, inputs: Any) -> tuple[Tensor, Any]:
        if isinstance(inputs, Mapping):
            own = inputs["inputs_embeds"] if "inputs_embeds" in inputs else self.module.embed(inputs["input_ids"])
            leaf = own.detach().clone().requires_grad_(True)
            return leaf, {**inputs, "inputs_embeds": leaf}
        leaf = inputs.detach().clone().requires_grad_(True)
        return leaf, leaf


class Reader(nn.Module):
    """A tiny text classifier: attention-free mixing over the tokens that are not masked away."""

    def __init__(self, words: int = 20, width: int = 8, classes: int = 3) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.inner, self.head = nn.Linear(width, 16), nn.Linear(16, classes)

    def forward(self, leaf: Tensor, mask: Tensor) -> Tensor:
        weight = mask.unsqueeze(-1).to(leaf.dtype)
        return self.head(torch.tanh((self.inner(leaf).tanh() * weight).sum(dim=1)))


def convolutional(inplace: bool = True) -> nn.Module:
    """Convolutions, batch normalization and ReLU, in eval mode with statistics of its own."""
    torch.manual_seed(3)
    net = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(inplace), nn.Conv2d(6, 8, 3, stride=2, padding=1),
        nn.ReLU(inplace), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 4),
    )  # fmt: skip
    net[1].running_mean += 0.1
    return net.eval()


def pictures(n: int = 5, side: int = 12) -> Tensor:
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(1))


def texts() -> dict[str, Tensor]:
    """Three texts of unequal length with [CLS] in front and [SEP] behind."""
    ids = torch.tensor([[1, 5, 9, 7, 2], [1, 8, 2, 0, 0], [1, 11, 6, 2, 0]])
    return {"input_ids": ids, "attention_mask": (ids != 0).long()}


def reader() -> Net:
    torch.manual_seed(4)
    return Net(Reader().eval())


def rows(n: int = 6, columns: int = 5) -> Tensor:
    return torch.randn(n, columns, generator=torch.Generator().manual_seed(2))


def linear(columns: int = 5) -> tuple[Net, Tensor]:
    """A linear model of one output, and its weights."""
    torch.manual_seed(6)
    layer = nn.Linear(columns, 1).eval()
    return Net(layer), layer.weight.detach()[0]


def hooks(module: nn.Module) -> int:
    """All hooks on a module and its parts."""
    kept = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return sum(len(getattr(part, name)) for part in module.modules() for name in kept)


def cosine(one: Tensor, other: Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(one.double().flatten(), other.double().flatten(), dim=0))
