"""The run folder: its names, whole files or none, a manifest of digests, and `latest`."""

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from auditor.errors import AuditorError, StoreError, VerificationError
from auditor.report.press import Press
from auditor.results import Report
from auditor.spec.model import Format

SPEC, RESOLVED, PLAN, RESULTS = "spec.yaml", "spec.resolved.json", "plan.json", "results.json"
SAMPLES, JUNIT, HTML, PDF, LOG, MANIFEST = (
    "samples.safetensors", "junit.xml", "report.html", "report.pdf", "log.jsonl", "MANIFEST.json",
)  # fmt: skip
ATTACHED = (SPEC, RESOLVED, RESULTS, MANIFEST)
UNLISTED = frozenset({MANIFEST, HTML, PDF, LOG})


def create(runs: Path, name: str, started: str, spec_sha256: str) -> Path:
    """A new run folder RUNS/NAME/<UTC time>-<first 8 of the spec hash>; a number follows where it is taken."""
    stamp = "".join(c for c in started[:19] if c not in "-:") + "Z"
    for turn in range(1000):
        folder = runs / name / f"{stamp}-{spec_sha256[:8]}{f'-{turn}' if turn else ''}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise StoreError(f"no free name for a run folder below {runs / name}")


def write_file(path: Path, content: bytes) -> None:
    """Write a whole file or none: temporary name, fsync, rename."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def write_results(folder: Path, report: Report) -> None:
    """Write results.json and spec.resolved.json of a report into its folder."""
    write_file(folder / RESULTS, _json(report.to_json()))
    write_file(folder / RESOLVED, _json(report.spec.to_json()))


def read_report(folder: Path) -> Report:
    """The report that results.json in the folder holds. Raises StoreError where it is missing or not one."""
    path = folder / RESULTS
    try:
        return Report.from_json(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise StoreError(f"{path}: no such file; expected the results of a run", "give the folder of a run") from None
    except (ValueError, AttributeError, TypeError) as error:
        raise StoreError(f"{path}: not the results of an audit of this version: {str(error)[:400]}") from None


def write(
    folder: Path, formats: Iterable[Format], figures: Path | None = None, press: Press | None = None
) -> tuple[Path, ...]:
    """Render what results.json in the folder holds; the files written, in order.

    figures: a folder that keeps drawn figures, so that none is drawn twice. press: one that is warm already.
    MANIFEST.json is always renewed before the pages that carry it.
    """
    report, wanted = read_report(folder), set(formats)
    written: list[Path] = []
    if "junit" in wanted:
        from auditor.report import junit

        written.append(_put(folder / JUNIT, junit.render(report).encode()))
    written.append(_put(folder / MANIFEST, _json(manifest(folder))))
    with _printing(folder, figures, press) if "pdf" in wanted else nullcontext():
        if "html" in wanted:
            written.append(_html(folder, report, figures))
    return (*written, folder / PDF) if "pdf" in wanted else tuple(written)


@contextmanager
def _printing(folder: Path, figures: Path | None, press: Press | None) -> Iterator[None]:
    """Have the PDF printed meanwhile."""
    with press or Press() as printing:
        printing.order(folder, figures)
        yield
        printing.wait()


def _html(folder: Path, report: Report, figures: Path | None) -> Path:
    from auditor.report import html
    from auditor.report.drawn import Drawn

    return _put(folder / HTML, html.render(report, drawn=Drawn(figures)).encode())


def manifest(folder: Path) -> dict[str, object]:
    """The sha256 and size of every file but the manifest, the pages that carry it and the log."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    listed = {
        path.name: {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": path.stat().st_size}
        for path in files
        if path.name not in UNLISTED
    }
    return {"schema": "auditor.manifest/1", "files": listed}


def verify(folder: Path) -> None:
    """Raise VerificationError unless every file of MANIFEST.json is there, unchanged."""
    path = folder / MANIFEST
    if not path.is_file():
        raise VerificationError(f"{path}: no such file")
    expected = json.loads(path.read_text(encoding="utf-8"))["files"]
    for name, entry in expected.items():
        file = folder / name
        if Path(name).name != name or not file.is_file():
            raise VerificationError(f"{file}: named by {MANIFEST}, but missing")
        found = hashlib.sha256(file.read_bytes()).hexdigest()
        if found != entry["sha256"]:
            raise VerificationError(f"{file}: sha256 {found}, but {MANIFEST} says {entry['sha256']}")


def point_latest(folder: Path) -> None:
    """Let `latest` beside the folder name it; the link is replaced in one step."""
    link = folder.parent / "latest"
    temporary = folder.parent / f".latest.{os.getpid()}"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(folder.name)
    temporary.replace(link)


def print_folder(name: str, figures: str = "") -> int:
    """Print report.pdf of a run folder; the exit status of the press."""
    from auditor.report import cards, html, pdf
    from auditor.report.drawn import Drawn

    folder, drawn = Path(name), Drawn(Path(figures) if figures else None)
    try:
        report = read_report(folder)
        attachments = {name: (folder / name).read_bytes() for name in ATTACHED if (folder / name).is_file()}
        moment = cards.instant(report.run.started)
        page = pdf.write(html.render(report, "print", drawn), attachments, moment, report.finding_digest)
    except AuditorError as error:
        print(error.message, file=sys.stderr)
        return 1
    write_file(folder / PDF, page)
    return 0


def _put(path: Path, content: bytes) -> Path:
    write_file(path, content)
    return path


def _json(data: object) -> bytes:
    return (json.dumps(data, ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode()
