"""The page: one self-contained HTML document, from the same templates for screen and for print."""

import base64
import hashlib
import io
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from ruamel.yaml import YAML

from auditor.report import cards, expectations, figurestyle, formatting, messages, sections, summary, templates
from auditor.report.drawn import Drawn
from auditor.report.plain import foreign_letters, plain
from auditor.results import Report

Medium = Literal["screen", "print"]
MAX_SPEC_LINES = 400
COLUMN_LINES, COLUMN_LETTERS = 67, 52
UNSAID = frozenset({"inherited", "loosened"})  # false nearly always; the sections name the exceptions
_FACES = (
    ("IBM Plex Sans", 300, "normal", "IBMPlexSans-Light"), ("IBM Plex Sans", 400, "normal", "IBMPlexSans-Regular"),
    ("IBM Plex Sans", 400, "italic", "IBMPlexSans-Italic"), ("IBM Plex Sans", 600, "normal", "IBMPlexSans-SemiBold"),
    ("IBM Plex Mono", 400, "normal", "IBMPlexMono-Regular"),
)  # fmt: skip


@dataclass(frozen=True)
class Page:
    """All that the templates read."""

    report: Report
    medium: Medium
    digest: str
    summary: summary.Summary
    sections: tuple[sections.Section, ...]
    models: tuple[cards.Card, ...]
    data: tuple[cards.Card, ...]
    provenance: tuple[cards.Groups, cards.Groups]
    spec: tuple[tuple[str, ...], ...]
    spec_cut: int
    foreign: str


def render(report: Report, medium: Medium = "screen", drawn: Drawn | None = None) -> str:
    """The whole document as text; a pure function of the report. `drawn`: where figures are kept between runs."""
    spec, cut = resolved_spec(report)
    page = Page(
        report=report, medium=medium, digest=report.finding_digest, summary=summary.summarize(report),
        sections=sections.sections(report, drawn),
        models=tuple(cards.model_card(model) for model in report.models.values()),
        data=tuple(cards.data_card(data) for data in report.data.values()),
        provenance=cards.provenance(report), spec=_columns(spec), spec_cut=cut,
        foreign=foreign_letters(report.model_dump_json(), figurestyle.own_points()),
    )  # fmt: skip
    style = _style(medium)
    script = templates.read("screen.js") if medium == "screen" else ""
    return _environment().get_template("report.html.j2").render(
        page=page, report=report, audit=report.audit, messages=messages, fmt=formatting, cards=cards,
        expectations=expectations, tally=expectations.tally(expectations.of_report(report)),
        style=Markup(style), script=Markup(script), csp=content_security_policy(style, script),
    )  # fmt: skip


def content_security_policy(style: str, script: str) -> str:
    """Nothing may be loaded or run but data: pictures and fonts, and the page's own style and script, by hash."""
    own = f"style-src '{_hash(style)}'" + (f"; script-src '{_hash(script)}'" if script else "")
    return f"default-src 'none'; img-src data:; font-src data:; {own}; base-uri 'none'; form-action 'none'"


def resolved_spec(report: Report) -> tuple[str, int]:
    """The resolved spec as YAML without what is empty, and how many lines were cut."""
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.allow_unicode = True
    writer.width = 96
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # ruamel types it by its default, None
    text = io.StringIO()
    writer.dump(_without_empty(report.spec.to_json()), text)
    lines = text.getvalue().splitlines()
    return "\n".join(lines[:MAX_SPEC_LINES]), max(0, len(lines) - MAX_SPEC_LINES)


def _columns(text: str) -> tuple[tuple[str, ...], ...]:
    """The lines in columns, two of them a row, filled by what long lines take when they wrap."""
    columns: list[list[str]] = [[]]
    taken = 0
    for line in text.splitlines():
        height = 1 + len(line) // COLUMN_LETTERS
        if taken + height > COLUMN_LINES:
            columns.append([])
            taken = 0
        columns[-1].append(line)
        taken += height
    if len(columns) % 2 and len(columns[-1]) > 1:
        last = columns.pop()
        columns += [last[: -(-len(last) // 2)], last[-(-len(last) // 2) :]]
    texts = ["\n".join(column) for column in columns]
    return tuple(tuple(texts[at : at + 2]) for at in range(0, len(texts), 2))


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: _without_empty(item) for key, item in value.items()}
        empty: tuple[Any, ...] = (None, "", [], {}, ())
        return {key: item for key, item in kept.items() if item not in empty and not (key in UNSAID and not item)}
    return [_without_empty(item) for item in value] if isinstance(value, list) else value


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@lru_cache(maxsize=2)
def _style(medium: Medium) -> str:
    faces = "".join(
        f"@font-face{{font-family:'{family}';font-weight:{weight};font-style:{slope};font-display:swap;"
        f"src:url({_font(file, medium)})}}\n"
        for family, weight, slope, file in _FACES
    )
    return faces + templates.read("report.css") + templates.read(f"{medium}.css")


def _font(name: str, medium: Medium) -> str:
    if medium == "print":
        return f"{templates.FONT_SCHEME}{name}"
    return f"data:font/woff2;base64,{base64.b64encode(templates.font(name)).decode()}"


@lru_cache(maxsize=1)
def _environment() -> Environment:
    """Everything is escaped, whatever the name of the template; text is made printable before it is."""
    environment = Environment(
        loader=FileSystemLoader(templates.folder()), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, finalize=_printable,
    )  # fmt: skip
    environment.filters["bound"] = formatting.bound
    environment.filters["marked"] = marked
    return environment


def marked(text: str) -> Markup:
    """Text in which `names` between backticks are set as code; everything else stays text.

    >>> marked("needs `target` < 1")
    Markup('needs <code class="mono">target</code> &lt; 1')
    """
    return Markup(re.sub(r"`([^`\n]{1,80})`", r'<code class="mono">\1</code>', str(escape(plain(text)))))


def _printable(value: Any) -> Any:
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value
