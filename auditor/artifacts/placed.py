"""Placed: stored maps back beside the inputs that they were made of, batch by batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from auditor.artifacts.attributions import Attributions
from auditor.artifacts.explanations import batches_of

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Placed:
    """One batch of explained examples. maps: of each method [n, ...], texts with their padding again. scores: f(x)."""

    start: int
    inputs: Any
    targets: "Tensor"
    scores: "Tensor"
    maps: "tuple[Tensor, ...]"


def placed(loader: Any, attributions: Sequence[Attributions]) -> Iterator[Placed]:
    """The batches of a loader that hold the explained examples, with the maps of several methods of these."""
    import torch

    explained, start = attributions[0].explained, 0
    assert explained.scores is not None
    scores = torch.from_numpy(explained.scores)
    for inputs, targets in batches_of(loader, explained):
        rows = slice(start, start + len(targets))
        maps = tuple(_on(each, rows, inputs) for each in attributions)
        yield Placed(start, inputs, targets, scores[rows].to(targets.device), maps)
        start += len(targets)


def _on(found: Attributions, rows: slice, inputs: Any) -> "Tensor":
    """The maps of some rows; a text's values stand at its own tokens, wherever the padding is."""
    import torch

    from auditor.methods.attribution.method import own_tokens

    maps, own = torch.from_numpy(found.maps[rows]), own_tokens(inputs)
    if own is None:
        return maps
    full = torch.zeros(own.shape)
    for line, values, inside in zip(full, maps, own.cpu(), strict=True):
        line[inside] = values[: int(inside.sum())]
    return full
