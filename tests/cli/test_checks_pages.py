"""docs/checks says what the code says."""

from pathlib import Path

from auditor.cli.explaining import pages
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
