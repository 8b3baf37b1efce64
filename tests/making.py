"""Making: the artifact of a need, and of all that it is built from, in one process and without a store."""

from pathlib import Path
from typing import Any

from auditor.check import Check
from auditor.evidence import Evidence
from auditor.execute.sweep import sweep
from auditor.needs import Live, Need, Probe
from auditor.sources import data, labels, models
from auditor.spec.model import DataEntry, ModelEntry
from auditor.subject import Runtime, Subject

ASSETS = Path(__file__).parents[1] / "specs"


def digits(rows: int = 64) -> Subject:
    """The shipped network on handwritten digits, and the first rows of its test data."""
    ref = models.describe(
        ModelEntry(name="net", source="transformers", options={"path": "assets/digits-shipped"}), ASSETS
    )
    entry = DataEntry(name="eval", source="sklearn", options={"name": "digits", "split": "test", "sample": {"n": rows}})
    found = labels.match(ref, data.describe(entry, ASSETS))
    return Subject(model=ref, data=found, runtime=Runtime(batch_size=16))


def make(need: Need[Any], root: Path = ASSETS, made: dict[str, Any] | None = None) -> Any:
    """The artifact of a need, each made once a call; a failure is an assertion that names it."""
    made = {} if made is None else made
    if need.key not in made:
        made[need.key] = _make(need, root, made)
    return made[need.key]


def _make(need: Need[Any], root: Path, made: dict[str, Any]) -> Any:
    upstream = {name: make(each, root, made) for name, each in need.needs().items()}
    if isinstance(need, Live):
        return need.load(root, **upstream)
    if isinstance(need, Probe):
        found = sweep([need], upstream["model"], upstream["batches"])[need.key]
        assert isinstance(found, need.artifact), found
        return found
    return need.build(**upstream)  # type: ignore[attr-defined]  # what is neither live nor a probe is derived


def evidence(check: Check, subject: Subject, root: Path = ASSETS, **more: Any) -> Evidence:
    """What a check finds on a subject."""
    made: dict[str, Any] = {}
    return check.measure(**{name: make(need, root, made) for name, need in check.needs(subject).items()}, **more)
