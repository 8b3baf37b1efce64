"""junit.xml: one test suite a check and one test case an expectation, so that any CI can show an audit."""

from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from auditor.report import expectations, formatting
from auditor.report.plain import plain
from auditor.results import Report, Result


def render(report: Report) -> str:
    """The report as JUnit XML. A fail that counts is a failure, a broken or undecided one an error, a skip skipped.

    A check without expectations is one case, so that a broken or skipped check is seen too.
    """
    root = Element("testsuites", name=plain(report.audit.name))
    totals = [_suite(root, check) for check in report.checks]
    for at, name in enumerate(("tests", "failures", "errors", "skipped")):
        root.set(name, str(sum(total[at] for total in totals)))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _suite(root: Element, check: Result) -> tuple[int, int, int, int]:
    suite = SubElement(root, "testsuite", name=plain(check.id))
    if check.verdicts and check.outcome not in ("error", "skipped", "not_run"):
        for row in expectations.of_check(check):
            _case(suite, check, row)
    else:
        case = SubElement(suite, "testcase", classname=plain(check.use), name=plain(check.id))
        _bare(case, check)
    counts = (
        len(suite), len(suite.findall("*/failure")), len(suite.findall("*/error")), len(suite.findall("*/skipped")),
    )  # fmt: skip
    for name, count in zip(("tests", "failures", "errors", "skipped"), counts, strict=True):
        suite.set(name, str(count))
    return counts


def _case(suite: Element, check: Result, row: expectations.Expectation) -> None:
    verdict = row.worst
    name = " ".join(part for part in (verdict.metric, verdict.of, formatting.bound(verdict.expect)) if part)
    case = SubElement(suite, "testcase", classname=plain(check.use), name=plain(name))
    value, interval = formatting.interval(verdict.value, verdict.low, verdict.high)
    text = f"{verdict.metric} {value} {interval}".strip() + f"; expected {formatting.bound(verdict.expect)}"
    said = "; ".join(part for part in (text, verdict.reason, verdict.would_decide) if part)
    if verdict.waived:
        SubElement(case, "skipped", message=plain(f"waived: {said}"))
    elif row.outcome == "fail":
        SubElement(case, "failure", message=plain(said), type="fail")
    elif row.outcome == "inconclusive" and verdict.severity == "error":
        SubElement(case, "error", message=plain(said), type="inconclusive")
    else:
        SubElement(case, "system-out").text = plain(f"{row.outcome}: {said}")


def _bare(case: Element, check: Result) -> None:
    if check.outcome == "error":
        failure = check.failure
        message = f"{failure.message} {failure.hint}".strip() if failure else check.reason
        SubElement(case, "error", message=plain(message), type=failure.kind if failure else "error")
    elif check.outcome in ("skipped", "not_run"):
        SubElement(case, "skipped", message=plain(check.reason))
    else:
        SubElement(case, "system-out").text = plain(f"{check.outcome}: nothing was expected")
