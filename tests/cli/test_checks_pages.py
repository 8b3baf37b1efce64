"""docs/checks says what the code says."""

from pathlib import Path

from auditor.cli.explaining import pages
from auditor.registry import Registry


def test_the_pages_are_up_to_date(project: Path) -> None:
    """`make docs` writes them anew."""
    written = {path.name: path.read_text(encoding="utf-8") for path in (project / "docs" / "checks").glob("*.md")}
    assert written == pages(Registry(plugins={}))
