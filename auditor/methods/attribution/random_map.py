"""Random maps: a control that knows nothing of the model nor of the picture, and repeats in every batch."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from auditor.methods.attribution.asked import Asked, count, take
from auditor.methods.attribution.method import Context, Maps, own_tokens


def seed_of(example: Any, seed: int) -> int:
    """63 bits of the example's content and a seed: what it draws is the same in every batch, and no one else's.

    Of a text its own tokens count: padding is as long as the longest text of the batch.
    """
    own = own_tokens(example)
    tensors = [example] if own is None else [
        example[name][own] for name in sorted(example) if example[name].shape[:1] == own.shape
    ]  # fmt: skip
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
        own = own_tokens(inputs)
        found = torch.zeros(len(like), *shape, device=like.device)
        for row in range(count(inputs)):
            generator = torch.Generator().manual_seed(seed_of(take(inputs, row), context.seed))
            places = slice(None) if own is None else own[row]
            found[row, places] = torch.randn(found[row, places].shape, generator=generator).to(found)
        return Maps(found)
