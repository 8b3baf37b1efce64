"""Assembly: findings and judgement put together as the one value that the report is made of."""

from collections.abc import Mapping

from auditor import __version__
from auditor.check import Check
from auditor.evidence import Evidence, Finding
from auditor.judge.verdict import Judged, Judgement
from auditor.results import Audit, Provenance, Report, Result, Run
from auditor.spec.model import CheckEntry, Spec
from auditor.subject import DataRef, ModelRef
from auditor.values import sha256


def assemble(
    spec: Spec,
    judgement: Judgement,
    findings: Mapping[str, Finding],
    classes: Mapping[str, type[Check]],
    models: Mapping[str, ModelRef],
    data: Mapping[str, DataRef],
    provenance: Provenance,
    run: Run,
    *,
    partial: bool,
    interrupted: bool,
) -> Report:
    """The report's value. Checks stand in the order of the spec."""
    judged = {check.id: check for check in judgement.checks}
    audit = Audit(
        name=spec.name,
        title=spec.title or spec.name,
        outcome=judgement.outcome,
        reason=judgement.reason,
        partial=partial,
        interrupted=interrupted,
        spec_sha256=sha256(spec.to_json()),
        auditor_version=__version__,
    )
    return Report(
        audit=audit,
        spec=spec,
        context=spec.context,
        models=dict(models),
        data=dict(data),
        checks=tuple(_result(entry, judged[entry.id], findings[entry.id], classes[entry.use]) for entry in spec.checks),
        waivers=spec.waivers,
        not_tested=judgement.not_tested,
        provenance=provenance,
        run=run,
    )


def _result(entry: CheckEntry, judged: Judged, finding: Finding, cls: type[Check]) -> Result:
    found = finding if isinstance(finding, Evidence) else None
    return Result(
        id=entry.id,
        use=entry.use,
        version=cls.version,
        pillar=cls.pillar,
        about=cls.about,
        model=entry.model,
        data=entry.data,
        against=entry.against,
        outcome=judged.outcome,
        reason=judged.reason,
        question=entry.question or cls.about.question,
        params=entry.params,
        measurements=judged.measurements,
        verdicts=judged.verdicts,
        failure=judged.failure,
        blocks=found.blocks if found else (),
        notes=found.notes if found else (),
        evidence=sha256(found.to_json()) if found else "",
        set_by=entry.set_by,
        metric_docs={metric.name: metric.doc for metric in cls.metrics},
        what_to_try={metric.name: metric.what_to_try for metric in cls.metrics if metric.what_to_try},
    )
