"""The record of a comparison of two sets of weights; light, so that plans name it without importing numpy or torch."""

from dataclasses import dataclass
from math import isnan, nan, prod, sqrt
from typing import Literal

from auditor.methods.training.record import Floats

State = Literal["identical", "rounded", "changed", "transposed", "reshaped", "added", "missing"]
NOISE = 4.0
SMALLEST = 64


def related(found: float, size: int) -> bool:
    """Whether a correlation over `size` elements is beyond what unrelated elements give: abs(r) >= 4 / sqrt(size).

    Independent elements correlate with a standard deviation of 1 / sqrt(size).
    """
    return abs(found) >= NOISE / sqrt(size)


@dataclass(frozen=True)
class Pair:
    """One tensor. name: in the child, of a missing one in the parent. shape, before: in child and parent, () without.

    parameter: False for whole numbers and buffers. correlation: as of Likeness. digest, before_digest:
    "" without. tied: the name of another tensor of the same side that holds the same bytes and stands
    for both. flat: constant in the parent. relative, stable_rank: of its change, nan without; rank: -1 if unknown.
    """

    name: str
    state: State
    shape: tuple[int, ...]
    before: tuple[int, ...]
    parameter: bool
    correlation: float = nan
    differing: int = 0
    digest: str = ""
    before_digest: str = ""
    flat: bool = False
    before_flat: bool = False
    tied: str = ""
    relative: float = nan
    stable_rank: float = nan
    rank: int = -1
    declared: bool = False

    @property
    def size(self) -> int:
        """Its elements."""
        return prod(self.shape if self.state != "missing" else self.before)

    @property
    def compared(self) -> bool:
        """Whether it says something of parentage: a matrix of the parent's shape, whose parent was not constant."""
        return self.parameter and len(self.shape) >= 2 and self.shape == self.before and not isnan(self.correlation)

    @property
    def unexplained(self) -> bool:
        """Whether neither the parent nor what is declared explains it: see Descent.unexplained."""
        if self.declared or self.tied or not self.parameter:
            return False
        if self.state in ("added", "missing"):
            return True
        if isnan(self.correlation):
            return self.state == "reshaped"
        large = len(self.shape) >= 2 and self.size >= SMALLEST
        return (large or self.state == "reshaped") and not related(self.correlation, self.size)


@dataclass(frozen=True)
class Descent:
    """All tensors of a model beside those of the model that it is said to come from.

    spectra: the singular values of the largest relative updates, by name. child_lead, parent_lead: what was taken off
    the names of each side before they were compared.
    """

    pairs: tuple[Pair, ...]
    spectra: dict[str, Floats]
    child_lead: str = ""
    parent_lead: str = ""

    def once(self) -> tuple[Pair, ...]:
        """The parameters, tied ones once."""
        return tuple(pair for pair in self.pairs if pair.parameter and not pair.tied)

    def correlation(self) -> float | None:
        """The mean of the tensors' correlations, weighted by size; None where nothing can be compared."""
        kept = [pair for pair in self.once() if pair.compared]
        if not kept:
            return None
        import numpy as np

        return float(np.average([pair.correlation for pair in kept], weights=[pair.size for pair in kept]))

    def unexplained(self) -> int:
        """Tensors that neither the parent nor what is declared explains.

        Those without a counterpart, those of another shape, and those of at least two dimensions and 64 elements whose
        correlation r with the parent's has abs(r) < 4 / sqrt(elements), which unrelated numbers give. The declared new
        head is explained, and so is what is tied to a tensor that is.
        """
        return sum(pair.unexplained for pair in self.pairs)

    def changed_share(self) -> float | None:
        """The share of the parameters in tensors of equal shape whose values differ; None without any."""
        same = [pair for pair in self.once() if pair.shape == pair.before and pair.state not in ("added", "missing")]
        total = sum(pair.size for pair in same)
        return sum(pair.differing for pair in same) / total if total else None

    def stable_rank(self) -> float | None:
        """The median over the changed tensors of two or more dimensions; None without any."""
        found = [pair.stable_rank for pair in self.once() if not isnan(pair.stable_rank)]
        import numpy as np

        return float(np.median(found)) if found else None
