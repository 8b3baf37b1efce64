"""Method: one way to attribute a score to the parts of an input, with its parameters and what it may draw on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from auditor.methods.attribution.asked import Asked


@dataclass(frozen=True)
class Context:
    """What a method may need beside model, inputs and targets.

    seed: of all it draws. batch_size: inputs a forward. mask_id and special_ids: the token that stands for a removed
    one (-1: the tokenizer has none), and those that are never removed. pad_id: of padding. background: rows of a table
    [k, columns] as the model takes them, for what a removed column becomes. spread: the standard deviation of the
    explained scores over all examples, against which an error is small (0: not known).
    """

    seed: int = 0
    batch_size: int = 32
    mask_id: int = -1
    pad_id: int = 0
    special_ids: tuple[int, ...] = ()
    background: Tensor | None = None
    spread: float = 0.0

    def generator(self) -> torch.Generator:
        """A fresh generator on the processor, from the seed: equal calls draw equal numbers."""
        return torch.Generator().manual_seed(self.seed)


@dataclass(frozen=True)
class Maps:
    """Maps of a batch, [n, ...] at the method's native resolution, and further facts a row, [n] each, by name.

    layer: where they come from, if from one. halved: how often batches were halved because memory ran out.
    """

    values: Tensor
    facts: Mapping[str, Tensor] = field(default_factory=dict)
    layer: str = ""
    halved: int = 0


class Method(Protocol):
    """A frozen dataclass whose fields are the method's parameters.

    signed: whether a negative value speaks against the target; else values are sizes.
    """

    name: ClassVar[str]
    signed: ClassVar[bool]

    def maps(self, model: Asked, inputs: Any, targets: Tensor, context: Context) -> Maps:
        """Maps of pictures [n, h, w], of texts [n, tokens] (zero on padding), of rows [n, columns]."""


def own_tokens(inputs: Any) -> Tensor | None:
    """Which places are tokens of the text, not padding: bool [n, tokens]; None for pictures and rows."""
    if not isinstance(inputs, Mapping):
        return None
    mask = inputs.get("attention_mask")
    return torch.ones_like(inputs["input_ids"], dtype=torch.bool) if mask is None else mask.bool()


def own_words(inputs: Any, special_ids: tuple[int, ...]) -> Tensor | None:
    """Which places are tokens of the text that can be taken away: neither padding nor special; bool [n, tokens]."""
    own = own_tokens(inputs)
    if own is None:
        return None
    for special in special_ids:
        own = own & (inputs["input_ids"] != special)
    return own


def without_padding(values: Tensor, inputs: Any) -> Tensor:
    """The maps of texts, zero where padding lies; others unchanged."""
    own = own_tokens(inputs)
    return values if own is None else values * own.to(values.dtype)
