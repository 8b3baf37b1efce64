"""Blocks made ready for the page: which are drawn, which are set as text, and how they share the width."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from auditor.blocks import AnyBlock, Bars, Cell, Heatmap, Images, Lines, Table, Text, TokenMap
from auditor.report import formatting
from auditor.report.drawn import Drawn
from auditor.report.figure import Figure

LEVELS = 6
DENSE = 3  # rows of pictures from which on they are set smaller, so that all stand on one page
AGAIN = "To be read as above."
NARROW = 3  # pictures of a row that stand within a column of the page


@dataclass(frozen=True)
class Shade:
    """One token with the class of its colour: "p3" raises the target, "n3" lowers it, "p0" neither."""

    token: str
    level: str
    score: str


@dataclass(frozen=True)
class BlockView:
    """One block: `kind` names its template, `wide` takes the whole width."""

    block: AnyBlock
    kind: str
    wide: bool
    reading: str = ""
    figure: Figure | None = None
    rows: tuple[tuple[str, ...], ...] = ()
    numeric: tuple[bool, ...] = ()
    texts: tuple[tuple[str, tuple[Shade, ...]], ...] = ()
    columns: int = 0
    dense: bool = False
    broken: frozenset[str] = field(default_factory=frozenset)


def view(block: AnyBlock, drawn: Drawn) -> BlockView:
    """The view of one block."""
    match block:
        case Lines() | Bars() | Heatmap():
            figure = drawn.figure(block)
            return BlockView(block, "figure", wide=figure is not None and figure.wide, figure=figure)
        case Table():
            rows, numeric = cells(block.rows, len(block.columns))
            return BlockView(block, "table", wide=True, rows=rows, numeric=numeric)
        case Images():
            widest = max((len(row.pictures) for row in block.rows), default=1)
            pictures = [picture for row in block.rows for picture in row.pictures]
            broken = frozenset(picture.data for picture in pictures if not _is_base64(picture.data))
            return BlockView(
                block,
                "images",
                wide=widest > NARROW,
                columns=min(max(widest, 1), 6),
                broken=broken,
                dense=len(block.rows) >= DENSE,
            )
        case TokenMap():
            return BlockView(block, "token_map", wide=True, texts=_shades(block))
        case Text():
            return BlockView(block, "text", wide=True)


def said_once(views: Sequence[BlockView]) -> list[BlockView]:
    """The views with how to read them; what a figure above has said in the same words is not said again."""
    said: set[str] = set()
    out = []
    for each in views:
        reading = each.block.reading
        again = len(reading) > len(AGAIN) and reading in said and each.kind != "text"
        out.append(replace(each, reading=AGAIN if again else reading))
        said.add(reading)
    return out


def cells(rows: Sequence[Sequence[Cell]], width: int) -> tuple[tuple[tuple[str, ...], ...], tuple[bool, ...]]:
    """Cells as text, and which columns hold numbers; a column of numbers shares its decimals."""
    columns = [[row[j] if j < len(row) else None for row in rows] for j in range(width)]
    shown = [_column(column) for column in columns]
    numeric = tuple(_is_numeric(column) for column in columns)
    return tuple(tuple(column[i] for column in shown) for i in range(len(rows))), numeric


def _is_numeric(column: Sequence[Cell]) -> bool:
    found = [cell for cell in column if cell is not None]
    return bool(found) and all(isinstance(cell, int | float) for cell in found)


def _column(column: Sequence[Cell]) -> list[str]:
    floats = [abs(cell) for cell in column if isinstance(cell, float)]
    decimals = 0
    if floats and _is_numeric(column) and 1e-3 <= max(floats) < 1e6:
        decimals = max(len(formatting.number(max(floats)).partition(".")[2]), 2 if max(floats) < 10 else 1)
    return [_cell(cell, decimals) for cell in column]


def _cell(cell: Cell, decimals: int) -> str:
    match cell:
        case None:
            return "–"
        case bool() | str():
            return str(cell)
        case int():
            return formatting.count(cell)
        case float():
            return formatting.fixed(cell, decimals) if decimals else formatting.number(cell)


def _shades(block: TokenMap) -> tuple[tuple[str, tuple[Shade, ...]], ...]:
    shown = []
    for text in block.texts:
        top = max((abs(score) for score in text.scores), default=0.0) or 1.0
        pairs = zip(text.tokens, text.scores, strict=False)
        shades = tuple(
            Shade(token, _level(score / top, block.signed), formatting.number(score)) for token, score in pairs
        )
        shown.append((text.label, shades))
    return tuple(shown)


def _level(share: float, signed: bool) -> str:
    level = min(LEVELS, round(abs(share) * LEVELS))
    return f"n{level}" if signed and share < 0 and level else f"p{level}"


def _is_base64(data: str) -> bool:
    try:
        base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True
