"""The PDF: the printed page through WeasyPrint, with everything attached that a reviewer needs to check it."""

import io
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

from weasyprint import HTML, Attachment  # type: ignore[import-untyped]  # it ships no stubs
from weasyprint.urls import URLFetcher, URLFetcherResponse  # type: ignore[import-untyped]  # it ships no stubs

from auditor.report import templates

EPOCH = datetime(1980, 1, 1, tzinfo=UTC)
_UA = (
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
    b' xmlns:pdfuaid="http://www.aiim.org/pdfua/ns/id/" pdfuaid:part="1"/></rdf:RDF>'
)


class OnlyData(URLFetcher):  # type: ignore[misc]  # its base is untyped
    """Fetches data: URIs and own fonts by name, so that no text of a user can reach a file or the network."""

    def __init__(self) -> None:
        super().__init__(allowed_protocols=("data",), allow_redirects=False, fail_on_errors=True)

    def fetch(self, url: str, headers: Mapping[str, str] | None = None) -> URLFetcherResponse:
        """The content of a data: URI, or an own font. Raises ValueError on anything else."""
        name = url.removeprefix(templates.FONT_SCHEME)
        if name != url and name in templates.FONTS:
            return URLFetcherResponse(url, templates.font_file(name).read_bytes(), {"Content-Type": "font/ttf"})
        if not url.lower().startswith("data:"):
            raise ValueError(f"the report loads nothing from outside: {url[:80]!r}")
        return super().fetch(url, headers)


def write(html: str, attachments: Mapping[str, bytes], moment: datetime | None = None, identifier: str = "") -> bytes:
    """The PDF of the printed page: PDF/A-3a, tagged, and the same bytes for the same arguments.

    moment: the date that the file and its attachments carry. identifier: what the file's identity is made of.
    """
    date = moment or EPOCH
    attached = [
        Attachment(
            string=content, name=name, created=date, modified=date, relationship="Source", url_fetcher=OnlyData()
        )
        for name, content in attachments.items()
    ]
    before = os.environ.get("SOURCE_DATE_EPOCH")
    os.environ["SOURCE_DATE_EPOCH"] = str(int(date.timestamp()))
    try:
        result: bytes = HTML(string=html, url_fetcher=OnlyData()).write_pdf(
            attachments=attached, pdf_variant="pdf/a-3a", pdf_tags=True, xmp_metadata=[io.BytesIO(_UA)],
            pdf_identifier=identifier.encode() or None,
        )  # fmt: skip
    finally:
        if before is None:
            del os.environ["SOURCE_DATE_EPOCH"]
        else:
            os.environ["SOURCE_DATE_EPOCH"] = before
    return result


def main() -> int:
    """The press's side: load everything, wait for one order on standard input, and carry it out."""
    import gc
    import json

    from auditor.report import cards, drawn, folder, html  # noqa: F401  loaded while the parent still judges

    gc.disable()  # the process ends with its page: looking for garbage on the way takes a tenth of the time
    line = sys.stdin.readline()
    if not line:  # the parent had nothing to print
        return 0
    order = json.loads(line)
    return folder.print_folder(order["folder"], order["figures"])


if __name__ == "__main__":
    sys.exit(main())
