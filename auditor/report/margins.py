"""Margins of a figure, from the widths of its labels: nothing has to be solved, and figures side by side line up."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from auditor.report.lettering import longest, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

_LABEL_MM, _LINE_MM, _GAP_MM, _BAR_MM = 4.0, 3.6, 1.8, 2.6


@dataclass(frozen=True)
class Margins:
    """Room beside the axes in mm, for what is drawn outside of them."""

    top: float = 2.5
    right: float = 3.0


def fit(axes: "Axes", margins: Margins, scale: "Axes | None" = None) -> None:
    """Place the axes in their figure, and a colour scale at its right, so that every label has its room."""
    width, height = (25.4 * size for size in _page_inches(axes))
    axes.set_xlabel(wrapped(axes.get_xlabel(), width - 3.0))
    bottom = _below(axes)
    for named in (axes, scale) if scale is not None else (axes,):
        named.set_ylabel(wrapped(named.get_ylabel(), height - margins.top - 1.0))
    tall = (height - bottom - margins.top) / height
    axes.set_position((0.2, bottom / height, 0.6, tall))
    left = _beside(axes.yaxis)
    right = margins.right
    if scale is not None:
        scale.set_position((0.9, bottom / height, _BAR_MM / width, tall))
        right = 2.2 + _BAR_MM + _beside(scale.yaxis) + 1.2
        at = (width - right + 2.2) / width
        scale.set_position((at, bottom / height, _BAR_MM / width, tall))
        middle = _centre(scale.get_ylabel(), (bottom, height - margins.top), height) / height
        scale.yaxis.set_label_coords(1 - 0.9 / width, middle, transform=_page(axes))
        scale.yaxis.label.set_verticalalignment("bottom")
    axes.set_position((left / width, bottom / height, (width - left - right) / width, tall))
    middle = _centre(axes.get_ylabel(), (bottom, height - margins.top), height - margins.top + 0.5) / height
    edge = _lines(axes.get_ylabel()) - 1.1
    axes.yaxis.set_label_coords(edge / width, middle, transform=_page(axes))
    middle = _centre(axes.get_xlabel(), (left, width - right), width) / width
    axes.xaxis.set_label_coords(middle, 0.9 / height, transform=_page(axes))
    axes.xaxis.label.set_verticalalignment("bottom")


def _page_inches(axes: "Axes") -> tuple[float, float]:
    width, height = axes.get_figure(root=True).get_size_inches()  # type: ignore[union-attr]  # axes here are always in a figure
    return float(width), float(height)


def _page(axes: "Axes") -> Any:
    return axes.get_figure(root=True).transFigure  # type: ignore[union-attr]  # axes here are always in a figure


def _centre(name: str, axis: tuple[float, float], length: float) -> float:
    """The middle of an axis, or as near to it as lets the axis' name stay within the figure, in mm."""
    half = longest([name]) / 2 + 0.5
    return min(max(sum(axis) / 2, half), max(length - half, half))


def _lines(name: str) -> float:
    """The room of a name beside its axis."""
    return _LABEL_MM + _LINE_MM * name.count("\n") if name else 0.0


def _beside(axis: "Axis") -> float:
    """The room that an axis takes beside the axes: its tick labels, and its name turned."""
    named = _lines(axis.get_label_text())
    labels = axis.get_ticklabels()
    size = float(labels[0].get_fontsize()) if labels else 8.0
    return named + longest(_ticks(axis), size) + _GAP_MM


def _below(axes: "Axes") -> float:
    named = _lines(axes.get_xlabel())
    labels = axes.get_xticklabels()
    turned = bool(labels) and labels[0].get_rotation() > 0
    texts = _ticks(axes.xaxis)
    flat = 2.9 + _LINE_MM * max((text.count("\n") for text in texts), default=0)
    return named + (0.71 * (longest(texts) + 3.0) if turned else flat) + _GAP_MM + 0.8


def _ticks(axis: "Axis") -> list[str]:
    """The texts of the ticks in view."""
    low, high = sorted(axis.get_view_interval())
    places = [float(at) for at in axis.get_majorticklocs()]
    texts = axis.get_major_formatter().format_ticks(places)
    slack = 1e-6 * (high - low)
    return [text for at, text in zip(places, texts, strict=True) if low - slack <= at <= high + slack]
