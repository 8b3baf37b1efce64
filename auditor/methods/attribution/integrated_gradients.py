"""Integrated gradients: the gradient along the straight way from a baseline to the input, times that way."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from auditor.errors import NotApplicable
from auditor.methods.attribution.asked import Asked, count, moved, take
from auditor.methods.attribution.input_x_gradient import in_places
from auditor.methods.attribution.method import Context, Maps, own_words, without_padding
from auditor.methods.attribution.perturb import Forwards
from auditor.methods.attribution.removal import blurred
from auditor.methods.attribution.slopes import Slopes

Baseline = Literal["auto", "zero", "mean", "blur", "pad"]
FIRST, LAST = 16, 256
SMALL = 0.05
"""Below this share of the scores' standard deviation a difference of scores counts as no difference."""


def nodes(steps: int) -> tuple[Tensor, Tensor]:
    """Places in (0, 1) and weights of Gauss-Legendre quadrature, float64 [steps] each.

    >>> [value.item() for value in nodes(1)]
    [0.5, 1.0]
    """
    places, weights = np.polynomial.legendre.leggauss(steps)
    return torch.from_numpy((places + 1) / 2), torch.from_numpy(weights / 2)


def completeness_error(total: Tensor, difference: Tensor, spread: float) -> Tensor:
    """abs(sum A - (f(x) - f(x0))) / max(abs(f(x) - f(x0)), .05 spread), [n]: 0 where a map adds up as it must.

    >>> completeness_error(torch.tensor([1.1]), torch.tensor([1.0]), 0.0).round(decimals=3).item()
    0.1...
    """
    size = difference.abs().clamp_min(max(SMALL * spread, torch.finfo(difference.dtype).tiny))
    return (total - difference).abs() / size


def baseline_of(model: Asked, inputs: Any, leaf: Tensor, baseline: Baseline, context: Context) -> Tensor:
    """x0 of each example, as the leaf. NotApplicable where that baseline is not defined for such inputs.

    zero: zeros (of a normalized picture, the colour that the normalization takes off). mean: a picture's own mean
    colour, a table's mean over the background. blur: the blurred picture. pad: every word becomes the padding token.
    auto: zero for pictures, pad for texts, mean for rows. Special tokens and
    masks of texts stay as they are.
    """
    kind = {4: "zero", 3: "pad", 2: "mean"}[leaf.ndim] if baseline == "auto" else baseline
    words = own_words(inputs, context.special_ids)
    if words is not None:
        words = words & (inputs["input_ids"] != context.mask_id)  # a mask asks a question: it is no word of the text
        return _of_texts(model, inputs, leaf, kind, words, context.pad_id)
    if kind == "zero":
        return torch.zeros_like(leaf)
    if kind == "mean" and leaf.ndim == 4:
        return leaf.mean(dim=(2, 3), keepdim=True).expand_as(leaf)
    if kind == "mean" and context.background is not None:
        return context.background.to(leaf).mean(dim=0, keepdim=True).expand_as(leaf)
    if kind == "blur" and leaf.ndim == 4:
        return blurred(leaf)
    raise NotApplicable(f"there is no baseline {kind!r} for these inputs")


def _of_texts(model: Asked, inputs: Any, leaf: Tensor, kind: str, words: Tensor, pad: int) -> Tensor:
    if kind == "pad":
        padded = torch.where(words, torch.full_like(inputs["input_ids"], pad), inputs["input_ids"])
        plain = {name: tensor for name, tensor in inputs.items() if name != "inputs_embeds"}
        blank = model.gradient_inputs({**plain, "input_ids": padded})[0].detach()
        return torch.where(words.unsqueeze(-1), blank, leaf)
    if kind == "zero":
        return leaf * ~words.unsqueeze(-1)
    raise NotApplicable(f"there is no baseline {kind!r} for texts")


@dataclass(frozen=True)
class IntegratedGradients:
    """(x - x0) times the mean gradient on the way from the baseline x0 to x, summed over what is one place; signed.

    The mean is taken by Gauss-Legendre quadrature whose steps double from `first` to `last`, for each example until
    its completeness error is at most `enough`. Facts: completeness_error and steps of each example. Always float32.
    On a linear model the map is w (x - x0). Sundararajan, Taly and Yan, "Axiomatic attribution" (2017).
    """

    name: ClassVar[str] = "integrated_gradients"
    signed: ClassVar[bool] = True
    baseline: Baseline = "auto"
    first: int = FIRST
    last: int = LAST
    enough: float = 0.05

    def maps(self, model: Asked, inputs: Any, targets: Tensor, context: Context) -> Maps:
        """At least `first` forwards and backwards of each example, and two forwards for the difference."""
        leaf = model.gradient_inputs(inputs)[0].detach()
        with torch.autocast(leaf.device.type, enabled=False):
            path = _Path(model, inputs, targets, leaf, baseline_of(model, inputs, leaf, self.baseline, context))
            return self._doubling(path, Slopes(model, context.batch_size), context)

    def _doubling(self, path: "_Path", slopes: Slopes, context: Context) -> Maps:
        n, device = count(path.inputs), path.start.device
        difference, halved = path.difference(context.batch_size)
        values = torch.zeros_like(in_places(path.start))
        error = torch.full((n,), torch.inf, device=device)
        used = torch.zeros(n, device=device)
        steps, open_ = self.first, torch.arange(n, device=device)
        while len(open_):
            values[open_] = path.integrated(open_, steps, slopes)
            total = values[open_].flatten(1).sum(dim=1)
            error[open_], used[open_] = completeness_error(total, difference[open_], context.spread), steps
            steps *= 2
            open_ = open_[~(error[open_] <= self.enough)] if steps <= self.last else open_[:0]
        facts = {"completeness_error": error, "steps": used}
        return Maps(without_padding(values, path.inputs), facts, halved=halved + slopes.halved)


@dataclass(frozen=True)
class _Path:
    """The straight ways of a batch from their baselines to their inputs, both [n, ...] as the leaf."""

    model: Asked
    inputs: Any
    targets: Tensor
    end: Tensor
    start: Tensor

    def difference(self, batch_size: int) -> tuple[Tensor, int]:
        """f(x) - f(x0) of each example, and how often the batch size was halved for it."""
        forwards, n = Forwards(self.model, batch_size, exact=True), len(self.end)

        def scores(values: Tensor) -> Tensor:
            return forwards.over(n, lambda part: self._inputs(part, values), self.targets)

        return scores(self.end) - scores(self.start), forwards.halved

    def _inputs(self, part: slice, values: Tensor) -> Any:
        return moved(self.model, take(self.inputs, part), lambda leaf: values[part])

    def integrated(self, kept: Tensor, steps: int, slopes: Slopes) -> Tensor:
        """The maps of some examples, [kept, places], by that many steps."""
        places, weights = (each.to(self.end) for each in nodes(steps))
        rows = torch.arange(len(kept), device=kept.device).repeat(steps)
        step = torch.arange(steps, device=kept.device).repeat_interleave(len(kept))
        start, way = self.start[kept], self.end[kept] - self.start[kept]

        def points(part: slice) -> Tensor:
            share = places[step[part]].view(-1, *[1] * (way.ndim - 1))
            return start[rows[part]] + share * way[rows[part]]

        mean = slopes.summed(take(self.inputs, kept), self.targets[kept], rows, points, weights[step])
        if not torch.isfinite(mean).all():
            raise ValueError("the gradient between baseline and input is not finite")
        return in_places(way * mean)
