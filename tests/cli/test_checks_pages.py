"""docs/checks says what the code says."""

from pathlib import Path

from auditor.cli.explaining import page, pages
from auditor.registry import Registry


def test_the_pages_are_up_to_date(project: Path) -> None:
    """`make docs` writes them anew."""
    written = {path.name: path.read_text(encoding="utf-8") for path in (project / "docs" / "checks").glob("*.md")}
    assert written == pages(Registry(plugins={}))


def test_a_page_speaks_of_descriptive_metrics_only_where_there_are_some() -> None:
    found = Registry(plugins={})
    for name, text in pages(found).items():
        if name != "README.md":
            some = any(not metric.thresholdable for metric in found.check(name.removesuffix(".md")).metrics)
            assert ("descriptive metric" in text) == some


def test_every_page_is_complete() -> None:
    registry = Registry(plugins={})
    parts = ("Definition", "Method", "Metrics", "Parameters", "Figure", "How to read it", "What to try", "Limits",
             "Source", "In a spec")  # fmt: skip
    lacking = {name: [part for part in parts if f"\n## {part}\n\n" not in page(name, registry.check(name))]
               for name in registry.names()}  # fmt: skip
    assert {name: parts for name, parts in lacking.items() if parts} == {}


def test_every_metric_that_can_fail_says_what_to_try() -> None:
    registry = Registry(plugins={})
    assert [
        f"{name}.{metric.name}"
        for name in registry.names()
        for metric in registry.check(name).metrics
        if metric.thresholdable and not metric.what_to_try
    ] == []
