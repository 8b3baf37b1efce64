"""Objective: what each example costs a model, as a negative log-likelihood in nats."""

from math import log, pi

import torch
from torch import Tensor
from torch.nn import functional


def of_classes(logits: Tensor, labels: Tensor) -> Tensor:
    """[n]: -log softmax(logits)[label]."""
    return functional.cross_entropy(logits, labels, reduction="none")


def of_numbers(outputs: Tensor, targets: Tensor, variance: float) -> Tensor:
    """[n]: -log of the normal density of the target around the first output, of the given variance."""
    return (outputs[:, 0] - targets) ** 2 / (2 * variance) + 0.5 * log(2 * pi * variance)


def of_next_tokens(logits: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    """[n]: mean over the tokens of a text of -log p(token | those before it); texts are padded on the right."""
    each = functional.cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none")
    own = (mask[:, 1:] * mask[:, :-1]).to(each.dtype)
    return (each * own).sum(dim=1) / own.sum(dim=1).clamp(min=1)


def of_hidden_tokens(logits: Tensor, ids: Tensor, hidden: Tensor) -> Tensor:
    """[n]: mean over the hidden tokens of a text of -log p(token | the text without them)."""
    each = functional.cross_entropy(logits.transpose(1, 2), ids, reduction="none")
    own = hidden.to(each.dtype)
    return (each * own).sum(dim=1) / own.sum(dim=1).clamp(min=1)


def hiding(ids: Tensor, allowed: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """bool, as ids [n, tokens]: `share` of the allowed tokens of each text, at least one where there is one."""
    draw = torch.rand(ids.shape, generator=generator).masked_fill(~allowed, 2.0)
    count = (allowed.sum(dim=1, keepdim=True) * share).round().clamp(min=1)
    ranks = draw.argsort(dim=1).argsort(dim=1)
    return (ranks < count) & allowed
