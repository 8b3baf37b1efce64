"""Readout: one row of numbers an example, from whatever a model of each task gives."""

from collections.abc import Mapping
from inspect import signature
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from auditor.subject import Task

IDS, MASK, EMBEDDINGS, POSITION = "input_ids", "attention_mask", "inputs_embeds", "position"
"""Names of a text model's inputs; `position` is the token at which a language model is read, one an example."""
TRUNCATED = "logits_to_keep"


def positions(inputs: Mapping[str, Any]) -> "torch.Tensor":
    """Where a language model is read: the given `position`, else the last token that is no padding, on either side."""
    import torch

    if POSITION in inputs:
        return torch.as_tensor(inputs[POSITION])
    ids = inputs[IDS]
    places = torch.arange(ids.shape[1], device=ids.device)
    own = inputs.get(MASK)
    return (torch.ones_like(ids) if own is None else own).mul(places).argmax(dim=1)


def only_at(module: Any, places: "torch.Tensor") -> "tuple[dict[str, Any], torch.Tensor]":
    """What tells a causal model to give logits at these places alone, and where each example's then stands.

    A vocabulary is large: the logits of all tokens of a batch may need more memory than the model.
    """
    import torch

    if TRUNCATED not in signature(module.forward).parameters:
        return {}, places
    kept, at = torch.unique(places, return_inverse=True)
    return {TRUNCATED: kept}, at


def read(task: "Task", outputs: Any, inputs: Any, at: "torch.Tensor | None" = None) -> "torch.Tensor":
    """n x outputs: a head's logits, a language model's at each example's place `at`, an encoder's mean state.

    The mean of an encoder runs over the tokens that are no padding, or over all places of a picture.
    """
    import torch

    if task == "encoder":
        return pooled(outputs, inputs)
    logits: torch.Tensor = outputs if hasattr(outputs, "dim") else outputs.logits
    if at is not None:
        return logits[torch.arange(len(logits), device=logits.device), at]
    return logits[:, None] if task == "regression" and logits.ndim == 1 else logits


def pooled(outputs: Any, inputs: Any) -> "torch.Tensor":
    """The last hidden state [n, tokens, width] or [n, channels, height, width], averaged over own tokens or places."""
    state: torch.Tensor = outputs if hasattr(outputs, "dim") else outputs.last_hidden_state
    own = inputs.get(MASK) if isinstance(inputs, Mapping) else None
    if own is not None and state.ndim == 3:
        weight = own.to(state.dtype)[..., None]
        mean: torch.Tensor = (state * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)
        return mean
    return state.flatten(2).mean(dim=2) if state.ndim == 4 else state.mean(dim=1) if state.ndim == 3 else state
