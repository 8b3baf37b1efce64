"""Names: which tensor of one model is which of another, whatever wrappers their names bear."""

from collections import Counter
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass

ADAPTED = ".base_layer"
"""What adapters put between a layer's name and its own weights."""


@dataclass(frozen=True)
class Match:
    """pairs: name in the child -> name in the parent. child, parent: what was taken off the names of each."""

    pairs: dict[str, str]
    child: str = ""
    parent: str = ""


def matched(child: Sequence[str], parent: Sequence[str]) -> Match:
    """The tensors that bear one name in both, once a leading part that most names of one side share is taken off.

    Of all ways to take off at most two leading words, on one side, the one that matches most names, and of those the
    one that takes off least.

    >>> matched(["bert.a.weight", "head.weight"], ["a.weight"]).pairs
    {'bert.a.weight': 'a.weight'}
    """
    ends = [*((lead, "") for lead in _leads(child)), *(("", lead) for lead in _leads(parent))]
    ways = [Match(_pairs(child, parent, left, right), left, right) for left, right in ends]
    return max(ways, key=lambda way: (len(way.pairs), -len(way.child) - len(way.parent)))


def counterparts(names: Sequence[str], others: Sequence[str], marked: Set[str]) -> frozenset[str]:
    """Those of the names whose counterpart among the others is marked.

    >>> counterparts(["module.a.weight", "module.pe"], ["a.weight", "pe"], {"pe"})
    frozenset({'module.pe'})
    """
    return frozenset(name for name, other in matched(names, others).pairs.items() if other in marked)


def _leads(names: Sequence[str]) -> list[str]:
    """ "" and the leading words, one or two, that more than half of the names share."""
    found = Counter(".".join(parts[:count]) + "." for name in names for count in (1, 2)
                    if len(parts := name.split(".")) > count)  # fmt: skip
    return ["", *(lead for lead, count in found.items() if 2 * count > len(names))]


def _pairs(child: Iterable[str], parent: Iterable[str], left: str, right: str) -> dict[str, str]:
    theirs = {plain(name, right): name for name in parent}
    own = {plain(name, left): name for name in child}
    return {name: theirs[bare] for bare, name in own.items() if bare in theirs}


def plain(name: str, lead: str) -> str:
    """The name without the lead, and without what adapters put into it."""
    return name.removeprefix(lead).replace(ADAPTED, "")
