"""The pages: one file, complete, and safe whatever the users wrote."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from auditor.blocks import Images, Picture, PictureRow
from auditor.report import blockviews, html, naming
from auditor.report.drawn import Drawn
from auditor.results import Report
from tests import cases

HOSTILE = (
    "<script>alert(1)</script>\"'>&amp;{{ 7*7 }}{% raw %}{x}$\\frac{1}{2}$ שלום 中文 \u202egnp.exe \x00"
    + "unbroken" * 40
)


class Outline(HTMLParser):
    """All tags with their attributes, and the text of the page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def outline(page: str) -> Outline:
    found = Outline()
    found.feed(page)
    return found


def hostile(report: Report) -> Report:
    """The report with the hostile text in every free field of people and checks."""
    first = report.checks[2]
    about = first.about.model_copy(
        update={name: HOSTILE for name in ("title", "question", "formula", "method", "reading", "limits", "citation")}
    )
    blocks = tuple(
        block.model_copy(update={"title": HOSTILE, "reading": HOSTILE}) for block in (*first.blocks, cases.bars())
    )
    lines = cases.curves().model_copy(update={"x_label": HOSTILE, "title": "$\\frac$"})
    verdicts = tuple(verdict.model_copy(update={"reason": HOSTILE, "why": HOSTILE}) for verdict in first.verdicts)
    check = first.model_copy(
        update={
            "id": "a" * 90,
            "about": about,
            "blocks": (*blocks, lines),
            "verdicts": verdicts,
            "reason": HOSTILE,
            "notes": (HOSTILE,),
            "params": {HOSTILE: HOSTILE},
            "what_to_try": {"insertion_gain": HOSTILE},
        }
    )
    context = report.context.model_copy(update={"purpose": HOSTILE, "owner": HOSTILE, "reviewers": (HOSTILE,)})
    audit = report.audit.model_copy(update={"title": HOSTILE, "reason": HOSTILE})
    return report.model_copy(update={"checks": (check,), "context": context, "audit": audit})


@pytest.fixture(scope="module")
def screen() -> str:
    """The rich report on screen."""
    return html.render(cases.report())


def test_every_check_has_its_section(screen: str) -> None:
    ids = {attributes.get("id") for _, attributes in outline(screen).tags}
    assert {naming.anchor(check) for check in cases.checks()} <= ids


def test_every_link_inside_the_page_has_its_end(screen: str) -> None:
    tags = outline(screen).tags
    ends = {attributes.get("id") for _, attributes in tags}
    links = [attributes["href"] or "" for tag, attributes in tags if tag == "a"]
    assert [link for link in links if link[1:] not in ends] == []


def test_finding_digest_and_bounds_are_on_the_page(screen: str) -> None:
    assert cases.report().finding_digest in screen
    assert "6 bounds set by the owner, 3 by preset convention, 1 loosened." in screen


def test_the_reason_of_a_fail_stands_in_the_summary(screen: str) -> None:
    summary = screen.split('id="summary"')[1].split("</section>")[0]
    assert "insertion_gain 0.031 [0.004, 0.058] misses its bound" in summary


def test_nothing_is_loaded_from_outside(screen: str) -> None:
    for tag, attributes in outline(screen).tags:
        assert "style" not in attributes and not any(name.startswith("on") for name in attributes)
        assert tag not in ("link", "iframe", "object", "embed", "form", "base")
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:"))
    assert not re.search(r"url\((?!data:)", screen)


def test_policy_holds_the_hashes_of_the_own_style_and_script(screen: str) -> None:
    policy = next(a["content"] for t, a in outline(screen).tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and policy.startswith("default-src 'none'; img-src data:; font-src data:")
    for tag in ("style", "script"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", screen, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_the_same_report_gives_the_same_page(screen: str) -> None:
    assert html.render(cases.report()) == screen


def test_every_kind_of_block_is_on_the_page(screen: str) -> None:
    kinds = {block.kind for check in cases.checks() for block in check.blocks}
    assert kinds == {"text", "table", "lines", "bars", "heatmap", "images", "token_map"}
    for check in cases.checks():
        for block in check.blocks:
            assert f"{block.title}" in screen
    assert all(attributes.get("alt") for tag, attributes in outline(screen).tags if tag == "img")


def test_a_picture_below_another_says_which_example_it_shows() -> None:
    picture = Picture(caption="", media="image/png", data="", width=1, height=1)
    rows = [("seen", [picture.model_copy(update={"caption": name}) for name in "ab"]), ("map", [picture] * 3)]
    block = Images(title="Maps", rows=tuple(PictureRow(label=label, pictures=tuple(each)) for label, each in rows))
    report = cases.report()
    check = report.checks[0].model_copy(update={"blocks": (block,)})
    page = outline(html.render(report.model_copy(update={"checks": (check,)})))
    said = [attributes["alt"] for tag, attributes in page.tags if tag == "img"]
    assert said == ["seen: a", "seen: b", "map: a", "map: b", "map: Maps"]


@pytest.mark.parametrize("medium", ["screen", "print"])
def test_hostile_text_is_only_text(medium: html.Medium) -> None:
    page = html.render(hostile(cases.report()), medium)
    page.encode()
    found = outline(page)
    scripts = [tag for tag, _ in found.tags if tag == "script"]
    assert len(scripts) == (1 if medium == "screen" else 0)
    text = "".join(found.text)
    assert "<script>alert(1)</script>" in text and "{{ 7*7 }}{% raw %}{x}" in text
    assert "[U+202E]gnp.exe" in text and "\u202e" not in page and "\x00" not in page
    assert "שלום 中文" in text
    assert "Letters that the report’s own fonts lack" in text


def test_outcomes_that_say_nothing_say_so(screen: str) -> None:
    for text in ("the data has neither boxes nor masks", "It ran past its time limit.", "Deselected by -k"):
        assert text in screen


def test_a_report_without_checks_is_a_page_too() -> None:
    page = html.render(cases.report("inconclusive", found=(), waivers=(), not_tested=()))
    assert "Nothing was expected of this model" in page and "No bounds were set." in page


def test_few_pictures_a_row_stand_in_a_column_and_a_reading_is_said_once() -> None:
    found = cases.pictures()
    few = found.model_copy(
        update={"rows": tuple(row.model_copy(update={"pictures": row.pictures[:3]}) for row in found.rows)}
    )
    views = blockviews.said_once([blockviews.view(block, Drawn()) for block in (found, few, few)])
    assert [view.wide for view in views] == [True, False, False]
    assert [view.reading for view in views] == [found.reading, blockviews.AGAIN, blockviews.AGAIN]
    tall = few.model_copy(update={"rows": (*few.rows, few.rows[1])})
    assert blockviews.view(tall, Drawn()).dense and not views[0].dense


def test_a_check_without_bounds_has_no_empty_columns_and_names_no_reason_twice() -> None:
    check = cases.checks()[2].model_copy(
        update={"verdicts": (), "outcome": "info", "reason": "No bound was stated for it."}
    )
    page = html.render(cases.report(found=(check,)))
    table = page.partition("measured described")[2].partition("</table>")[0]
    assert "What it is" in table and "Margin" not in table and "No bound was stated" not in page
