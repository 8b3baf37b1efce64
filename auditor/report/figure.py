"""One drawn figure: its bytes, its size, and what it shows in words."""

import base64
from dataclasses import dataclass

from auditor.report import figurestyle


@dataclass(frozen=True)
class Figure:
    """A drawn figure: bytes of an SVG or PNG, its size in mm, and what it shows in words.

    tinted: only lines and labels, so that a dark page may invert it; a colour map must stay as it is.
    """

    data: bytes
    media: str
    alt: str
    width_mm: float
    height_mm: float
    tinted: bool = False

    @property
    def wide(self) -> bool:
        """Whether it needs the width of the page."""
        return self.width_mm > figurestyle.COLUMN_MM

    def uri(self, *, alone: bool) -> str:
        """The figure as a data: URI; `alone`: shown by a browser, where a picture sees no font of its page."""
        data = figurestyle.with_font(self.data) if alone else self.data
        return f"data:{self.media};base64,{base64.b64encode(data).decode()}"
