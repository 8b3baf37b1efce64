"""results.json: the names and shapes that others rely on, in every outcome, and back again."""

import json
from typing import Any

import pytest
from cases import report

from auditor.results import Report
from auditor.values import canonical

TEXT, NUMBER, FLAG = "", 0.0, False
AUDIT = {
    "name": TEXT, "title": TEXT, "outcome": TEXT, "partial": FLAG, "interrupted": FLAG, "spec_sha256": TEXT,
    "auditor_version": TEXT,
}  # fmt: skip
MODEL = {
    "source": TEXT, "digest": TEXT, "trust": TEXT, "parameters": NUMBER, "architecture": TEXT, "modality": TEXT,
    "task": TEXT, "assumptions": [TEXT],
}  # fmt: skip
DATA = {"source": TEXT, "digest": TEXT, "rows": NUMBER, "used": NUMBER, "classes": {}}
MEASUREMENT = {
    "name": TEXT, "of": TEXT, "value": NUMBER, "low": None, "high": None, "unit": TEXT, "n": NUMBER,
    "unit_of_resampling": TEXT, "kind": TEXT, "censored": FLAG, "distribution": {}, "method": TEXT,
}  # fmt: skip
VERDICT = {
    "metric": TEXT, "of": TEXT, "expect": TEXT, "outcome": TEXT, "waived": FLAG, "severity": TEXT, "reason": TEXT,
    "why": TEXT, "set_by": TEXT, "replaced": TEXT, "p": None,
}  # fmt: skip
CHECK = {
    "id": TEXT, "use": TEXT, "version": NUMBER, "pillar": TEXT, "model": TEXT, "data": TEXT, "against": [TEXT],
    "outcome": TEXT, "reason": TEXT, "question": TEXT, "with": {}, "measurements": [MEASUREMENT],
    "verdicts": [VERDICT], "failure": None, "blocks": [{}],
}  # fmt: skip
PROVENANCE = {"environment": {}, "git": {}, "seeds": {}, "threads": NUMBER, "determinism": TEXT}
RUN: dict[str, Any] = {"started": TEXT, "finished": TEXT, "seconds": {}, "cached": {}, "hardware": {}}
CONTRACT = {
    "schema": "auditor.results/1", "audit": AUDIT, "spec": {}, "context": {}, "models": {"*": MODEL},
    "data": {"*": DATA}, "checks": [CHECK], "not_tested": [{"what": TEXT, "why": TEXT, "how": TEXT}],
    "provenance": PROVENANCE, "run": RUN,
}  # fmt: skip


def breaches(expected: Any, found: Any, at: str = "") -> list[str]:
    """Where `found` is not as the contract says; more keys than it names are allowed."""
    match expected:
        case None:
            return []
        case dict() if isinstance(found, dict):
            inner = {key: expected["*"] for key in found} if "*" in expected else expected
            missing = [f"{at}/{key} is missing" for key in inner if key not in found]
            return missing + [
                one for key in inner if key in found for one in breaches(inner[key], found[key], f"{at}/{key}")
            ]
        case [kind] if isinstance(found, list):
            return [one for item in found for one in breaches(kind, item, f"{at}[]")]
        case float() if isinstance(found, int | float) and not isinstance(found, bool):
            return []
        case str() | bool() if type(found) is type(expected):
            return []
    return [f"{at}: {type(found).__name__}"]


@pytest.mark.parametrize("outcome", ["pass", "fail", "inconclusive"])
def test_the_contract_of_results_json(outcome: Any) -> None:
    made = report(outcome)
    data = json.loads(canonical(made.to_json()))
    assert breaches(CONTRACT, data) == []
    assert data["schema"] == "auditor.results/1"
    for used in data["data"].values():
        assert all(isinstance(count, int) for count in used["classes"].values())
    again = Report.from_json(data)
    assert again == made
    assert again.finding_digest == made.finding_digest


def test_what_is_no_report_is_refused() -> None:
    data = report().to_json()
    del data["data"]
    assert Report.from_json(data).data == {}
    data["surprise"] = 1
    with pytest.raises(ValueError, match="surprise"):
        Report.from_json(data)
