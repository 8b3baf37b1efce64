"""Likeness: what is left of one tensor in another, as exact facts about both."""

from dataclasses import dataclass
from hashlib import sha256
from math import nan, sqrt

import torch
from torch import Tensor

from auditor.methods.lineage.record import State, related

PIECE = 1 << 22


@dataclass(frozen=True)
class Likeness:
    """state: identical (equal values), rounded (equal once both have the narrower type), changed, transposed (like the
    parent's transposed), reshaped (another shape). correlation: centred Pearson correlation of the elements; nan where
    it is not defined. differing: how many elements differ in value; of all where the shapes differ."""

    state: State
    correlation: float
    differing: int


def digest(tensor: Tensor) -> str:
    """The hex sha256 of type, shape and bytes."""
    content = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    head = f"{tensor.dtype} {tuple(tensor.shape)} ".encode()
    return sha256(head + content.numpy().tobytes()).hexdigest()


def constant(tensor: Tensor) -> bool:
    """Whether all elements are one finite value; also without elements."""
    flat = tensor.reshape(-1)
    return not len(flat) or bool((flat == flat[0]).all())


def likeness(child: Tensor, parent: Tensor) -> Likeness:
    """How a tensor of the child stands to the one of that name in the parent."""
    if child.shape != parent.shape:
        return _reshaped(child, parent)
    differing = unlike(child, parent)
    if not differing:
        state: State = "identical" if child.dtype == parent.dtype or _wider(child, parent) else "rounded"
        return Likeness(state, correlation(child, parent), 0)
    found = correlation(child, parent)
    if child.dim() == 2 and child.shape[0] == child.shape[1]:
        turned = correlation(child, parent.T)
        if related(turned, child.numel()) and abs(turned) > abs(0.0 if found != found else found):
            return Likeness("transposed", turned, differing)
    return Likeness("changed", found, differing)


def correlation(child: Tensor, parent: Tensor) -> float:
    """sum (a - mean a)(b - mean b) / sqrt(sum (a - mean a)^2 sum (b - mean b)^2) over all elements, in float64.

    0 where elements are not finite, or the child alone is constant: nothing of the parent is left to see. nan where
    the parent is constant (a zero initialization says nothing of who was trained from it). Elements are taken in order
    whatever the shapes. ValueError for tensors of unlike size.
    """
    if child.numel() != parent.numel():
        raise ValueError(f"expected as many elements in both, found {child.numel()} and {parent.numel()}")
    if constant(parent):
        return nan
    one, other = child.reshape(-1), parent.reshape(-1)
    if constant(child):
        return 0.0
    means = [float(_total(part)) / len(part) for part in (one, other)]
    cross = own = theirs = 0.0
    for start in range(0, len(one), PIECE):
        a = one[start : start + PIECE].double() - means[0]
        b = other[start : start + PIECE].double() - means[1]
        cross, own, theirs = cross + float(a @ b), own + float(a @ a), theirs + float(b @ b)
    below = sqrt(own) * sqrt(theirs)
    found = cross / below if below > 0 else 0.0
    return max(-1.0, min(1.0, found)) if found == found and abs(found) != float("inf") else 0.0


def unlike(child: Tensor, parent: Tensor) -> int:
    """How many elements differ, both read in the narrower of the two types; two that are no number are alike."""
    kind = child.dtype if _wider(parent, child) else parent.dtype
    one, other = child.to(kind), parent.to(kind)
    same = one == other
    if kind.is_floating_point:
        same |= one.isnan() & other.isnan()
    return int((~same).sum())


def _wider(one: Tensor, other: Tensor) -> bool:
    """Whether every number of the second's type is one of the first's."""
    return torch.promote_types(one.dtype, other.dtype) == one.dtype


def _reshaped(child: Tensor, parent: Tensor) -> Likeness:
    if child.numel() != parent.numel():
        return Likeness("reshaped", nan, child.numel())
    if child.dim() == parent.dim() == 2 and child.shape == parent.T.shape:
        turned = correlation(child, parent.T)
        if related(turned, child.numel()):
            return Likeness("transposed", turned, unlike(child, parent.T))
    return Likeness("reshaped", correlation(child, parent), child.numel())


def _total(flat: Tensor) -> float:
    return sum(float(flat[start : start + PIECE].double().sum()) for start in range(0, len(flat), PIECE))
