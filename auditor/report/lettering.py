"""Lettering of figures: what is too long for its place goes on a second line, and only then is cut."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from auditor.blocks import Bars, Line
from auditor.report import figurestyle as style

ELLIPSIS = "\u2026"
_BREAK = re.compile(r"(?<= )|(?<=[._/])(?=[A-Za-z])")
_BAR_ROOM, _HANDLE, _BETWEEN = 34.0, 7.0, 3.6  # mm: a bar's name; a line's sample in a legend; between two names


def text_mm(text: str, size: float = 8.0) -> float:
    """The width of a line of text in the page's own font.

    >>> 6.0 < text_mm("0.001") < 8.0
    True
    """
    widths = style.advances()
    return sum(widths.get(ord(letter), 1.0) for letter in text) * size * 25.4 / 72


def longest(texts: Iterable[str], size: float = 8.0) -> float:
    """The width of the widest line of some texts."""
    return max((text_mm(line, size) for text in texts for line in text.split("\n")), default=0.0)


def wrapped(text: str, room: float, size: float = 8.0, lines: int = 2) -> str:
    """The text on so many lines of so many mm, broken between words or parts of a name; the rest is cut in its middle.

    >>> wrapped("rank correlation with the map of the model", 40).split("\\n")
    ['rank correlation with the', 'map of the model']
    """
    out = [""]
    for piece in _BREAK.split(text):
        if out[-1] and len(out) < lines and text_mm((out[-1] + piece).rstrip(), size) > room:
            out.append("")
        out[-1] += piece
    return "\n".join(_cut(line.rstrip(), room, size) for line in out)


def _cut(text: str, room: float, size: float) -> str:
    """The line with its middle taken out, as much as must be: names differ at their ends."""
    length, short = len(text), text
    while text_mm(short, size) > room and length > 3:
        length -= 1
        short = style.middle(text, length)
    return short


@dataclass(frozen=True)
class Names:
    """The names of bars: as they are printed, in which size, and how high a bar with its name is, in mm."""

    texts: tuple[str, ...]
    size: float
    step: float


def bar_names(block: Bars) -> Names:
    """Names on one line where all fit, else without the start that all share, and on two lines."""
    texts = [style.label(bar.label, 120) for bar in block.bars]
    many = len(texts) > 20
    size, step = (6.5, 3.6) if many else (8.0, 4.4)
    if longest(texts, size) <= _BAR_ROOM:
        return Names(tuple(texts), size, step)
    texts = without_start(texts)
    if many:
        return Names(tuple(wrapped(text, _BAR_ROOM, size, lines=1) for text in texts), size, step)
    found = tuple(wrapped(text, _BAR_ROOM, 7.0) for text in texts)
    return Names(found, 7.0, 6.4 if any("\n" in text for text in found) else 4.4)


def without_start(texts: Sequence[str]) -> list[str]:
    """Long names without the parts that all of them start with.

    >>> without_start(["encoder.layer.0.dense", "encoder.layer.11.dense"])
    ['…0.dense', '…11.dense']
    """
    shared = 0
    if len(texts) > 1:
        shared = next((at for at, letters in enumerate(zip(*texts, strict=False)) if len(set(letters)) > 1), 0)
    at = max(texts[0].rfind(mark, 0, shared) for mark in "./") + 1 if shared else 0
    return [ELLIPSIS + text[at:] for text in texts] if at >= 4 else list(texts)


def column_names(texts: Sequence[str], cell: float) -> tuple[str, ...]:
    """Names below columns on two lines, where every word fits into its column; else none."""
    names = tuple(wrapped(text, cell - 0.2) for text in texts)
    fit = longest(names) <= cell - 0.2 and all(ELLIPSIS not in name for name in names)
    return names if fit else ()


def flowed(lines: Sequence[Line], width: float) -> tuple[tuple[tuple[int, str, float], ...], ...]:
    """The rows of a legend: of each line its place, its name, and where in the row it starts, in mm."""
    rows: list[list[tuple[int, str, float]]] = [[]]
    at = 1.0
    for place, line in enumerate(lines):
        name = wrapped(style.label(line.label, 80), width - 12.0, 7.5, lines=1)
        takes = _HANDLE + text_mm(name, 7.5)
        if rows[-1] and at + takes > width:
            rows.append([])
            at = 1.0
        rows[-1].append((place, name, at))
        at += takes + _BETWEEN
    return tuple(tuple(row) for row in rows)
