"""SmoothGrad: the gradient averaged over noisy copies of the input, which quiets a noisy saliency map."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from auditor.methods.attribution.asked import Asked, count
from auditor.methods.attribution.method import Context, Maps, own_tokens, without_padding
from auditor.methods.attribution.saliency import Channels, saliency
from auditor.methods.attribution.slopes import Slopes


def own_range(leaf: Tensor, own: Tensor | None = None) -> Tensor:
    """The largest minus the smallest value of each example, [n]; of a text over the tokens that are its own.

    >>> own_range(torch.tensor([[1.0, 4.0], [0.0, 0.5]])).tolist()
    [3.0, 0.5]
    """
    if own is None:
        high, low = leaf, leaf
    else:
        high = leaf.masked_fill(~own.unsqueeze(-1), -torch.inf)
        low = leaf.masked_fill(~own.unsqueeze(-1), torch.inf)
    return high.flatten(1).amax(dim=1) - low.flatten(1).amin(dim=1)


def noise_of(leaf: Tensor, draws: int, generator: torch.Generator) -> Tensor:
    """Standard normal noise [draws, ...] of an example's shape, one for all examples, drawn on the processor.

    All examples share it, so a map does not depend on its neighbours in the batch. It is drawn place by place: how
    long the longest text of a batch is does not change the noise at the first tokens.
    """
    first, *rest = leaf.shape[1:]
    return torch.randn(first, draws, *rest, generator=generator).transpose(0, 1).to(leaf)


@dataclass(frozen=True)
class SmoothGrad:
    """The absolute value of the mean gradient over `draws` copies of the input with Gaussian noise.

    noise: its standard deviation as a share of the example's own range (largest minus smallest value; of texts, of
    the token embeddings, where the noise is added; of rows, of each column's range over the background, as columns
    have scales of their own). channels: how the channels of a picture become one value. On a linear model the map is
    abs(w), whatever the noise. Smilkov et al., "SmoothGrad: removing noise by adding noise" (2017).
    """

    name: ClassVar[str] = "smoothgrad"
    signed: ClassVar[bool] = False
    draws: int = 16
    noise: float = 0.15
    channels: Channels = "max"

    def maps(self, model: Asked, inputs: Any, targets: Tensor, context: Context) -> Maps:
        """`draws` forwards and backwards of each example, those of all examples batched together."""
        leaf = model.gradient_inputs(inputs)[0].detach()
        scale = self.noise * self._range(leaf, inputs, context)
        drawn, n = noise_of(leaf, self.draws, context.generator()), count(inputs)
        rows = torch.arange(n, device=leaf.device).repeat(self.draws)
        draw = torch.arange(self.draws, device=leaf.device).repeat_interleave(n)
        slopes = Slopes(model, context.batch_size)

        def points(part: slice) -> Tensor:
            return leaf[rows[part]] + scale[rows[part]] * drawn[draw[part]]

        weights = torch.full((len(rows),), 1 / self.draws)
        mean = slopes.summed(inputs, targets, rows, points, weights)
        return Maps(without_padding(saliency(mean, self.channels), inputs), halved=slopes.halved)

    @staticmethod
    def _range(leaf: Tensor, inputs: Any, context: Context) -> Tensor:
        """Of each example, or of each column, shaped to multiply a leaf."""
        if leaf.ndim == 2 and context.background is not None:
            background = context.background.to(leaf)
            return (background.amax(dim=0) - background.amin(dim=0)).expand_as(leaf)
        return own_range(leaf, own_tokens(inputs)).view(-1, *[1] * (leaf.ndim - 1))
