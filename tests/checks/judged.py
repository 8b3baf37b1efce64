"""How a measurement would be judged, for tests that plant a defect and a healthy twin."""

from auditor.evidence import Evidence, Measurement
from auditor.judge.bounds import claim
from auditor.judge.intervals import interval
from auditor.spec.model import Rule


def measured(found: Evidence, name: str) -> list[Measurement]:
    """All measurements of that name."""
    return [measurement for measurement in found.measurements if measurement.name == name]


def one(found: Evidence, name: str) -> Measurement:
    """The only measurement of that name."""
    (only,) = measured(found, name)
    return only


def outcome(measurement: Measurement, **bound: float) -> str:
    """Raw outcome under at_least=... or at_most=... at 95%."""
    rule = Rule.model_validate({"check": "c", "metric": measurement.name, "set_by": "spec.yaml:1", **bound})
    return claim(rule).outcome(interval(measurement, 0.95))
