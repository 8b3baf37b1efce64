"""Steps: small random moves of an input, the same for an example whatever stands beside it in the batch."""

from typing import Any

import torch
from torch import Tensor

from auditor.methods.attribution.asked import count, take
from auditor.methods.attribution.method import Context, own_tokens
from auditor.methods.attribution.random_map import seed_of


def own_spread(leaf: Tensor, inputs: Any, context: Context) -> Tensor:
    """The standard deviation in which steps are measured, shaped to multiply a leaf; 0 where nothing varies.

    Pictures: of the example's own values. Texts: of the embeddings of the tokens that are its own, since padding is as
    long as the longest text of the batch. Rows: of each column over the background, as columns have units of their
    own; without a background, of the row's own values.

    >>> own_spread(torch.tensor([[1.0, 3.0], [5.0, 5.0]]), torch.ones(2, 2), Context()).tolist()
    [[1.0], [0.0]]
    """
    if leaf.ndim == 2 and context.background is not None:
        return context.background.to(leaf).std(dim=0, correction=0).expand_as(leaf)
    own = own_tokens(inputs)
    if own is None:
        return leaf.flatten(1).std(dim=1, correction=0).view(-1, *[1] * (leaf.ndim - 1))
    inside = own.unsqueeze(-1).to(leaf)
    number = (inside.sum(dim=(1, 2), keepdim=True) * leaf.shape[-1]).clamp_min(1)
    centred = (leaf - (leaf * inside).sum(dim=(1, 2), keepdim=True) / number) * inside
    return ((centred**2).sum(dim=(1, 2), keepdim=True) / number).sqrt()


class Steps:
    """Draws steps for a batch; each example draws from its own content and the context's seed.

    spread: own_spread of the batch, which a step is multiplied by.
    """

    def __init__(self, leaf: Tensor, inputs: Any, context: Context) -> None:
        """leaf: where the examples are moved."""
        own = own_tokens(inputs)
        self._leaf, self._own = leaf.detach(), None if own is None else own.to(leaf.device)
        self._generators = [
            torch.Generator().manual_seed(seed_of(take(inputs, row), context.seed)) for row in range(count(inputs))
        ]
        self.spread = own_spread(self._leaf, inputs, context)

    def normal(self) -> Tensor:
        """Standard normal numbers of the leaf's shape, zero on padding."""
        return self._drawn(torch.randn)

    def uniform(self) -> Tensor:
        """Numbers between -1 and 1 of the leaf's shape, zero on padding."""
        return self._drawn(lambda shape, generator: torch.rand(shape, generator=generator) * 2 - 1)

    def _drawn(self, draw: Any) -> Tensor:
        found = torch.zeros_like(self._leaf)
        for row, generator in enumerate(self._generators):
            if self._own is None:
                found[row] = draw(self._leaf.shape[1:], generator=generator).to(found)
            else:
                shape = (int(self._own[row].sum()), *self._leaf.shape[2:])
                found[row, self._own[row]] = draw(shape, generator=generator).to(found)
        return found
