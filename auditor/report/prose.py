"""The words of a check in balanced columns: how to read it, its method, its limits, and what they rest on."""

from dataclasses import dataclass
from itertools import pairwise, product

from auditor.results import Result

BESIDE = 14.5  # lines that fit beside a figure of a column's width
_LETTERS, _SMALL_LETTERS, _SMALL = 55, 63, 0.88


@dataclass(frozen=True)
class Passage:
    """One passage: with a heading, or small below another ("formula", "params", "citation")."""

    kind: str
    title: str
    text: str
    params: tuple[tuple[str, str], ...] = ()

    @property
    def size(self) -> float:
        """How much room it takes, in lines."""
        letters = len(self.text) + sum(len(name) + len(value) + 4 for name, value in self.params)
        return 1.4 - -letters // _LETTERS if self.kind == "part" else 0.3 - _SMALL * (-letters // _SMALL_LETTERS)


@dataclass(frozen=True)
class Prose:
    """Passages beside a figure that stands alone, then two columns below."""

    beside: tuple[Passage, ...]
    left: tuple[Passage, ...]
    right: tuple[Passage, ...]


def prose(check: Result, params: tuple[tuple[str, str], ...], *, alone: bool) -> Prose:
    """The passages of a check, where they take the least height; `alone`: the last figure has room beside it."""
    about = check.about
    passages = [
        Passage("part", "How to read this", about.reading), Passage("part", "Limits", about.limits),
        Passage("part", "Method", about.method), Passage("formula", "", about.formula),
        Passage("params", "", "", params), Passage("citation", "", about.citation),
    ]  # fmt: skip
    found = [passage for passage in passages if passage.text or passage.params]
    places = ("beside", "left", "right") if alone else ("left", "right")
    best = min(product(places, repeat=len(found)), key=lambda chosen: _height(found, chosen), default=())
    at = {place: tuple(p for p, where in zip(found, best, strict=True) if where == place) for place in places}
    return Prose(at.get("beside", ()), at["left"], at["right"])


def _height(found: list[Passage], chosen: tuple[str, ...]) -> tuple[float, int]:
    """What the choice costs: the height below the figure, then how far the passages stray from their order."""
    sizes = {place: sum(p.size for p, at in zip(found, chosen, strict=True) if at == place) for place in chosen}
    too_long = max(0.0, sizes.get("beside", 0) - BESIDE)
    order = [("beside", "left", "right").index(place) for place in chosen]
    strays = sum(later < earlier for earlier, later in pairwise(order))
    orphans = sum(p.kind != "part" and at not in chosen[:3] for p, at in zip(found, chosen, strict=True))
    return max(sizes.get("left", 0), sizes.get("right", 0)) + too_long + strays + orphans, strays
