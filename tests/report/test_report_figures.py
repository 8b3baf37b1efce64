"""Figures: every kind of block, at its printed size, the same bytes, whatever the labels say."""

import io
import itertools
from pathlib import Path
from xml.etree import ElementTree

import pytest

from auditor.blocks import AnyBlock, Bar, Bars, Heatmap, Line, Lines, Text
from auditor.report import lettering
from auditor.report.drawn import Drawn
from auditor.report.figures import draw, spread
from tests import cases

DRAWN = [cases.curves(), cases.training(), cases.bars(), cases.confusion(), cases.layers(), cases.correlations()]


@pytest.mark.parametrize("block", DRAWN, ids=lambda block: block.title)
def test_a_figure_is_an_svg_of_printed_size(block: AnyBlock) -> None:
    figure = draw(block)
    assert figure is not None and figure.alt.startswith(block.title) and figure.width_mm in (82.0, 170.0)
    root = ElementTree.parse(io.BytesIO(figure.data)).getroot()
    assert float(root.get("width", "0pt").removesuffix("pt")) == pytest.approx(figure.width_mm / 25.4 * 72, abs=0.1)


@pytest.mark.parametrize("block", [cases.pictures(), cases.table(), cases.tokens(), Text(title="t", text="x")])
def test_the_other_kinds_are_set_by_the_page(block: AnyBlock) -> None:
    assert draw(block) is None


def test_the_bytes_repeat() -> None:
    first = draw(cases.training())
    draw.cache_clear()
    again = draw(cases.training())
    assert first is not None and again is not None and first.data == again.data


def test_labels_are_never_read_as_mathematics_and_lack_no_glyph() -> None:
    text = "$\\frac{1}{2}$ {x} 中文 שלום \u202e"
    assert draw(Bars(title=text, x_label=text, bars=(Bar(label=text, value=1.0),), reference=(0.5, text))) is not None
    line = Line(label=text, x=(1.0, 2.0), y=(1.0, 3.0))
    assert draw(Lines(title=text, x_label=text, y_label=text, lines=(line, line))) is not None


@pytest.mark.parametrize(
    "block",
    [
        Bars(title="none", x_label="x", bars=()),
        Lines(title="none", x_label="x", y_label="y", lines=()),
        Lines(title="a point", x_label="x", y_label="y", lines=(Line(label="", x=(1.0,), y=(2.0,)),)),
        Lines(title="zero", x_label="x", y_label="y", y_log=True, lines=(Line(label="", x=(1.0, 2.0), y=(0.0, 2.0)),)),
        Heatmap(title="gaps", rows=("a",), columns=("b",), values=((None,),)),
        Heatmap(title="even", rows=("a",), columns=("b",), values=((1.0,),), log=True),
        Heatmap(title="zero", rows=("a",), columns=("b",), values=((0.0,),), diverging=True),
        Heatmap(title="below", rows=("a",), columns=("b", "c"), values=((-1.0, 0.0),), log=True),
    ],
)
def test_poor_data_is_drawn_too(block: AnyBlock) -> None:
    assert draw(block) is not None


def test_line_names_keep_their_distance() -> None:
    placed = spread([0.95, 0.96, 0.97], least=0.1)
    assert placed[-1] <= 1 and all(b - a >= 0.1 - 1e-12 for a, b in itertools.pairwise(placed))


def test_a_kept_figure_is_the_drawn_one_and_a_changed_file_is_drawn_again(tmp_path: Path) -> None:
    kept, first = Drawn(tmp_path), draw(cases.bars())
    assert kept.figure(cases.bars()) == first
    (file,) = tmp_path.iterdir()
    draw.cache_clear()
    assert kept.figure(cases.bars()) == first and draw.cache_info().misses == 0
    file.write_text(file.read_text().replace("svg", "gvs"))
    assert kept.figure(cases.bars()) == first and draw.cache_info().misses == 1
    (tmp_path / "not a folder").write_text("")
    assert Drawn(tmp_path / "not a folder").figure(cases.bars()) == first
    assert kept.figure(cases.table()) is None


def _texts(block: AnyBlock) -> list[tuple[str, float]]:
    """The texts of a figure, and the height of its page in points."""
    figure = draw(block)
    assert figure is not None
    root = ElementTree.parse(io.BytesIO(figure.data)).getroot()
    return [("".join(node.itertext()), figure.height_mm) for node in root.iter() if node.tag.endswith("}text")]


def test_a_long_name_of_an_axis_is_wrapped_and_nothing_of_it_lost() -> None:
    line = Line(label="", x=(1.0, 2.0), y=(0.0, 1.0))
    name = "rank correlation with the map of the model"
    shown = [text for text, _ in _texts(Lines(title="t", x_label="x", y_label=name, lines=(line,)))]
    assert name not in shown and " ".join(text for text in shown if text in name and len(text) > 3) == name
    below = "chance that an evaluation example has more of it than a training one"
    shown = [text for text, _ in _texts(Bars(title="t", x_label=below, bars=(Bar(label="a", value=1.0),)))]
    assert " ".join(text for text in shown if text in below and len(text) > 3) == below


def test_layers_of_one_start_keep_what_tells_them_apart() -> None:
    layers = [f"resnet.encoder.stages.{at}.layers.0.layer.1.activation" for at in range(3)]
    names = lettering.bar_names(Bars(title="t", x_label="x", bars=tuple(Bar(label=n, value=1.0) for n in layers)))
    assert len(set(names.texts)) == 3 and all(f"{at}.layers" in text for at, text in enumerate(names.texts))
    assert all(lettering.longest([text], names.size) <= 34 for text in names.texts)


def test_a_legend_flows_and_never_leaves_the_figure() -> None:
    lines = [Line(label=f"the map of a method {at}", x=(1.0,), y=(1.0,)) for at in range(5)]
    rows = lettering.flowed(lines, 82.0)
    assert [place for row in rows for place, _, _ in row] == [0, 1, 2, 3, 4] and len(rows) == 3
    assert all(at + 7 + lettering.text_mm(name, 7.5) <= 82 for row in rows for _, name, at in row)


def test_a_mark_far_outside_is_told_and_not_drawn() -> None:
    line = Line(label="", x=(0.0, 0.02), y=(0.0, 1.0))
    near, far = (
        _texts(Lines(title="t", x_label="x", y_label="y", lines=(line,), marks=((at, "edge"),))) for at in (0.01, 1.0)
    )
    assert ("edge", 44.0) in near and ("edge: 1 \u2192", 44.0) in far


def test_few_columns_have_flat_names_and_square_cells() -> None:
    names = ("Grad-CAM", "saliency", "integrated gradients")
    block = Heatmap(title="t", rows=names, columns=names, values=((1.0, 0.2, 0.1),) * 3, annotate=True)
    figure = draw(block)
    assert figure is not None and figure.width_mm == 82 and figure.height_mm >= 38
    assert b"rotate(-45)" not in figure.data and {"integrated", "gradients", "integrated gradients"} <= {
        t for t, _ in _texts(block)
    }
