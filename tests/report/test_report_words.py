"""Numbers, names, expectations and templates of the report."""

import doctest
from pathlib import Path

import pytest

from auditor.errors import StoreError
from auditor.report import (
    cards,
    expectations,
    figures,
    figurestyle,
    formatting,
    html,
    inputs,
    margins,
    measured,
    messages,
    naming,
    plain,
    prose,
    ruler,
    sections,
    summary,
    templates,
)  # fmt: skip
from tests import cases


@pytest.mark.parametrize(
    "module",
    [
        cards,
        expectations,
        figures,
        figurestyle,
        formatting,
        html,
        inputs,
        margins,
        messages,
        naming,
        plain,
        sections,
        summary,
    ],
    ids=lambda m: m.__name__,
)
def test_examples_in_the_docstrings_hold(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]


def test_value_and_interval_share_their_decimals() -> None:
    assert formatting.interval(0.0, 0.0, 0.0148) == ("0.000", "[0.000, 0.015]")
    assert formatting.interval(-0.041, -0.083, 0.001) == ("−0.041", "[−0.083, 0.001]")
    assert formatting.interval(3e-7, 1e-7, 5e-7) == ("3e−7", "[1e−7, 5e−7]")
    assert formatting.interval(5.0, 5.0, 5.0) == ("5", "[5, 5]")


def test_a_waived_fail_is_behind_the_ones_that_count() -> None:
    found = summary.summarize(cases.report()).findings
    assert [finding.outcome for finding in found] == ["fail", "fail", "error"]
    assert found[0].lead.startswith("Faithfulness") and found[1].lead.startswith("Sharpness")


def test_a_fail_of_severity_warn_is_shown_as_a_warning() -> None:
    (row,) = expectations.of_check(cases.checks()[5])
    assert row.outcome == "warn" and not row.counts


def test_many_expectations_are_cut_with_the_worst_kept() -> None:
    many = tuple(cases.checks()[2].model_copy(update={"id": f"c{i}"}) for i in range(12))
    short = summary.summarize(cases.report(found=many))
    assert len(short.rows) == summary.MAX_EXPECTATIONS and short.left_out == 10
    assert [row.outcome for row in short.rows[:12]] == ["fail"] * 12


def test_checks_of_one_title_are_told_apart() -> None:
    twice = (cases.checks()[2], cases.checks()[2].model_copy(update={"id": "other"}))
    assert naming.titles(cases.report(found=twice)) == {
        "faithfulness": "Faithfulness",
        "other": "Faithfulness (other)",
    }
    shipped = cases.checks()[2].model_copy(update={"id": "faithfulness-other"})
    assert (
        naming.titles(cases.report(found=(*twice, shipped)))["faithfulness-other"]
        == "Faithfulness (faithfulness-other)"
    )
    assert naming.anchor(twice[0].model_copy(update={"id": 'a"b c'})) == "check-a_22b_20c"


def test_the_ruler_holds_everything_it_shows() -> None:
    for value, bound, low, high in (
        (0.5, 0.5, 0.5, 0.5),
        (0.0, 0.0, None, None),
        (771.0, 250.0, 770.8, 771.2),
        (-3, 4, -5, 1),
    ):
        found = ruler.ruler(value, bound, low, high, up=True)
        ends = [found.value_at, found.bound_at, *(end for end in (found.low_at, found.high_at) if end is not None)]
        assert all(0 <= end <= 100 for end in ends)


def test_templates_are_found_in_a_checkout_and_in_a_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (templates.folder() / "report.html.j2").is_file()
    monkeypatch.setattr(templates, "_PACKAGE", tmp_path / "site" / "auditor")
    with pytest.raises(StoreError, match="templates are missing"):
        templates.folder()
    for place in (tmp_path / "site", tmp_path / "site" / "auditor"):
        (place / "report_templates").mkdir(parents=True)
        (place / "report_templates" / "report.html.j2").write_text("x")
        assert templates.folder() == place / "report_templates"


def test_the_strip_shows_the_expectation_of_its_sentence() -> None:
    for section in sections.sections(cases.report()):
        shown = expectations.shown(expectations.of_check(section.check))
        if shown is not None and shown.worst.reason:
            assert section.reason == shown.worst.reason


def test_an_exact_fact_at_its_bound_has_no_ruler() -> None:
    check = cases.checks()[2]
    verdict = check.verdicts[0].model_copy(update={"value": 0.0, "bound": 0.0, "low": None, "high": None})
    (section,) = sections.sections(cases.report(found=(check.model_copy(update={"verdicts": (verdict,)}),)))
    assert section.strip.ruler is None


def test_of_many_layers_the_table_keeps_the_ends() -> None:
    check = cases.checks()[2]
    many = tuple(
        check.measurements[0].model_copy(update={"name": "recall", "of": str(i), "value": i / 10}) for i in range(8)
    )
    rows, left = measured.table(check.model_copy(update={"measurements": many, "verdicts": ()}))
    assert [row.of for row in rows] == ["0", "1", "7"] and rows[0].more == 5 and left == 0
    assert [(row.again, row.span) for row in rows] == [(False, 3), (True, 0), (True, 0)]


def test_passages_take_the_least_height() -> None:
    check = cases.checks()[2]
    about = check.about.model_copy(update={"reading": "r" * 300, "limits": "l" * 300, "method": "m" * 700})
    found = prose.prose(check.model_copy(update={"about": about}), (), alone=True)
    assert found.beside[0].title == "Method"
    assert {part.title for part in (*found.left, *found.right)} >= {"How to read this", "Limits"}


def test_every_outcome_has_its_words() -> None:
    for catalogue in (messages.MARKS, messages.WORDS, messages.CHECK_SENTENCES, messages.FINDING_LEADS):
        assert set(catalogue) == {"pass", "warn", "fail", "inconclusive", "info", "error", "skipped", "not_run"}


def test_the_glossary_is_in_order_and_explains_the_signs_of_the_tables() -> None:
    words = [word for word, _ in messages.GLOSSARY]
    assert words == sorted(words, key=str.casefold) and len(set(words)) == len(words)
    assert {"n", "p", "Margin", "Nats", "Exact", "SPEC", "Warn"} <= set(words)


def test_a_size_that_no_file_tells_is_not_zero_and_a_replaced_head_is_said() -> None:
    models = cases.report().models
    bare = models["pretrained"].model_copy(update={"parameters": 0, "architecture": "small:build"})
    assert cards.headline(bare) == "small:build"
    assert dict(cards.model_card(bare).facts)["Parameters"] == "not counted: no file holds them"
    tuned = f"resnet18, 11.2{formatting.THIN}M parameters before its head was replaced"
    assert cards.headline(models["finetuned"]) == tuned
