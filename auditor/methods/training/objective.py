"""Objectives: what a training step minimizes, for each task, and over what its mean is taken."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch.nn.functional import cross_entropy, mse_loss

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Prepare = Callable[[Any, torch.Tensor, torch.Generator], tuple[Any, torch.Tensor]]

IDS, MASK = "input_ids", "attention_mask"
IGNORED = -100
"""The label of a token that is not scored."""

MASKED, REPLACED_FROM, RANDOM_FROM = 0.15, 0.8, 0.9
LARGEST = 50_000_000
"""Logits of a language model computed at once, at most: tokens times vocabulary."""


def as_they_are(inputs: Any, labels: torch.Tensor, generator: torch.Generator) -> tuple[Any, torch.Tensor]:
    """Inputs and labels as the data give them."""
    return inputs, labels


@dataclass(frozen=True)
class Objective:
    """loss: of outputs and labels, the mean over what is scored: examples, or tokens (labels [n, tokens]).

    prepare: inputs and labels of a batch as the loss wants them; what it draws comes from the generator.
    vocabulary: of a language model, else 0.
    """

    loss: Loss = cross_entropy
    prepare: Prepare = as_they_are
    vocabulary: int = 0

    def weight(self, labels: torch.Tensor) -> int:
        """How many examples or tokens the mean is taken over."""
        return int((labels != IGNORED).sum()) if labels.dim() > 1 and self.vocabulary else len(labels)

    def right(self, outputs: torch.Tensor, labels: torch.Tensor) -> int | None:
        """How many examples have the largest logit at their label; None where there are no classes."""
        if outputs.dim() != 2 or labels.dim() != 1 or labels.is_floating_point():
            return None
        return int((outputs.argmax(1) == labels).sum())

    def most(self, inputs: Any) -> int | None:
        """How many of these examples may be computed at once, whatever memory allows; None for all."""
        return max(1, LARGEST // (inputs[IDS].shape[1] * self.vocabulary)) if self.vocabulary else None


CLASSIFICATION = Objective()
"""One class an example: the cross-entropy of the softmax, in nats."""


def squares() -> Objective:
    """A regression: the mean squared error of the only output."""
    return Objective(lambda outputs, labels: mse_loss(outputs[:, 0], labels))


def next_tokens(vocabulary: int) -> Objective:
    """A causal language model: -log p(token | tokens before), the mean over tokens that are no padding."""
    return Objective(token_loss, _shifted, vocabulary)


def hidden_tokens(vocabulary: int, mask_id: int, special: tuple[int, ...]) -> Objective:
    """A masked language model: -log p(token | the others) of hidden tokens, the mean over these.

    15% of each text's tokens that are not special are drawn, one at least; 80% of them become the mask, 10% a random
    token, and 10% stay. Devlin et al., BERT (NAACL 2019).
    """
    return Objective(token_loss, partial(_hidden, vocabulary, mask_id, special), vocabulary)


def token_loss(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy over the scored tokens, outputs [n, tokens, vocabulary]; 0 where none is scored."""
    total = cross_entropy(outputs.flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="sum")
    return total / max(1, int((labels != IGNORED).sum()))


def _shifted(inputs: Any, labels: torch.Tensor, generator: torch.Generator) -> tuple[Any, torch.Tensor]:
    ids = inputs[IDS]
    own = inputs.get(MASK, torch.ones_like(ids)).bool()
    wanted = torch.full_like(ids, IGNORED)
    wanted[:, :-1] = torch.where(own[:, 1:] & own[:, :-1], ids[:, 1:], IGNORED)
    return inputs, wanted


def _hidden(
    vocabulary: int, mask_id: int, special: tuple[int, ...], inputs: Any, labels: torch.Tensor,
    generator: torch.Generator,
) -> tuple[Any, torch.Tensor]:  # fmt: skip
    ids = inputs[IDS].cpu()
    own = inputs[MASK].cpu().bool() if MASK in inputs else torch.ones_like(ids, dtype=torch.bool)
    own &= ~torch.isin(ids, torch.tensor(special, dtype=ids.dtype))
    drawn, kind = (torch.rand(ids.shape, generator=generator) for _ in range(2))
    other = torch.randint(vocabulary, ids.shape, generator=generator, dtype=ids.dtype)
    drawn = torch.where(own, drawn, 2.0)
    chosen = drawn < MASKED
    chosen |= own & (drawn == drawn.min(dim=1, keepdim=True).values)
    changed = torch.where(kind < REPLACED_FROM, mask_id, torch.where(kind >= RANDOM_FROM, other, ids))
    device = inputs[IDS].device
    seen = torch.where(chosen, changed, ids).to(device)
    return {**inputs, IDS: seen}, torch.where(chosen, ids, IGNORED).to(device)
