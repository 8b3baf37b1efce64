"""Starting: a first spec for the files in hand."""

from pathlib import Path

from auditor.draft.writing import draft, write
from auditor.errors import UsageError


def write_spec(model: Path | None, data: Path | None, out: Path) -> str:
    """Write the commented spec of `auditor init`, and return what to tell the user."""
    if model is None or data is None:
        raise UsageError(
            f"expected a model and data to look at, found {'no model' if model is None else 'no data'}",
            hint="for instance: auditor init models/reviews data/test.csv",
        )
    if out.exists():
        raise UsageError(f"{out} exists already, and is left as it is", hint="name another with --out FILE")
    write(draft(model, data, out), out)
    return f"wrote {out}\n    read its comments, then: auditor validate {out}"
