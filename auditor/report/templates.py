"""Where the page templates and fonts lie: in the installed package, else at the repository root."""

from pathlib import Path

from auditor.errors import StoreError

FONT_SCHEME = "own-font:"  # what the printed page calls the fonts shipped here
FONTS = (
    "IBMPlexSans-Light",
    "IBMPlexSans-Regular",
    "IBMPlexSans-Italic",
    "IBMPlexSans-SemiBold",
    "IBMPlexMono-Regular",
)
_PACKAGE = Path(__file__).resolve().parent.parent


def folder() -> Path:
    """The folder of report templates. Raises StoreError where the installation lacks it."""
    for place in (_PACKAGE / "report_templates", _PACKAGE.parent / "report_templates"):
        if (place / "report.html.j2").is_file():
            return place
    raise StoreError(
        f"the report templates are missing: expected {_PACKAGE / 'report_templates'}", "install auditor again"
    )


def read(name: str) -> str:
    """The text of one template file."""
    return (folder() / name).read_text(encoding="utf-8")


def font(name: str) -> bytes:
    """The bytes of one font for browsers (WOFF2), e.g. "IBMPlexSans-Regular"."""
    return (folder() / "fonts" / f"{name}.woff2").read_bytes()


def font_file(name: str) -> Path:
    """The file of one font for print and figures (TrueType: unpacking WOFF2 would cost seconds)."""
    return folder() / "fonts" / f"{name}.ttf"
