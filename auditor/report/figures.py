"""Figures: one `draw(block)`, at the size at which it is printed, the same bytes every time."""

import io
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import LogNorm, Normalize, TwoSlopeNorm
from matplotlib.figure import Figure as Canvas
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D

from auditor.blocks import AnyBlock, Bars, Heatmap, Images, Line, Lines, Table, Text, TokenMap
from auditor.report import figurestyle as style
from auditor.report import formatting
from auditor.report.figure import Figure
from auditor.report.figurestyle import COLUMN_MM, PAGE_MM, label, middle
from auditor.report.lettering import bar_names, column_names, flowed, longest
from auditor.report.margins import Margins, fit

IMAGE_DPI = 200
_DIRECT_LINES, _DIRECT_LENGTH = 3, 14
_ROW_MM = 3.6  # a row of a legend


@lru_cache(maxsize=512)
def draw(block: AnyBlock) -> Figure | None:
    """The figure of a block; None for the kinds that the page sets as text, tables or pictures."""
    match block:
        case Lines():
            rows = 0 if _direct(block.lines) else len(flowed(block.lines, COLUMN_MM))
            return _figure(block, COLUMN_MM, 44.0 + _ROW_MM * max(0, rows - 2), _alt_lines(block), tinted=True)
        case Bars():
            height = 13.0 + len(block.bars) * bar_names(block).step
            return _figure(block, COLUMN_MM, max(32.0, height), _alt_bars(block), tinted=True)
        case Heatmap():
            width, height = _heatmap_size(block)
            return _figure(block, width, height, _alt_heatmap(block), tinted=False)
        case Text() | Table() | Images() | TokenMap():
            return None


def _figure(block: Lines | Bars | Heatmap, width: float, height: float, alt: str, *, tinted: bool) -> Figure:
    style.register_fonts()
    with rc_context(style.RC):
        canvas = Canvas(figsize=(width / 25.4, height / 25.4), dpi=IMAGE_DPI, facecolor="none")
        axes = canvas.add_axes((0.2, 0.2, 0.7, 0.7), facecolor="none")
        match block:
            case Lines():
                _lines(axes, block)
            case Bars():
                _bars(axes, block)
            case Heatmap():
                _heatmap(canvas, axes, block)
        file = io.StringIO()
        # Not savefig: it draws everything twice, once to find out what a layout engine would ask.
        FigureCanvasSVG(canvas).print_svg(file, metadata={"Date": None, "Creator": None})  # type: ignore[no-untyped-call]  # matplotlib
    return Figure(style.page_text(file.getvalue()).encode(), "image/svg+xml", alt, width, height, tinted)


def _lines(axes: Axes, block: Lines) -> None:
    for at, line in enumerate(block.lines):
        colour, dash = style.line_style(at)
        x, y = np.asarray(line.x), np.asarray(line.y)
        marker = "o" if len(line.x) == 1 else ""
        axes.plot(x, y, color=colour, linestyle=dash, marker=marker, markersize=3, zorder=3)
        if line.low and line.high:
            axes.fill_between(x, line.low, line.high, color=colour, alpha=0.16, linewidth=0)
    if block.x_log:
        axes.set_xscale("log", nonpositive="mask")
    if block.y_log:
        axes.set_yscale("log", nonpositive="mask")
    style.plain_ticks(axes.xaxis, axes.yaxis)
    axes.set_xlabel(label(block.x_label, 120))
    axes.set_ylabel(label(block.y_label, 90))
    axes.grid(visible=True, which="major")
    axes.margins(x=0.02)
    ends = axes.get_xlim()
    for x_mark, text in block.marks:
        _mark(axes, x_mark, label(text, 24), ends)
    fit(axes, _name_lines(axes, block.lines))


def _mark(axes: Axes, at: float, text: str, ends: tuple[float, float]) -> None:
    """A dashed line with its name on the side that has room; one far outside is told at the edge, not drawn."""
    low, high = ends
    far = axes.get_xscale() == "linear" and not low - 2 * (high - low) <= at <= high + 2 * (high - low)
    if far:
        axes.set_xlim(low, high)
        text = f"{text}: {formatting.number(at)} \u2192" if at > high else f"\u2190 {text}: {formatting.number(at)}"
    else:
        axes.axvline(at, color=style.SOFT, linewidth=0.7, linestyle=(0, (3, 2)))
    fraction = 1.0 if far and at > high else 0.0 if far else _across(axes, at)
    flip = fraction > 0.6
    axes.annotate(
        text, (fraction, 0.0 if far else 1.0), (-2 if flip else 2, 3 if far else -2), xycoords="axes fraction",
        textcoords="offset points", va="bottom" if far else "top", ha="right" if flip else "left", fontsize=7,
        color=style.SOFT, zorder=5, bbox={"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 0.6},
    )  # fmt: skip


def _across(axes: Axes, x: float) -> float:
    """Where a place lies on the axis below, from 0 at the left to 1."""
    return float(axes.transAxes.inverted().transform(axes.transData.transform((x, axes.get_ylim()[0])))[0])


def _name_lines(axes: Axes, lines: Sequence[Line]) -> Margins:
    """Names at the ends of two or three lines; a legend above for more, or for long names. The room they take."""
    if len(lines) < 2:
        return Margins()
    if not _direct(lines):
        return _legend(axes, lines)
    named = [(at, line) for at, line in enumerate(lines) if line.label and line.x]
    ends = sorted((_fraction(axes, line.y[-1]), at, line.label) for at, line in named)
    heights = spread([end for end, _, _ in ends], least=0.09)
    for height, (_, at, text) in zip(heights, ends, strict=True):
        axes.text(
            1.02, height, label(text, _DIRECT_LENGTH), transform=axes.transAxes, va="center",
            color=style.line_style(at)[0],
        )  # fmt: skip
    return Margins(right=3.5 + longest([text for _, _, text in ends]))


def _direct(lines: Sequence[Line]) -> bool:
    """Whether the names can stand at the ends of their lines: few, and short."""
    named = [line for line in lines if line.label and line.x]
    return len(lines) < 2 or (len(named) <= _DIRECT_LINES and all(len(line.label) <= _DIRECT_LENGTH for line in named))


def _legend(axes: Axes, lines: Sequence[Line]) -> Margins:
    """A sample and a name of each line, one after the other across the figure, above the axes."""
    page = axes.get_figure(root=True)
    assert page is not None
    width, height = (25.4 * float(size) for size in page.get_size_inches())
    rows = flowed(lines, width)
    for number, row in enumerate(rows):
        y = 1 - (2.2 + _ROW_MM * number) / height
        for place, name, at in row:
            colour, dash = style.line_style(place)
            ends = (at / width, (at + 5.6) / width)
            page.add_artist(Line2D(ends, (y, y), color=colour, linestyle=dash, transform=page.transFigure))
            page.text((at + 6.6) / width, y, name, va="center_baseline", fontsize=7.5)
    return Margins(top=2.6 + _ROW_MM * len(rows))


def _fraction(axes: Axes, y: float) -> float:
    """Where a height lies on the axis, from 0 to 1."""
    at = axes.transAxes.inverted().transform(axes.transData.transform((axes.get_xlim()[1], y)))[1]
    return float(np.clip(np.nan_to_num(at, nan=0.5), 0.02, 0.98))


def spread(heights: Sequence[float], least: float) -> list[float]:
    """Ascending heights pushed apart to a least distance, kept within 0 and 1 where they fit.

    >>> [round(h, 2) for h in spread([0.5, 0.51, 0.9], 0.1)]
    [0.5, 0.6, 0.9]
    """
    placed = list(heights)
    for at in range(1, len(placed)):
        placed[at] = max(placed[at], placed[at - 1] + least)
    if placed and placed[-1] > 1:
        placed[-1] = 1.0
        for at in range(len(placed) - 2, -1, -1):
            placed[at] = min(placed[at], placed[at + 1] - least)
    return placed


def _bars(axes: Axes, block: Bars) -> None:
    at = np.arange(len(block.bars))
    values = np.array([bar.value for bar in block.bars])
    names = bar_names(block)
    axes.barh(at, values, height=0.62, color=style.BAR, zorder=2)
    for place, bar in enumerate(block.bars):
        if bar.low is not None and bar.high is not None:
            axes.plot([bar.low, bar.high], [place, place], color=style.INK, linewidth=1.0, zorder=3)
    axes.set_yticks(at, names.texts, fontsize=names.size, linespacing=0.95)
    axes.invert_yaxis()
    axes.set_xlabel(label(block.x_label, 120))
    axes.grid(visible=True, axis="x")
    axes.tick_params(axis="y", length=0)
    if len(at):
        axes.set_ylim(len(at) - 0.4, -0.6)
    if not values.any():
        axes.set_xlim(left=0)
    if block.reference is not None:
        x, text = block.reference
        axes.axvline(x, color=style.INK, linewidth=0.9, linestyle=(0, (3, 2)), zorder=4)
        axes.annotate(
            label(text, 30), (x, 1.0), (0, 2), xycoords=("data", "axes fraction"), textcoords="offset points",
            ha="right" if _across(axes, x) > 0.7 else "center", va="bottom", fontsize=7.5, color=style.SOFT,
        )  # fmt: skip
    fit(axes, Margins(top=5.5 if block.reference else 2.0))


def _heatmap_size(block: Heatmap) -> tuple[float, float]:
    rows, columns = len(block.rows), len(block.columns)
    letters = max((len(name) for name in block.rows), default=0)
    most = 12 if block.annotate or max((len(name) for name in block.columns), default=0) > 4 else 24
    width = COLUMN_MM if columns <= most and letters <= 24 else PAGE_MM
    cell = min(max(4.3, min(8.0, 30 / max(rows, 1))), (width - 34) / max(columns, 1)) if width == COLUMN_MM else 3.4
    return width, float(np.clip(14 + rows * max(cell, 3.2), 34, 170))


def _heatmap(canvas: Canvas, axes: Axes, block: Heatmap) -> None:
    values = np.array([[np.nan if cell is None else cell for cell in row] for row in block.values], dtype=float)
    values = values.reshape(len(block.rows), len(block.columns))
    image = axes.imshow(values, cmap=style.colours(block.diverging), norm=_norm(block, values), aspect="auto")
    _ticks(axes, block, canvas.get_figwidth() * 25.4)
    axes.set_xlabel(label(block.x_label, 120))
    axes.set_ylabel(label(block.y_label, 90))
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(length=0)
    if block.annotate and values.size <= 200:
        _annotate(axes, image, values)
    bar = canvas.colorbar(image, cax=canvas.add_axes((0.9, 0.2, 0.02, 0.7)))
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=2)
    style.plain_ticks(bar.ax.yaxis)
    bar.ax.minorticks_off()
    if block.value_label:
        bar.set_label(label(block.value_label, 90))
    fit(axes, Margins(right=5.0), bar.ax)


def _norm(block: Heatmap, values: np.ndarray) -> Normalize:
    found = values[np.isfinite(values)]
    if not found.size:
        return Normalize(0, 1)
    low, high = float(found.min()), float(found.max())
    if block.log and high > 0:
        least = float(found[found > 0].min())
        return LogNorm(least, high if high > least else least * 10)
    if block.diverging:
        reach = max(abs(low), abs(high)) or 1.0
        return TwoSlopeNorm(0.0, -reach, reach)
    return Normalize(low, high if high > low else low + 1)


def _ticks(axes: Axes, block: Heatmap, width: float) -> None:
    rows = style.thinned(len(block.rows), 40)
    small = len(block.rows) > 24
    axes.set_yticks(rows, [label(middle(block.rows[i], 28), 28) for i in rows], fontsize=6.5 if small else 8)
    names = [label(middle(name, 16), 16) for name in block.columns]
    room = max(width - 16 - longest(label(middle(name, 28), 28) for name in block.rows), 20)
    most = int(room / (longest(names) + 2))
    flat = column_names([label(name, 40) for name in block.columns], room / max(1, len(names)))
    turned = not flat and longest(names) > 6 and most < len(names)
    shown = flat or names
    columns = style.thinned(len(names), len(names) if flat else max(2, int(room / 4.2) if turned else most))
    axes.set_xticks(
        columns, [shown[j] for j in columns], rotation=45 if turned else 0, ha="right" if turned else "center",
        rotation_mode="anchor",
    )  # fmt: skip


def _annotate(axes: Axes, image: AxesImage, values: np.ndarray) -> None:
    """Numbers in the cells; counts leave their zeros to the colour."""
    counts = bool(np.all(values == np.round(values)))
    for i, j in np.argwhere(np.isfinite(values) & ((values != 0) | (not counts))):
        red, green, blue, _ = image.cmap(image.norm(values[i, j]))
        light = 0.299 * red + 0.587 * green + 0.114 * blue > 0.5
        text = formatting.number(float(values[i, j]), 2)
        axes.text(j, i, text, ha="center", va="center", fontsize=7, color=style.INK if light else "white")


def _alt_lines(block: Lines) -> str:
    names = ", ".join(
        f"{line.label or 'line'} from {formatting.number(line.y[0])} to {formatting.number(line.y[-1])}"
        for line in block.lines[:6] if line.y
    )  # fmt: skip
    return f"{block.title}. Curves of {block.y_label} against {block.x_label}: {names}."


def _alt_bars(block: Bars) -> str:
    names = ", ".join(f"{bar.label} {formatting.number(bar.value)}" for bar in block.bars[:8])
    more = ", and others" if len(block.bars) > 8 else ""
    return f"{block.title}. Bars of {block.x_label}: {names}{more}."


def _alt_heatmap(block: Heatmap) -> str:
    found = [cell for row in block.values for cell in row if cell is not None]
    ends = f" from {formatting.number(min(found))} to {formatting.number(max(found))}" if found else ""
    return f"{block.title}. Matrix of {len(block.rows)} rows and {len(block.columns)} columns{ends}."
