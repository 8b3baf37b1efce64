"""Infidelity: whether the sum of a map over what is taken away says how far the score falls."""

import torch
from torch import Tensor

from auditor.methods.attribution.removal import Removal


def infidelity(mass: Tensor, fall: Tensor) -> Tensor:
    """1 - (E[I.A dF])^2 / (E[(I.A)^2] E[dF^2]), the least infidelity over all positive scales of the map.

    mass: I.A, the sum of a map over the parts that each draw takes away, [..., n, draws]. fall: f(x) - f(x without
    them), of the same shape. 0: the map says every fall up to one scale; 1: a scale of zero is best, or a negative
    one would be, or the map is zero. Yeh et al., "On the (in)fidelity and sensitivity of explanations" (2019).

    >>> infidelity(torch.tensor([1.0, 2.0]), torch.tensor([2.0, 4.0])).item()
    0.0
    >>> infidelity(torch.tensor([1.0, 2.0]), torch.tensor([-2.0, -4.0])).item()
    1.0
    """
    a, b = mass.double(), fall.double()
    cross = (a * b).mean(dim=-1).clamp(min=0)
    power = (a * a).mean(dim=-1) * (b * b).mean(dim=-1)
    share = torch.where(power > 0, cross**2 / torch.where(power > 0, power, 1.0), 0.0)
    return (1 - share).clamp(0, 1)


def draws(removal: Removal, count: int, generator: torch.Generator) -> Tensor:
    """What each draw takes away, bool [n, count, parts]: never everything of more than one part, and never nothing.

    Pictures: a rectangle of an eighth to a half of the grid along each side; texts: a run of one token to half of
    them; columns: each with probability one half.
    """
    own = removal.own.cpu()
    n, parts = own.shape
    if len(removal.shape) == 2:
        rows, columns = removal.shape
        down, across = _runs(n, count, rows, generator), _runs(n, count, columns, generator)
        return (down[:, :, :, None] & across[:, :, None, :]).flatten(2)
    sizes = own.sum(dim=1)
    if isinstance(removal.inputs, dict):
        place = own.long().cumsum(dim=1) - 1
        length = (torch.rand(n, count, generator=generator) * (sizes // 2)[:, None]).floor() + 1
        start = (torch.rand(n, count, generator=generator) * (sizes[:, None] - length + 1)).floor()
        inside = (place[:, None] >= start[:, :, None]) & (place[:, None] < (start + length)[:, :, None])
        return inside & own[:, None]
    taken = torch.rand(n, count, parts, generator=generator) < 0.5
    one = torch.randint(parts, (n, count, 1), generator=generator)
    flawed = taken.all(dim=2, keepdim=True) | ~taken.any(dim=2, keepdim=True)
    return torch.where(flawed, torch.arange(parts) == one, taken)


def _runs(n: int, count: int, side: int, generator: torch.Generator) -> Tensor:
    """Runs of an eighth to a half of `side` places, at least one, each at a random place: bool [n, count, side]."""
    least, most = max(1, side // 8), max(1, side // 2)
    length = torch.randint(least, most + 1, (n, count), generator=generator)
    start = (torch.rand(n, count, generator=generator) * (side - length + 1)).floor()
    at = torch.arange(side)
    return (at >= start[:, :, None]) & (at < (start + length)[:, :, None])
