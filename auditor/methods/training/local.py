"""What single tensors did over a history: stood still, jumped, or grew beyond bounds."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import pairwise

import numpy as np

from auditor.methods.training.jumps import Jumps, jumps_of
from auditor.methods.training.rates import INTERVALS, decidable, usual
from auditor.methods.training.record import Bools, Changes, Ints

GROWN = 100.0
ADAPTER = re.compile(r"(^|[._])(lora|adapter|adapters|ia3|prompt_encoder)([._]|$)", re.IGNORECASE)


def chosen(names: Sequence[str], patterns: Sequence[str]) -> list[bool]:
    """Which names a glob means, itself or as a name below it: `encoder.0` means `encoder.0.weight`."""
    return [any(fnmatchcase(name, one) or fnmatchcase(name, f"{one}.*") for one in patterns) for name in names]


def is_adapter(name: str) -> bool:
    """Whether a tensor belongs to an adapter (LoRA and its kin) by its name.

    >>> [is_adapter(name) for name in ("q.lora_A.default.weight", "adapters.0.up.weight", "explore.weight")]
    [True, True, False]
    """
    return ADAPTER.search(name) is not None


@dataclass(frozen=True)
class Still:
    """The matrices that never moved: frozen ones, those that `frozen` declares, those that adapters leave alone, and
    those whose stored numbers are too coarse to say. judged: matrices that could have counted."""

    frozen: tuple[str, ...]
    declared: tuple[str, ...]
    adapted: tuple[str, ...]
    unknown: tuple[str, ...]
    judged: int

    @property
    def share(self) -> float | None:
        """Frozen ones of the judged; None without a matrix."""
        return len(self.frozen) / self.judged if self.judged else None


def still(changes: Changes, declared: Sequence[str] = ()) -> Still:
    """Matrices (tensors of two or more dimensions) whose change was exactly 0 in every interval.

    Each counts as one, whatever its size. Vectors are left out: a key's bias, for one, has no gradient in a healthy
    transformer. Where adapters are in the history and move, the matrices that stand still beside them are frozen by
    the method. A tensor whose changes are all 0 to the resolution of its type may have moved: it is not judged.
    """
    names = changes.tensors
    if not len(changes.change):
        return Still((), (), (), (), 0)
    unmoved = np.asarray((changes.change == 0).all(axis=0))
    coarse = np.asarray(~decidable(changes).any(axis=0))
    adapters = np.array([is_adapter(name) for name in names], dtype=np.bool_)
    method = bool((adapters & ~unmoved & ~coarse).any())
    groups: dict[str, list[str]] = {"frozen": [], "declared": [], "adapted": [], "unknown": [], "moved": []}
    told = chosen(names, declared)
    for place in np.flatnonzero(changes.dims >= 2):
        kind = "declared" if told[place] else "unknown" if coarse[place] else "moved"
        if kind == "moved" and unmoved[place]:
            kind = "adapted" if method and not adapters[place] else "frozen"
        groups[kind].append(names[place])
    judged = len(groups["frozen"]) + len(groups["moved"])
    frozen, told_so, adapted, unknown = (tuple(groups[kind]) for kind in ("frozen", "declared", "adapted", "unknown"))
    return Still(frozen, told_so, adapted, unknown, judged)


def exploded(changes: Changes) -> tuple[str, ...]:
    """Tensors that are not finite at some record, or whose root mean square grew beyond 100 times the larger of its
    own at the start and that of the median matrix (of the median tensor without matrices) at the start.

    The second keeps tensors that start at or near zero out. At the end of an interval the norm is at least
    abs(norm(change) - norm(before)), by the triangle inequality: so the last record is seen too.
    """
    if not len(changes.change):
        return ()
    finite = np.asarray((np.isfinite(changes.norm) & np.isfinite(changes.change)).all(axis=0))
    with np.errstate(invalid="ignore"):
        ends = np.abs(changes.change - changes.norm)
        largest = np.maximum(changes.norm, ends).max(axis=0) / np.sqrt(changes.sizes)
    start = changes.norm[0] / np.sqrt(changes.sizes)
    reference = start[finite & (changes.dims >= 2) & (start > 0)]
    reference = reference if reference.size else start[finite & (start > 0)]
    middle = float(np.median(reference)) if reference.size else np.inf
    grown = ~finite | (largest > GROWN * np.maximum(start, middle))
    return tuple(name for name, over in zip(changes.tensors, grown, strict=True) if over)


@dataclass(frozen=True)
class Local:
    """One history, tensor by tensor. even: its intervals of the usual length, without those that a resumed run
    explains, up to the first that is not finite; ends: [R, 2], their first and last steps; jumps: among them, None if
    there are too few or none can be judged."""

    changes: Changes
    still: Still
    exploded: tuple[str, ...]
    even: Changes
    ends: Ints
    jumps: Jumps | None

    @property
    def exploded_share(self) -> float | None:
        """Of all tensors; None without one."""
        return len(self.exploded) / len(self.changes.tensors) if self.changes.tensors else None

    def not_judged(self) -> list[tuple[int, int]]:
        """First and last step of the intervals that were not searched for jumps."""
        searched = self.ends if self.jumps is None else self.ends[self.jumps.judged]
        kept = set(searched[:, 0].tolist())
        return [(a, b) for a, b in pairwise(self.changes.steps.tolist()) if a not in kept]

    def jumped(self) -> list[tuple[str, int, int, float]]:
        """Tensor, first and last step of the interval, and how many times its neighbours' change; largest first."""
        if self.jumps is None:
            return []
        found = [
            (self.changes.tensors[self.jumps.places[column]], *self.ends[row].tolist(), self.jumps.excess[row, column])
            for row, column in np.argwhere(self.jumps.found)
        ]
        return [(name, a, b, float(np.exp(over))) for name, a, b, over in sorted(found, key=lambda row: -row[3])]


def local(changes: Changes, layers: Sequence[str], frozen: Sequence[str], resumed: Sequence[int]) -> Local:
    """All of it over the tensors that `layers` means (none: all). frozen: globs of what is meant to stand still;
    resumed: steps after which a run was taken up again, whose next interval is explained."""
    kept = np.array(chosen(changes.tensors, layers) if layers else [True] * len(changes.tensors), dtype=np.bool_)
    part = tensors_of(changes, np.flatnonzero(kept))
    explained = np.array([any(a <= step < b for step in resumed) for a, b in pairwise(part.steps.tolist())], dtype=bool)
    even, ends = even_part(part, ~explained)
    return Local(part, still(part, frozen), exploded(part), even, ends, jumps_of(even))


def tensors_of(changes: Changes, places: Ints) -> Changes:
    """The same history of some of the tensors; its projection stays that of all."""
    one = {name: getattr(changes, name)[places] for name in ("sizes", "dims", "trained")}
    names = ("norm", "change", "l1_norm", "l1_change", "elementwise", "quantiles", "turn", "resolution")
    many = {name: getattr(changes, name)[:, places] for name in names}
    return replace(changes, tensors=tuple(changes.tensors[place] for place in places), **one, **many)


def even_part(changes: Changes, among: Bools) -> tuple[Changes, Ints]:
    """The intervals among these of the usual length (rates.usual), up to the first with a
    number that is not finite; and the first and last step of each, [R, 2]."""
    bad = np.flatnonzero(~(np.isfinite(changes.change) & np.isfinite(changes.norm)).all(axis=1))
    end = int(bad[0]) if bad.size else len(changes.change)
    kept = np.flatnonzero((usual(changes) & among)[:end])
    cut = {name: getattr(changes, name)[kept] for name in INTERVALS}
    ends = np.stack([changes.steps[kept], changes.steps[kept + 1]], axis=1)
    return replace(changes, steps=changes.steps[np.concatenate([kept[:1], kept + 1])], **cut), ends


def remarks(found: Local, layers: Sequence[str]) -> tuple[str, ...]:
    """What a reader of one history must know, in sentences."""
    still = found.still
    lost = [glob for glob in layers if not any(chosen(found.changes.tensors, (glob,)))]
    said = (
        (still.frozen, "{} matrices never moved and are not declared frozen: {}."),
        (still.declared, "{} matrices are declared frozen: {}."),
        (still.adapted, "{} matrices beside moving adapters are frozen by the method and count as declared: {}."),
        (still.unknown, "{} matrices are stored too coarsely to say whether they moved, and are not judged: {}."),
        (found.exploded, "{} tensors exploded or are not finite: {}."),
        (lost, "{} globs of `layers` match no tensor of the history: {}."),
    )
    sentences = [text.format(len(names), _listed(names)) for names, text in said if names]
    if lost_intervals := [f"{a} to {b}" for a, b in found.not_judged()]:
        sentences.append(
            f"{len(lost_intervals)} of {len(found.changes.change)} intervals are not searched for jumps: "
            f"{_listed(lost_intervals)} (of unusual length, not finite, after a resumed run, within the rounding of "
            "the stored numbers, or with fewer than 3 tensors to compare)."
        )
    return tuple(sentences)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
