"""The mean losses whose curvature is taken, by task, batch by batch."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss

from auditor.errors import NotApplicable
from auditor.methods.curvature.products import Part

MASKED = 0.15
"""The share of a text's own tokens that a masked language model is asked for, as in its training."""

Ask = Callable[[Any], Tensor]


def of_rows(logits: Ask, inputs: Any, labels: Tensor) -> Part:
    """Cross-entropy of classes, or mean squared error where labels are floats."""
    if not labels.is_floating_point():
        return Part(lambda: logits(inputs), lambda found: cross_entropy(found, labels), len(labels))
    return Part(lambda: logits(inputs), lambda found: mse_loss(_single(found), labels), len(labels))


def _single(found: Tensor) -> Tensor:
    if found.ndim != 2 or found.shape[1] != 1:
        raise NotApplicable(f"a regression of {found[0].numel()} outputs cannot be compared with one label a row")
    return found[:, 0]


def of_next_tokens(token_logits: Ask, inputs: Mapping[str, Tensor]) -> Part | None:
    """-log p(x_i | x_<i), the mean over all own tokens but the first of each text; None where there is none."""
    ids, own = inputs["input_ids"], inputs["attention_mask"].bool()
    asked = own[:, 1:] & own[:, :-1]
    return _tokens(lambda: token_logits(inputs)[:, :-1][asked], ids[:, 1:][asked])


def of_masked_tokens(
    token_logits: Ask, inputs: Mapping[str, Tensor], special: list[int], mask_id: int, generator: torch.Generator
) -> Part | None:
    """-log p(x_i | the text without the chosen tokens), the mean over them: MASKED of the own tokens, drawn."""
    ids, own = inputs["input_ids"], inputs["attention_mask"].bool()
    ordinary = own & ~torch.isin(ids, torch.tensor(special, dtype=ids.dtype, device=ids.device))
    drawn = torch.rand(ids.shape, generator=generator).to(ids.device)
    asked = ordinary & (drawn < MASKED)
    hidden = {**inputs, "input_ids": ids.masked_fill(asked, mask_id)}
    return _tokens(lambda: token_logits(hidden)[asked], ids[asked])


def _tokens(outputs: Callable[[], Tensor], truth: Tensor) -> Part | None:
    return Part(outputs, lambda found: cross_entropy(found, truth), len(truth)) if len(truth) else None
