"""Random maps: a control that knows nothing of the model nor of the picture, and repeats in every batch."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from auditor.methods.attribution.asked import Asked, count, take
from auditor.methods.attribution.method import Context, Maps, without_padding


def seed_of(example: Any, seed: int) -> int:
    """63 bits of the example's content and a seed: its random map is the same in every batch, and no one else's."""
    tensors = [example[name] for name in sorted(example)] if isinstance(example, Mapping) else [example]
    content = hashlib.sha256(str(seed).encode())
    for tensor in tensors:
        content.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return int.from_bytes(content.digest()[:8], "big") >> 1


@dataclass(frozen=True)
class Random:
    """Independent standard normal numbers at every place; the control has no parameters."""

    name: ClassVar[str] = "random"
    signed: ClassVar[bool] = True

    def maps(self, model: Asked, inputs: Any, targets: Tensor, context: Context) -> Maps:
        """No forward at all."""
        like = inputs["input_ids"] if isinstance(inputs, Mapping) else inputs
        shape = like.shape[2:] if like.ndim == 4 else like.shape[1:]
        drawn = [self._one(take(inputs, row), shape, context.seed) for row in range(count(inputs))]
        return Maps(without_padding(torch.stack(drawn).to(like.device), inputs))

    @staticmethod
    def _one(example: Any, shape: torch.Size, seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed_of(example, seed))
        return torch.randn(tuple(shape), generator=generator)
