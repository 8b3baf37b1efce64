"""Looking: one batch's attention as numbers of heads, and as maps beside the gradient at the input."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from auditor.methods.attention.agreement import beyond_shifts
from auditor.methods.attention.heads import (
    Seen,
    comparable,
    entropy,
    first_order_effect,
    is_causal,
    query_dependence,
    redundancy,
)
from auditor.methods.attention.maps import on_places, own_of
from auditor.methods.attention.rollout import as_map, attention_rollout, gradient_attention, read_positions
from auditor.methods.attention.watching import Attentions, Layer, attentions_of
from auditor.methods.attribution.asked import Asked
from auditor.methods.attribution.method import Maps, own_words
from auditor.methods.attribution.saliency import saliency


@dataclass(frozen=True)
class Looked:
    """What one batch showed. columns: float64 or bool, one row an example. maps: rollout and gradient attention."""

    layers: tuple[Layer, ...]
    causal: bool
    columns: dict[str, NDArray[Any]]
    maps: tuple[Maps, Maps]


def looked(
    model: Asked, inputs: Any, targets: Tensor, special_ids: tuple[int, ...], rng: np.random.Generator
) -> Looked:
    """One forward and one backward of a batch.

    Maps leave out special tokens, and of pictures the prefix tokens: what they gather is no part of the input. Heads
    are compared over all tokens but padding, special ones too. rng: for the shifts of the null.
    """
    found = attentions_of(model, inputs, targets)
    own = own_of(found, inputs)
    causal = is_causal(found.weights, own)
    maps = _maps(found, own, inputs, special_ids)
    columns = _of_heads(found, own, comparable(own, causal))
    return Looked(
        found.layers, causal, {**columns, "agreement": _agreement(found, maps, inputs, special_ids, rng)}, maps
    )


def _of_heads(found: Attentions, own: Tensor, seen: Seen) -> dict[str, NDArray[Any]]:
    pairs = list(zip(found.weights, found.gradients, strict=True))
    none = torch.full((len(own),), float("nan"))
    return {
        "query_dependence": _side_by_side([query_dependence(layer, seen) for layer, _ in pairs]),
        "entropy": _side_by_side([entropy(layer, seen) for layer, _ in pairs]),
        "first_order": _side_by_side([first_order_effect(layer, slope) for layer, slope in pairs]),
        "redundancy": _side_by_side(
            [(redundancy(layer, own) if layer.shape[1] > 1 else none)[:, None] for layer, _ in pairs]
        ),
        "usable": seen.usable.cpu().numpy(),
    }


def _side_by_side(layers: list[Tensor]) -> NDArray[Any]:
    found: NDArray[Any] = torch.cat([layer.double().cpu() for layer in layers], dim=1).numpy()
    return found


def _maps(found: Attentions, own: Tensor, inputs: Any, special_ids: tuple[int, ...]) -> tuple[Maps, Maps]:
    read, words = read_positions(found.gradients[-1], own), own_words(inputs, special_ids)
    rolled = attention_rollout(found.weights, own), gradient_attention(found.weights, found.gradients, own)
    first, second = (on_places(as_map(each, read), found.grid, inputs) for each in rolled)
    if words is None:
        return Maps(first), Maps(second)
    return Maps(first * words), Maps(second * words)


def _agreement(
    found: Attentions, maps: tuple[Maps, Maps], inputs: Any, special_ids: tuple[int, ...], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Both maps with the absolute gradient at the input, [n, 2]; over the words of texts, the patches of pictures."""
    assert found.slope is not None
    reference, words = saliency(found.slope, "sum"), own_words(inputs, special_ids)
    if found.grid is not None:
        reference = functional.adaptive_avg_pool2d(reference[:, None], found.grid)[:, 0]
    beside = reference.double().cpu().numpy()
    columns = [
        [_one(map_, beside[row], words, row, rng) for row, map_ in enumerate(each.values.double().cpu().numpy())]
        for each in maps
    ]
    return np.array(columns, dtype=np.float64).T


def _one(
    values: NDArray[np.float64], beside: NDArray[np.float64], words: Tensor | None, row: int, rng: np.random.Generator
) -> float:
    if words is None:
        return beyond_shifts(values, beside, rng)
    kept = words[row].cpu().numpy()
    return beyond_shifts(values[kept], beside[kept], rng)
