"""The five stages in a row: spec, plan, execute, judge, report."""

from auditor.audit.journal import Planned
from auditor.audit.prepare import Options, plan, validate
from auditor.audit.run import Outcome, run

__all__ = ["Options", "Outcome", "Planned", "plan", "run", "validate"]
