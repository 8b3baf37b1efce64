"""Writing: the run folder of a finished (or interrupted) audit."""

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from auditor.audit.journal import Journal
from auditor.audit.prepare import Prepared
from auditor.errors import StoreError, UsageError
from auditor.evidence import Evidence, Finding
from auditor.plan.build import Plan
from auditor.report import folder as run_folder
from auditor.report import pango
from auditor.report.press import Press
from auditor.results import Report
from auditor.spec.model import Format


def write(
    prepared: Prepared,
    report: Report,
    findings: Mapping[str, Finding],
    journal: Journal,
    out: Path,
    press: Press | None = None,
) -> Path:
    """Write everything of a run into a new folder below `out`; the folder. press: a warm one, to print with.

    Raises StoreError when the disk refuses. A folder that did not come to hold its results is taken away again.
    """
    with _disk(out):
        place = run_folder.create(out, report.audit.name, report.run.started, report.audit.spec_sha256)
        try:
            _write_results(place, prepared, report, findings, journal)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
        _pages(place, report.spec.report.formats, prepared.store.root / "figures", press)
    return place


def require_writable(out: Path) -> None:
    """Raise StoreError, before anything is computed, when no run folder can be made below `out`."""
    with _disk(out):
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass


def require_printable(formats: Iterable[Format]) -> None:
    """Raise UsageError, before anything is computed, when a PDF is wanted and this machine cannot print one."""
    if "pdf" in formats and not pango.is_there():
        raise UsageError(
            "the report's PDF needs Pango, and this machine has none",
            f"{pango.mend()}; or leave pdf out: report: {{formats: [html, json, junit]}}",
        )


def point_latest(place: Path) -> None:
    """Let `latest` name the run. Raises StoreError when something else stands in its place."""
    with _disk(place.parent):
        run_folder.point_latest(place)


@contextmanager
def _disk(out: Path) -> Iterator[None]:
    """A refusal of the disk as a StoreError."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{error.filename2 or error.filename or out}: cannot be written: {error.strerror or error}",
            "free some space, or name another folder with --out; what was computed is stored, and is not lost",
        ) from error


def _pages(place: Path, formats: Iterable[Format], figures: Path | None = None, press: Press | None = None) -> None:
    try:
        run_folder.write(place, formats, figures, press)
    except StoreError as error:
        hint = f"the verdicts are in {place / run_folder.RESULTS}; once it is mended: auditor render {place}"
        raise StoreError(error.message, "\n    ".join(filter(None, (error.hint, hint)))) from error


def _write_results(
    place: Path, prepared: Prepared, report: Report, findings: Mapping[str, Finding], journal: Journal
) -> None:
    run_folder.write_file(place / run_folder.SPEC, prepared.loaded.text.encode())
    run_folder.write_file(place / run_folder.PLAN, _plan_json(prepared.plan))
    run_folder.write_file(place / run_folder.LOG, journal.text().encode())
    samples = {name: found for name, found in findings.items() if isinstance(found, Evidence) and found.samples}
    if samples:
        run_folder.write_file(place / run_folder.SAMPLES, _samples(samples))
    run_folder.write_results(place, report)


def _plan_json(plan: Plan) -> bytes:
    jobs = [job.to_json() for job in plan.jobs]
    plain = {"jobs": jobs, "measures": dict(plan.measures), "reused": list(plan.reused)}
    return (json.dumps(plain, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode()


def _samples(found: Mapping[str, Evidence]) -> bytes:
    """Per-example values by "check/column", with the examples' digests in the header."""
    import numpy as np
    from safetensors.numpy import save

    columns = {
        f"{check}/{name}": np.asarray(values, dtype=np.float64)
        for check, evidence in found.items()
        for name, values in evidence.samples.items()
    }
    return save(columns, metadata={check: json.dumps(evidence.examples) for check, evidence in found.items()})
