"""Blocks: what a check shows, as pure data; the report draws each kind in one way."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from auditor.values import Value

MAX_FLOATS = 4096
MAX_PICTURES = 12
MAX_ROWS = 30

Cell = str | int | float | None


class Block(Value):
    """What every block has: a title, and one plain sentence on how to read it."""

    title: str
    reading: str = Field("", description="How to read this, in one or two plain sentences.")


class Text(Block):
    """A short remark of the check, plain text."""

    kind: Literal["text"] = "text"
    text: str


class Table(Block):
    """A table of at most 30 rows; `more` counts rows left out. Numbers are shown right-aligned."""

    kind: Literal["table"] = "table"
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...] = Field(max_length=MAX_ROWS)
    more: int = 0


class Line(Value):
    """One line; low and high, when given, are its band."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()

    @model_validator(mode="after")
    def _same_length(self) -> "Line":
        for other in (self.y, self.low, self.high):
            if other and len(other) != len(self.x):
                raise ValueError(f"line {self.label!r}: {len(self.x)} x values, but {len(other)} of another column")
        return self


class Lines(Block):
    """Curves over a shared x axis, at most 4,096 numbers in all. marks: vertical lines, (x, label)."""

    kind: Literal["lines"] = "lines"
    x_label: str
    y_label: str
    lines: tuple[Line, ...]
    x_log: bool = False
    y_log: bool = False
    marks: tuple[tuple[float, str], ...] = ()

    @model_validator(mode="after")
    def _capped(self) -> "Lines":
        _cap(sum(len(li.x) + len(li.y) + len(li.low) + len(li.high) for li in self.lines))
        return self


class Bar(Value):
    """One bar with an optional interval."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None


class Bars(Block):
    """Horizontal bars with intervals; `reference` is a dashed line with a label."""

    kind: Literal["bars"] = "bars"
    x_label: str
    bars: tuple[Bar, ...] = Field(max_length=60)
    reference: tuple[float, str] | None = None


class Heatmap(Block):
    """A matrix with labelled rows and columns; annotate: print the values in the cells."""

    kind: Literal["heatmap"] = "heatmap"
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]
    x_label: str = ""
    y_label: str = ""
    value_label: str = ""
    annotate: bool = False
    diverging: bool = False
    log: bool = False

    @model_validator(mode="after")
    def _capped(self) -> "Heatmap":
        _cap(sum(len(row) for row in self.values))
        if len(self.values) != len(self.rows) or any(len(row) != len(self.columns) for row in self.values):
            raise ValueError("heatmap: values must be rows x columns")
        return self


class Picture(Value):
    """A JPEG or PNG of at most 320 px, base64; caption in a few words."""

    caption: str
    media: Literal["image/png", "image/jpeg"]
    data: str = Field(repr=False, max_length=400_000)
    width: int = Field(ge=1, le=320)
    height: int = Field(ge=1, le=320)


class PictureRow(Value):
    """One row of pictures, e.g. all inputs, or all overlays of one layer."""

    label: str
    pictures: tuple[Picture, ...]


class Images(Block):
    """Rows of pictures that share their columns (the same example below itself); 12 pictures at most."""

    kind: Literal["images"] = "images"
    rows: tuple[PictureRow, ...]

    @model_validator(mode="after")
    def _capped(self) -> "Images":
        if sum(len(row.pictures) for row in self.rows) > MAX_PICTURES:
            raise ValueError(f"at most {MAX_PICTURES} pictures a block")
        return self


class Tokens(Value):
    """One text as tokens with a score each; positive raises the target."""

    label: str
    tokens: tuple[str, ...]
    scores: tuple[float, ...]


class TokenMap(Block):
    """Texts whose tokens are coloured by score; `signed` chooses a diverging scale."""

    kind: Literal["token_map"] = "token_map"
    texts: tuple[Tokens, ...]
    signed: bool = False


AnyBlock = Annotated[Text | Table | Lines | Bars | Heatmap | Images | TokenMap, Field(discriminator="kind")]


def _cap(count: int) -> None:
    if count > MAX_FLOATS:
        raise ValueError(f"at most {MAX_FLOATS} numbers a block, found {count}: thin it out before showing it")
