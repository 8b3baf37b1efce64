"""Drawn maps: the first maps of a method as its inputs ask for: overlays, coloured tokens, or bars of columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auditor.artifacts.pictures import overlays
from auditor.blocks import MAX_ROWS, AnyBlock, Bar, Bars, TokenMap, Tokens
from auditor.statistics import grouped, moments, t_interval

if TYPE_CHECKING:
    from auditor.artifacts.attributions import Attributions


@dataclass(frozen=True)
class Wording:
    """What a figure of maps says. label: of the overlays' row; value: what a bar is the mean of; others: how to read.

    signed: whether negative values speak against the target; pictures then show only what speaks for it.
    """

    title: str
    label: str
    pixels: str
    tokens: str
    value: str
    signed: bool = False


def drawn(maps: "Attributions", words: Wording) -> AnyBlock:
    """Overlays of pictures, coloured tokens of texts, bars of columns with 95% intervals, the strongest first."""
    if maps.explained.pictures:
        reading = f"{words.pixels} Each map has its own scale."
        return overlays(words.title, reading, words.label, maps.maps, maps.explained)
    if maps.explained.tokens:
        texts = tuple(
            Tokens(label=maps.explained.caption(row), tokens=tokens,
                   scores=tuple(maps.maps[row, : maps.lengths[row]].tolist()))
            for row, tokens in enumerate(maps.explained.tokens)
        )  # fmt: skip
        return TokenMap(title=words.title, reading=words.tokens, texts=texts, signed=words.signed)
    flat = maps.maps.reshape(len(maps.maps), -1).T
    columns = sorted(enumerate(flat), key=lambda pair: -abs(pair[1]).mean())[:MAX_ROWS]
    groups = maps.explained.groups
    bars = tuple(_bar(maps.explained.column(index), values.tolist(), groups) for index, values in columns)
    reading = f"{words.value.capitalize()} of each column over the examples, with a 95% interval; the strongest first."
    return Bars(title=words.title, reading=reading, x_label=words.value, bars=bars)


def _bar(label: str, values: list[float], groups: Sequence[str]) -> Bar:
    mean, sd, n = grouped(values, groups) if groups else moments(values)
    low, high = t_interval(mean, sd, n, 0.95) if n > 1 else (None, None)
    return Bar(label=label, value=mean, low=low, high=high)
