"""Starting: a first spec for the files in hand."""

from pathlib import Path
from shlex import quote

from auditor.draft.guessing import is_data
from auditor.draft.writing import draft, reaching, write
from auditor.errors import UsageError


def write_spec(model: Path | None, data: Path | None, out: Path) -> str:
    """Write the commented spec of `auditor init`, and return what to tell the user.

    A single path that can only be data is taken for it.
    """
    if model is not None and data is None and is_data(model):
        model, data = None, model
    if model is not None and data is not None and is_data(model) and not is_data(data):
        raise UsageError(f"{model} is data, not a model", hint=f"the model comes first: auditor init {data} {model}")
    if out.exists():
        raise UsageError(f"{out} exists already, and is left as it is", hint="name another with --out FILE")
    write(draft(model, data, out), out)
    missing = " and ".join(word for word, path in (("the model", model), ("the data", data)) if path is None)
    todo = f"fill in {missing}" if missing else "read its comments"
    return f"wrote {out}\n    {todo}, then: auditor validate {quote(str(out))}{reaching(out, model, data)}"
