"""Descent: every tensor of a model beside the parent's tensor of its name, one pair in memory at a time."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

from torch import Tensor

from auditor.methods.lineage.likeness import constant, digest, likeness
from auditor.methods.lineage.names import matched
from auditor.methods.lineage.record import Descent, Pair
from auditor.methods.lineage.update import update
from auditor.methods.training.checkpoints import STATISTICS
from auditor.methods.training.record import Floats


class Held(Protocol):
    """The named tensors of a model, of which one at a time is read."""

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The shape of each."""

    @property
    def get(self) -> Callable[[str], Tensor]:
        """One of them, as it is stored."""


def descent(
    child: Held, parent: Held, declared: frozenset[str] = frozenset(), buffers: frozenset[str] = frozenset(),
    shown: int = 6,
) -> Descent:  # fmt: skip
    """Compare all tensors. declared: names in the child (of missing ones in the parent) that may be new.
    buffers: such names that are no parameters, beside the statistics of normalization layers.
    """
    match = matched(list(child.shapes), list(parent.shapes))
    found: list[Pair] = []
    spectra: dict[str, Floats] = {}
    for name in child.shapes:
        mine, other = child.get(name), match.pairs.get(name)
        pair, spectrum = _paired(name, mine, parent.get(other) if other else None, buffers)
        found.append(replace(pair, declared=name in declared))
        if spectrum is not None:
            spectra[name] = spectrum
            spectra = _largest(spectra, found, shown)
    found = _tied(found, [pair.digest for pair in found], [pair.flat for pair in found])
    lost = [name for name in parent.shapes if name not in set(match.pairs.values())]
    return Descent((*found, *_missing(lost, parent, found, declared, buffers)), spectra, match.child, match.parent)


def _paired(name: str, mine: Tensor, theirs: Tensor | None, buffers: frozenset[str]) -> tuple[Pair, Floats | None]:
    shape, parameter = tuple(mine.shape), is_parameter(name, mine, buffers)
    base = Pair(name, "added", shape, (), parameter, digest=digest(mine), flat=constant(mine))
    if theirs is None:
        return base, None
    alike = likeness(mine, theirs)
    pair = replace(
        base, state=alike.state, before=tuple(theirs.shape), correlation=alike.correlation, differing=alike.differing,
        before_digest=digest(theirs), before_flat=constant(theirs),
    )  # fmt: skip
    moved = update(mine, theirs) if parameter and alike.state == "changed" and mine.dim() >= 2 else None
    if moved is None:
        return pair, None
    rank = -1 if moved.rank is None else moved.rank
    return replace(pair, relative=moved.relative, stable_rank=moved.stable_rank, rank=rank), moved.spectrum


def is_parameter(name: str, tensor: Tensor, buffers: frozenset[str]) -> bool:
    """Whether it holds real numbers that are no buffer and no statistics of a normalization layer."""
    return tensor.is_floating_point() and name not in buffers and name.rsplit(".", 1)[-1] not in STATISTICS


def _largest(spectra: dict[str, Floats], found: list[Pair], count: int) -> dict[str, Floats]:
    """Those of the largest relative updates alone."""
    size = {pair.name: pair.relative for pair in found if pair.name in spectra}
    return {name: spectra[name] for name in sorted(spectra, key=lambda name: -size[name])[:count]}


def _tied(pairs: list[Pair], digests: list[str], flat: list[bool]) -> list[Pair]:
    """Pairs whose bytes another pair holds too name that one; the one that has a counterpart stands for them.

    A vector that has a counterpart stands for itself: two biases whose branches are added learn the same bits.
    """
    holder: dict[str, Pair] = {}
    for pair, held, still in zip(pairs, digests, flat, strict=True):
        if not still and (held not in holder or (holder[held].state == "added" and pair.state != "added")):
            holder[held] = pair
    joined = [held in holder and (len(pair.shape) >= 2 or pair.state == "added")
              for pair, held in zip(pairs, digests, strict=True)]  # fmt: skip
    names = [holder[held].name if own else pair.name for pair, held, own in zip(pairs, digests, joined, strict=True)]
    return [replace(pair, tied=name if name != pair.name else "") for pair, name in zip(pairs, names, strict=True)]


def _missing(
    lost: list[str], parent: Held, found: list[Pair], declared: frozenset[str], buffers: frozenset[str]
) -> list[Pair]:
    """The parent's tensors that the child does not have; tied where they hold what another of the parent's holds."""
    there = {pair.before_digest: pair.name for pair in found if pair.before_digest and not pair.before_flat}
    missing: list[Pair] = []
    for name in lost:
        tensor = parent.get(name)
        held, shape, flat = digest(tensor), tuple(tensor.shape), constant(tensor)
        pair = Pair(
            name, "missing", (), shape, is_parameter(name, tensor, buffers), before_digest=held, before_flat=flat,
            tied=there.get(held, ""), declared=name in declared,
        )  # fmt: skip
        missing.append(pair)
        if not flat:
            there.setdefault(held, name)
    return missing
