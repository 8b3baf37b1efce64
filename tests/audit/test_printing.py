"""What happens to an audit whose pages cannot be printed."""

from pathlib import Path

import pytest

from auditor.audit.writing import _pages, require_printable
from auditor.errors import StoreError, UsageError
from auditor.report import folder, pango
from tests.cases import report


def test_a_missing_pango_is_said_before_anything_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    require_printable(["pdf"])
    monkeypatch.setattr(pango, "_NAMES", ("libnothing-of-the-kind.so.9",))
    monkeypatch.setattr(pango, "find_library", lambda name: None)
    with pytest.raises(UsageError, match=r"needs Pango[\s\S]*formats: \[html, json, junit\]"):
        require_printable(["html", "pdf"])
    require_printable(["html", "json"])


def test_a_page_that_fails_names_the_results_and_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write_results(tmp_path, report())

    def broken(place: Path, formats: object, figures: Path | None, press: object) -> None:
        raise StoreError(
            f"{place / 'report.pdf'}: printing failed: out of ink", "`auditor doctor` says what is missing"
        )

    monkeypatch.setattr(folder, "write", broken)
    with pytest.raises(StoreError) as caught:
        _pages(tmp_path, ["pdf"])
    message = str(caught.value)
    assert "out of ink" in message
    assert f"auditor render {tmp_path}" in message
    assert folder.read_report(tmp_path).audit.name == report().audit.name
