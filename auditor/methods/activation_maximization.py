"""Activation maximization: the input that a unit answers to most, found by climbing its gradient."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Score = Callable[[Tensor], Tensor]
"""One value of the unit for each input of a batch, with a gradient."""


@dataclass(frozen=True)
class Climb:
    """steps of Adam at rate `rate`; smooth: weight of the total variation, in standard deviations of the unit;
    jitter: how far pictures are shifted at random before each step, as a share of their side."""

    steps: int = 128
    rate: float = 0.05
    smooth: float = 20.0
    jitter: float = 1 / 16


def picture_of(
    score: Score, low: Tensor, high: Tensor, size: tuple[int, int], scale: float, climb: Climb, draw: torch.Generator
) -> Tensor:
    """One picture [1, c, *size] between low and high [c] that makes score large: argmax score / scale - smooth x TV.

    The picture is the sigmoid of an inverse Fourier transform whose frequencies are weighted by 1 / frequency, so a
    step moves all scales alike and not single pixels; it is shifted at random before each step, in a circle.
    Olah, Mordvintsev and Schubert, Feature Visualization, Distill 2017.
    """
    shape = (1, len(low), size[0], size[1] // 2 + 1, 2)
    spectrum = (0.01 * torch.randn(shape, generator=draw)).to(low.device).requires_grad_()
    bottom, width = low[None, :, None, None], (high - low)[None, :, None, None]
    weight, reach = (
        _weights(size).to(low.device),
        [max(round(climb.jitter * side), int(climb.jitter > 0)) for side in size],
    )

    def light() -> Tensor:
        waves = torch.view_as_complex(spectrum) * weight
        return torch.sigmoid(torch.fft.irfft2(waves, s=size, norm="ortho"))

    optimizer = torch.optim.Adam([spectrum], lr=climb.rate)
    for _ in range(climb.steps):
        shift = [int(torch.randint(-far, far + 1, (1,), generator=draw)) for far in reach]
        made = light()
        moved = torch.roll(bottom + width * made, shift, dims=(2, 3))
        loss = climb.smooth * total_variation(made) - score(moved).sum() / scale
        spectrum.grad = torch.autograd.grad(loss, spectrum)[0]
        optimizer.step()
    return (bottom + width * light()).detach()


def embedding_of(score: Score, start: Tensor, free: Tensor, longest: float, climb: Climb) -> Tensor:
    """Token embeddings [1, t, w] that make score large, from `start`; only the free places [t] move.

    Each step goes along each token's own gradient, a share `rate` of `longest` far, and no free token gets longer
    than `longest`, the longest row of the embedding table: else score would grow for ever along one direction. (Adam
    would end elsewhere: its steps have the gradient's signs, not its direction.)
    """
    mask = free[None, :, None].to(start)
    found = start.detach().clone()
    for _ in range(climb.steps):
        leaf = found.requires_grad_()
        slope = torch.autograd.grad(score(leaf).sum(), leaf)[0]
        step = climb.rate * longest * torch.nn.functional.normalize(slope, dim=2)
        moved = leaf.detach() + step
        shrunk = moved * (longest / moved.norm(dim=2, keepdim=True).clamp(min=longest))
        found = torch.where(mask > 0, shrunk, start.detach())
    return found.detach()


def nearest(embeddings: Tensor, table: Tensor, barred: tuple[int, ...]) -> Tensor:
    """The row of the embedding table nearest to each embedding [t, w] by cosine, without the barred rows; [t]."""
    cosine = torch.nn.functional.normalize(embeddings, dim=1) @ torch.nn.functional.normalize(table, dim=1).T
    cosine[:, list(barred)] = -torch.inf
    return cosine.argmax(dim=1)


def total_variation(pictures: Tensor) -> Tensor:
    """The mean absolute difference of neighbouring pixels of [n, c, h, w].

    >>> float(total_variation(torch.tensor([[[[0.0, 1.0], [0.0, 1.0]]]])))
    0.5
    """
    down, across = pictures.diff(dim=2).abs(), pictures.diff(dim=3).abs()
    return (down.sum() + across.sum()) / max(1, down.numel() + across.numel())


def _weights(size: tuple[int, int]) -> Tensor:
    """1 / frequency of each wave of a real Fourier transform, the constant one like the slowest."""
    height, width = size
    frequency = (torch.fft.fftfreq(height)[:, None] ** 2 + torch.fft.rfftfreq(width)[None] ** 2).sqrt()
    weights: Tensor = 1 / frequency.clamp(min=1 / max(size))
    return weights
