"""Rendering: the pages of a run again, from its results.json and nothing else."""

from pathlib import Path

from auditor.errors import UsageError
from auditor.spec.model import Format


def render_run(folder: Path, formats: tuple[Format, ...] = ()) -> tuple[Path, ...]:
    """Write the pages of the run in `folder` (or of the results.json named); all formats by default."""
    from auditor.report import folder as pages

    run = folder.parent if folder.name == "results.json" else folder
    if not (run / "results.json").is_file():
        raise UsageError(
            f"{run}: expected the folder of a finished run, found no results.json there",
            hint="name a folder below runs/, e.g. runs/NAME/latest",
        )
    return pages.write(run, formats or ("html", "pdf", "junit"))
