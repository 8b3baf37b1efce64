"""results.json: the one value of which every page is made."""

from typing import Any, Literal

from auditor.blocks import AnyBlock
from auditor.check import About, Pillar
from auditor.evidence import Failure
from auditor.judge.verdict import AuditOutcome, NotTested, Outcome, Shown, Verdict
from auditor.spec.model import Context, Spec, Waiver
from auditor.subject import DataRef, ModelRef
from auditor.values import Value, sha256


class Audit(Value):
    """The head of the report."""

    name: str
    title: str
    outcome: AuditOutcome
    reason: str = ""
    partial: bool = False
    interrupted: bool = False
    spec_sha256: str
    auditor_version: str


class Result(Value):
    """One check: what was asked, found and judged. `with` of the contract is `params` in Python."""

    id: str
    use: str
    version: int = 1
    pillar: Pillar
    about: About
    model: str
    data: str = ""
    against: tuple[str, ...] = ()
    outcome: Outcome
    reason: str = ""
    question: str = ""
    params: dict[str, Any] = {}
    measurements: tuple[Shown, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    failure: Failure | None = None
    blocks: tuple[AnyBlock, ...] = ()
    notes: tuple[str, ...] = ()
    evidence: str = ""
    set_by: str = ""
    metric_docs: dict[str, str] = {}
    what_to_try: dict[str, str] = {}


class Provenance(Value):
    """What must be equal for the numbers to repeat."""

    environment: dict[str, str] = {}
    git: dict[str, str] = {}
    seeds: dict[str, int] = {}
    threads: int = 0
    device: str = ""
    precision: str = ""
    batch_size: int = 0
    determinism: str = ""


class Run(Value):
    """All that is volatile: not part of the finding digest."""

    started: str = ""
    finished: str = ""
    seconds: dict[str, float] = {}
    cached: dict[str, bool] = {}
    hardware: dict[str, str] = {}


class Report(Value):
    """The whole of results.json."""

    schema_: Literal["auditor.results/1"] = "auditor.results/1"
    audit: Audit
    spec: Spec
    context: Context = Context()
    models: dict[str, ModelRef]
    data: dict[str, DataRef] = {}
    checks: tuple[Result, ...]
    waivers: tuple[Waiver, ...] = ()
    not_tested: tuple[NotTested, ...] = ()
    provenance: Provenance = Provenance()
    run: Run = Run()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data in the contract's names (`schema`, `with`); `classes` of data are used rows by class."""
        data = self.model_dump(mode="json")
        data["schema"] = data.pop("schema_")
        for check in data["checks"]:
            check["with"] = check.pop("params")
        for used in data["data"].values():
            used["class_names"] = used.pop("classes")
            used["classes"] = used.pop("counts")
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Report":
        """The inverse of to_json; pydantic's ValidationError on anything else."""
        renamed = {("schema_" if key == "schema" else key): value for key, value in data.items()}
        renamed["checks"] = [
            {("params" if key == "with" else key): value for key, value in check.items()}
            for check in data.get("checks", [])
        ]
        contract = {"classes": "counts", "class_names": "classes"}
        renamed["data"] = {
            name: {contract.get(key, key): value for key, value in used.items()}
            for name, used in data.get("data", {}).items()
        }
        return cls.model_validate(renamed)

    @property
    def finding_digest(self) -> str:
        """sha256 of everything but `run`."""
        return sha256({key: value for key, value in self.to_json().items() if key != "run"})
