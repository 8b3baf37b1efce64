"""Margins of a figure, from the widths of its labels: nothing has to be solved, and figures side by side line up."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from auditor.report import figurestyle as style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

_LABEL_MM, _GAP_MM, _BAR_MM = 4.0, 1.8, 2.6


@dataclass(frozen=True)
class Margins:
    """Room beside the axes in mm, for what is drawn outside of them."""

    top: float = 2.5
    right: float = 3.0


def text_mm(text: str, size: float = 8.0) -> float:
    """The width of a line of text in the page's own font.

    >>> 6.0 < text_mm("0.001") < 8.0
    True
    """
    widths = style.advances()
    return sum(widths.get(ord(letter), 1.0) for letter in text) * size * 25.4 / 72


def longest(texts: Iterable[str], size: float = 8.0) -> float:
    """The width of the widest of some texts."""
    return max((text_mm(text, size) for text in texts), default=0.0)


def fit(axes: "Axes", margins: Margins, scale: "Axes | None" = None) -> None:
    """Place the axes in their figure, and a colour scale at its right, so that every label has its room."""
    width, height = (25.4 * size for size in _page_inches(axes))
    bottom = _below(axes)
    tall = (height - bottom - margins.top) / height
    axes.set_position((0.2, bottom / height, 0.6, tall))
    left = _beside(axes.yaxis)
    right = margins.right
    if scale is not None:
        scale.set_position((0.9, bottom / height, _BAR_MM / width, tall))
        right = 2.2 + _BAR_MM + _beside(scale.yaxis) + 1.2
        at = (width - right + 2.2) / width
        scale.set_position((at, bottom / height, _BAR_MM / width, tall))
        scale.yaxis.set_label_coords(1 - 0.9 / width, 0.5, transform=_page(axes))
        scale.yaxis.label.set_verticalalignment("bottom")
    axes.set_position((left / width, bottom / height, (width - left - right) / width, tall))
    axes.yaxis.set_label_coords(2.9 / width, _middle(bottom, margins.top, height), transform=_page(axes))
    axes.xaxis.set_label_coords((left + (width - left - right) / 2) / width, 0.9 / height, transform=_page(axes))
    axes.xaxis.label.set_verticalalignment("bottom")


def _page_inches(axes: "Axes") -> tuple[float, float]:
    width, height = axes.get_figure(root=True).get_size_inches()  # type: ignore[union-attr]  # axes here are always in a figure
    return float(width), float(height)


def _page(axes: "Axes") -> Any:
    return axes.get_figure(root=True).transFigure  # type: ignore[union-attr]  # axes here are always in a figure


def _middle(bottom: float, top: float, height: float) -> float:
    return (bottom + (height - bottom - top) / 2) / height


def _beside(axis: "Axis") -> float:
    """The room that an axis takes beside the axes: its tick labels, and its name turned."""
    named = _LABEL_MM if axis.get_label_text() else 0.0
    labels = axis.get_ticklabels()
    size = float(labels[0].get_fontsize()) if labels else 8.0
    return named + longest(_ticks(axis), size) + _GAP_MM


def _below(axes: "Axes") -> float:
    named = _LABEL_MM if axes.get_xlabel() else 0.0
    labels = axes.get_xticklabels()
    turned = bool(labels) and labels[0].get_rotation() > 0
    return named + (0.71 * (longest(_ticks(axes.xaxis)) + 3.0) if turned else 2.9) + _GAP_MM + 0.8


def _ticks(axis: "Axis") -> list[str]:
    """The texts of the ticks in view."""
    low, high = sorted(axis.get_view_interval())
    places = [float(at) for at in axis.get_majorticklocs()]
    texts = axis.get_major_formatter().format_ticks(places)
    slack = 1e-6 * (high - low)
    return [text for at, text in zip(places, texts, strict=True) if low - slack <= at <= high + slack]
