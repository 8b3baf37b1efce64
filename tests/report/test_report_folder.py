"""The run folder: whole files, a manifest that tells, a PDF that carries its evidence."""

import io
import json
import os
from pathlib import Path
from xml.etree import ElementTree

import pytest
from pypdf import PdfReader

from auditor.errors import StoreError, VerificationError
from auditor.report import cards, folder, html, junit, pdf
from auditor.results import Report
from tests import cases


def few() -> Report:
    """A small report: one check that fails, one that broke."""
    found = cases.checks()
    return cases.report(found=(found[2], found[10]))


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with all its pages."""
    place = tmp_path_factory.mktemp("run")
    (place / "spec.yaml").write_text("auditor: 1\nname: flowers\n")
    folder.write_results(place, few())
    folder.write(place, ("html", "pdf", "json", "junit"))
    return place


def test_the_folder_holds_the_pages(printed: Path) -> None:
    names = {path.name for path in printed.iterdir()}
    assert names == {
        "spec.yaml", "spec.resolved.json", "results.json", "junit.xml", "MANIFEST.json", "report.html", "report.pdf",
    }  # fmt: skip


def test_the_pdf_carries_its_evidence(printed: Path) -> None:
    attachments = PdfReader(printed / "report.pdf").attachments
    assert set(attachments) == {"spec.yaml", "spec.resolved.json", "results.json", "MANIFEST.json"}
    for name, contents in attachments.items():
        assert contents[0] == (printed / name).read_bytes()


def test_the_pdf_has_bookmarks_digest_and_page_numbers(printed: Path) -> None:
    reader = PdfReader(printed / "report.pdf")
    titles = [item.title for item in reader.outline if not isinstance(item, list)]
    assert {"Summary", "Contents", "Provenance", "Do the highlighted pixels carry the decision?"} <= set(titles)
    assert few().finding_digest[:8] in reader.pages[0].extract_text()
    second = reader.pages[1].extract_text()
    assert f"2 / {len(reader.pages)}" in second and few().finding_digest[:8] in second
    assert "/StructTreeRoot" in reader.trailer["/Root"]


# WeasyPrint leaves the file of its own colour profile to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_pdf_is_the_same_every_time(printed: Path) -> None:
    attachments = {name: (printed / name).read_bytes() for name in folder.ATTACHED}
    report = few()
    again = pdf.write(
        html.render(report, "print"), attachments, cards.instant(report.run.started), report.finding_digest
    )
    assert again == (printed / "report.pdf").read_bytes()


def test_no_link_of_the_pdf_leaves_it(printed: Path) -> None:
    for page in PdfReader(printed / "report.pdf").pages:
        for annotation in page.get("/Annots") or ():
            assert "/URI" not in (annotation.get_object().get("/A") or {})


def test_the_printer_fetches_nothing() -> None:
    for url in ("file:///etc/passwd", "http://localhost/", "FILE:///etc/passwd"):
        with pytest.raises(ValueError, match="loads nothing from outside"):
            pdf.OnlyData().fetch(url)


def test_manifest_tells_a_changed_file(printed: Path, tmp_path: Path) -> None:
    folder.verify(printed)
    for path in printed.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "results.json").write_text("{}")
    with pytest.raises(VerificationError, match=r"results\.json"):
        folder.verify(tmp_path)


def test_results_survive_the_way_through_the_folder(tmp_path: Path) -> None:
    folder.write_results(tmp_path, cases.report())
    assert folder.read_report(tmp_path) == cases.report()
    assert json.loads((tmp_path / "results.json").read_text())["schema"] == "auditor.results/1"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "x"}'])
def test_bad_results_are_one_clear_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(StoreError, match="no such file"):
        folder.read_report(tmp_path)
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(StoreError, match="not the results"):
        folder.read_report(tmp_path)


def test_latest_and_names(tmp_path: Path) -> None:
    first = folder.create(tmp_path, "flowers", "2026-11-22T09:15:00Z", "3f2a91d0ff")
    second = folder.create(tmp_path, "flowers", "2026-11-22T09:15:00Z", "3f2a91d0ff")
    assert first.name == "20261122T091500Z-3f2a91d0" and second != first
    folder.point_latest(first)
    folder.point_latest(second)
    assert (tmp_path / "flowers" / "latest").readlink().name == second.name


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "results.json"
    folder.write_file(target, b"old")

    def broken(handle: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="disk full"):
        folder.write_file(target, b"new")
    assert target.read_bytes() == b"old" and list(tmp_path.iterdir()) == [target]


def test_junit_is_well_formed_and_counts() -> None:
    root = ElementTree.parse(io.StringIO(junit.render(cases.report()))).getroot()
    assert [suite.get("name") for suite in root] == [check.id for check in cases.checks()]
    assert root.get("failures") == "1"  # insertion_gain; the sharpness is waived, the saliency only warns
    assert root.get("errors") == "2"  # the undecided accuracy, and the check that broke
    assert int(root.get("tests", "0")) == len(root.findall("*/testcase"))
