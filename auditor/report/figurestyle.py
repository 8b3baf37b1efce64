"""How figures look: colours, type and widths of the page, and fonts that are the page's own."""

import base64
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from auditor.report import formatting, templates
from auditor.report.plain import plain, shorten

if TYPE_CHECKING:
    from matplotlib.axis import Axis

COLUMN_MM, PAGE_MM = 82.0, 170.0
INK, SOFT, FAINT, LINE = "#1F2933", "#52606D", "#9AA5B1", "#E4E7EB"
DATA, BAR = "#0B69A3", "#5B9BC8"
_FAMILIES = ("IBM Plex Sans", "DejaVu Sans")
_HAN = ("Noto Sans SC", "Noto Sans CJK SC")
# Blue, orange, ink and purple differ in lightness as well as in hue, and each has its own dash.
_CYCLE: tuple[tuple[str, Any], ...] = (
    (DATA, "-"), ("#B35900", (0, (5, 1.6))), (SOFT, (0, (1.4, 1.4))), ("#6B4C9A", (0, (5, 1.4, 1.2, 1.4))),
    ("#0F7B4F", (0, (8, 2))), ("#A23B72", (0, (3, 1.2, 1, 1.2, 1, 1.2))),
)  # fmt: skip
RC: Any = {
    "font.family": list(_FAMILIES), "font.size": 8, "axes.labelsize": 8, "xtick.labelsize": 8, "ytick.labelsize": 8,
    "text.color": INK, "axes.labelcolor": INK, "xtick.color": SOFT, "ytick.color": SOFT,
    "axes.edgecolor": FAINT, "axes.linewidth": 0.6, "axes.spines.top": False, "axes.spines.right": False,
    "xtick.major.width": 0.6, "ytick.major.width": 0.6, "xtick.major.size": 2.5, "ytick.major.size": 2.5,
    "xtick.minor.size": 1.5, "ytick.minor.size": 1.5, "xtick.minor.width": 0.4, "ytick.minor.width": 0.4,
    "grid.color": LINE, "grid.linewidth": 0.6, "axes.axisbelow": True, "lines.linewidth": 1.4,
    "text.parse_math": False, "text.usetex": False, "svg.fonttype": "none", "svg.hashsalt": "auditor",
    "axes.unicode_minus": True, "axes.formatter.use_mathtext": False, "savefig.pad_inches": 0.02,
}  # fmt: skip


def line_style(at: int) -> tuple[str, Any]:
    """Colour and dash of the line at that place."""
    return _CYCLE[at % len(_CYCLE)]


def colours(diverging: bool) -> Any:
    """The colour map: cividis, or blue through white to brown; grey where there is no number."""
    from matplotlib import colormaps
    from matplotlib.colors import LinearSegmentedColormap

    if not diverging:
        return colormaps["cividis"].with_extremes(bad=LINE)
    shades = ["#0B3C6F", "#6FA3CC", "#F7F7F5", "#C79A5B", "#6B3A06"]
    return LinearSegmentedColormap.from_list("blue-brown", shades).with_extremes(bad="#D5DAE0")


def plain_ticks(*found: "Axis") -> None:
    """Numbers of a logarithmic axis as plain text, since text is never read as mathematics."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for axis in found:
        if axis.get_scale() == "log":
            low, high = axis.get_view_interval()
            if 0 < low < high < 300 * low:
                axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axis.set_major_formatter(FuncFormatter(lambda value, _: formatting.number(value)))
            axis.set_minor_formatter(NullFormatter())


@lru_cache(maxsize=1)
def own_points() -> frozenset[int]:
    """The code points of the page's own text font."""
    return frozenset(_own_font().getBestCmap())


@lru_cache(maxsize=1)
def advances() -> dict[int, float]:
    """Code point -> its width in the page's own text font, in em."""
    font = _own_font()
    widths, em = font["hmtx"].metrics, font["head"].unitsPerEm
    return {point: widths[glyph][0] / em for point, glyph in font.getBestCmap().items()}


@lru_cache(maxsize=1)
def _own_font() -> Any:
    from fontTools.ttLib import TTFont  # type: ignore[import-untyped]  # it ships no stubs

    return TTFont(templates.font_file("IBMPlexSans-Regular"), lazy=True)


@lru_cache(maxsize=1)
def register_fonts() -> frozenset[int]:
    """Make the page's font known to matplotlib; the code points that figures can show."""
    from matplotlib import font_manager

    font_manager.fontManager.addfont(templates.font_file("IBMPlexSans-Regular"))
    points = set(own_points())
    installed = {font.name for font in font_manager.fontManager.ttflist}
    RC["font.family"] = [*_FAMILIES, *(name for name in _HAN if name in installed)]
    for family in RC["font.family"][1:]:
        points |= set(font_manager.get_font(font_manager.findfont(family)).get_charmap())
    return frozenset(points)


def page_text(svg: str) -> str:
    """The SVG with its families as the printer reads them: without quotes, and without spaces around them."""
    families = ",".join(RC["font.family"])
    return re.sub(r"font-family: [^;\"]+", f"font-family: {families}", svg)


def with_font(svg: bytes) -> bytes:
    """The SVG with the page's own font inside, for browsers: a picture sees no font of the page that shows it."""
    if b"<text" not in svg:
        return svg
    font = base64.b64encode(templates.font("FigureSans")).decode()
    face = f"@font-face{{font-family:'IBM Plex Sans';src:url(data:font/woff2;base64,{font}) format('woff2')}}"
    return svg.replace(b"<defs>", f"<defs><style>{face}</style>".encode(), 1)


def label(text: str, length: int) -> str:
    """Text fit for a figure: one line, cut to a length, a box for each character that no font has."""
    points = register_fonts()
    one_line = " ".join(plain(text).split())
    return "".join(c if ord(c) in points else "\u25a1" for c in shorten(one_line, length))


def middle(text: str, length: int) -> str:
    """The text with its middle cut out, so that layer names keep their ends.

    >>> middle("encoder.layer.11.output.dense", 13)
    'encode….dense'
    """
    if len(text) <= length:
        return text
    head = (length - 1) // 2
    return f"{text[:head]}\u2026{text[-(length - 1 - head) :]}"


def thinned(count: int, most: int) -> list[int]:
    """Places of at most `most` tick labels, evenly spaced from the first.

    >>> thinned(5, 10), thinned(10, 5)
    ([0, 1, 2, 3, 4], [0, 2, 4, 6, 8])
    """
    step = max(1, -(-count // most))
    return list(range(0, count, step))
