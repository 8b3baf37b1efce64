"""Weighing: the importance of each parameter, from the gradient of each example's loss."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from auditor.errors import AuditorError, NotApplicable
from auditor.recorder.watch import unique_parameters

Kind = Literal["fisher", "taylor", "magnitude"]
Floats = NDArray[np.float64]

BLOCKS = 32
"""Blocks of examples, one of which is left out at a time; a mean decides from 30 units on."""

SPREAD = 2**21
"""Parameters whose importance is kept block by block, at most: 32 blocks of them take 256 MiB."""

Losses = Callable[[Sequence[int]], Tensor]
"""Places of examples to the negative log-likelihood of each, with a graph where gradients are on."""


@dataclass(frozen=True)
class Weights:
    """The parameters of a module, tied ones once; each with all Parameter objects that share its storage."""

    names: tuple[str, ...]
    tied: tuple[tuple[nn.Parameter, ...], ...]

    @classmethod
    def of(cls, module: nn.Module) -> "Weights":
        """Those with floating-point numbers. NotApplicable without one."""
        shared: dict[tuple[int, int], list[nn.Parameter]] = {}
        for parameter in module.parameters():
            shared.setdefault((parameter.data_ptr(), parameter.numel()), []).append(parameter)
        kept = {name: one for name, one in unique_parameters(module).items() if one.is_floating_point() and one.numel()}
        if not kept:
            raise NotApplicable("the model has no parameters")
        return cls(tuple(kept), tuple(tuple(shared[one.data_ptr(), one.numel()]) for one in kept.values()))

    @property
    def sizes(self) -> list[int]:
        """How many numbers each tensor holds."""
        return [group[0].numel() for group in self.tied]

    def values(self) -> list[Tensor]:
        """The tensors themselves, without a graph."""
        return [group[0].detach() for group in self.tied]

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Let all of them take gradients, frozen ones too; afterwards they do as they did."""
        all_of = [one for group in self.tied for one in group]
        before = [one.requires_grad for one in all_of]
        try:
            for one in all_of:
                one.requires_grad_(True)
            yield
        finally:
            for one, wanted in zip(all_of, before, strict=True):
                one.requires_grad_(wanted)

    def gradients(self, loss: Tensor) -> list[Tensor]:
        """The gradient of a loss by each tensor; zeros where none flows. NotApplicable where none flows at all."""
        if not loss.requires_grad:
            raise NotApplicable("no gradient flows from the model's outputs to its parameters")
        flat = [one for group in self.tied for one in group]
        found = iter(torch.autograd.grad(loss, flat, allow_unused=True))
        summed: list[Tensor] = []
        for group in self.tied:
            parts = [part for part in (next(found) for _ in group) if part is not None]
            summed.append(sum(parts[1:], parts[0]) if parts else torch.zeros_like(group[0]))
        return [part.detach() for part in summed]


@dataclass(frozen=True)
class Weighed:
    """What gathering over examples left.

    halves: the importance of each tensor's elements on the two halves of the examples (means, float32). blocks:
    float32 [K, M], the mean importance of M parameters, evenly spread over all, on each block of examples; counts: [K].
    """

    halves: tuple[list[Tensor], list[Tensor]]
    whole: list[Tensor]
    blocks: NDArray[np.float32]
    counts: NDArray[np.int64]


def weigh(
    weights: Weights, losses: Losses, kind: Kind, halves: tuple[Sequence[int], Sequence[int]], units: Mapping[int, str],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Weighed:  # fmt: skip
    """The importance of each parameter on the examples of two halves, one backward pass an example.

    fisher: I_j = 1/n sum_i (d log p(y_i | x_i) / d theta_j)^2, the diagonal of the empirical Fisher information
    (Kirkpatrick et al., PNAS 2017; Kunstner et al., NeurIPS 2019, on what it is not).
    taylor: I_j = 1/n sum_i abs(theta_j d loss_i / d theta_j): the change of the loss to first order when theta_j
    becomes zero, its absolute value taken example by example (Molchanov et al., ICLR 2017).
    magnitude: abs(theta_j); no example is asked.
    units: what is drawn at random, the label of each place: examples with one label
    stay in one block.
    AuditorError where an importance is not finite. Never more than one gradient is held.
    """
    if kind == "magnitude":
        own = [value.abs() for value in weights.values()]
        return Weighed((own, own), own, np.zeros((0, 0), np.float32), np.zeros(0, np.int64))
    spread, values, done = _spread(weights.sizes), weights.values(), 0
    total, means, rows, counts = sum(map(len, halves)), [], [], []
    with weights.watched(), torch.enable_grad():
        for half in halves:
            mean = [torch.zeros_like(value) for value in values]
            for block in _blocks(half, units):
                part = [torch.zeros_like(value) for value in values]
                for place in block:
                    _add(part, weights.gradients(losses([place])[0]), values, kind)
                    progress(done := done + 1, total)
                rows.append(_read(part, spread) / len(block))
                counts.append(len(block))
                torch._foreach_add_(mean, part, alpha=1 / len(half))
            means.append(mean)
    shares = [len(half) / total for half in halves]
    whole = [shares[0] * a + shares[1] * b for a, b in zip(*means, strict=True)]
    if not all(bool(torch.isfinite(part).all()) for part in whole):
        raise AuditorError("gradients of the loss are not finite (NaN or infinite)", "Check weights and preprocessing.")
    return Weighed((means[0], means[1]), whole, np.stack(rows), np.array(counts, dtype=np.int64))


def _add(total: list[Tensor], gradients: list[Tensor], values: list[Tensor], kind: Kind) -> None:
    if kind == "fisher":
        torch._foreach_addcmul_(total, gradients, gradients)
        return
    torch._foreach_mul_(gradients, values)
    torch._foreach_abs_(gradients)
    torch._foreach_add_(total, gradients)


def _blocks(half: Sequence[int], units: Mapping[int, str]) -> Iterator[list[int]]:
    """Up to BLOCKS / 2 blocks of about equal size; a unit goes whole into the block that is smallest so far."""
    members: dict[str, list[int]] = {}
    for place in half:
        members.setdefault(units[place], []).append(place)
    blocks: list[list[int]] = [[] for _ in range(min(BLOCKS // 2, len(members)))]
    for one in sorted(members.values(), key=len, reverse=True):
        min(blocks, key=len).extend(one)
    yield from blocks


def _spread(sizes: Sequence[int]) -> list[Tensor | None]:
    """For each tensor which of its elements are kept block by block, evenly spread; None for all."""
    share = SPREAD / sum(sizes)
    if share >= 1:
        return [None] * len(sizes)
    counts = [max(1, round(size * share)) for size in sizes]
    return [
        (torch.arange(count, dtype=torch.float64) * (size / count)).long()
        for count, size in zip(counts, sizes, strict=True)
    ]


def _read(parts: list[Tensor], spread: list[Tensor | None]) -> NDArray[np.float32]:
    read = (
        part.flatten() if places is None else part.flatten()[places.to(part.device)]
        for part, places in zip(parts, spread, strict=True)
    )
    found: NDArray[np.float32] = torch.cat(list(read)).cpu().numpy()
    return found
