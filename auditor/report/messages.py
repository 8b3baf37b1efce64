"""The catalogue of sentences: every one is chosen by an outcome, none is decided in a template."""

from auditor.check import Pillar
from auditor.judge.verdict import AuditOutcome, Outcome
from auditor.subject import Trust

MARKS: dict[Outcome, str] = {
    "pass": "✓", "warn": "!", "fail": "×", "inconclusive": "?",
    "info": "i", "error": "!", "skipped": "–", "not_run": "–",
}  # fmt: skip
WORDS: dict[Outcome, str] = {
    "pass": "pass", "warn": "warning", "fail": "fail", "inconclusive": "inconclusive",
    "info": "info", "error": "error", "skipped": "skipped", "not_run": "not run",
}  # fmt: skip
HEADLINES: dict[AuditOutcome, str] = {"pass": "Pass", "fail": "Fail", "inconclusive": "Inconclusive"}
MEANINGS: dict[AuditOutcome, str] = {
    "pass": "Every expectation that counts was met, with the stated confidence.",
    "fail": "At least one expectation that counts was not met.",
    "inconclusive": "No expectation that counts failed, but not all could be decided.",
}
PILLAR_WORDS: dict[Pillar, str] = {
    "task": "Task",
    "interpretability": "Interpretability",
    "traceability": "Traceability",
    "optimizability": "Optimizability",
}
TRUST: dict[Trust, str] = {
    "data": "data: read as plain numbers into a known architecture; nothing of it is executed",
    "restricted": "restricted: a pickle read with weights only; nothing of it is executed",
    "code": "code: its own code was executed, by consent of the person who ran the audit",
}
# Of the cover: how many expectations ended how; the first part of the sentence is "1 of 11 expectations failed".
TALLY: dict[Outcome, str] = {
    "fail": "{n} failed", "inconclusive": "{n} {are} inconclusive", "warn": "{n} {are} with a warning",
    "pass": "{n} passed",
}  # fmt: skip
# Of one check: the sentence under its head.
CHECK_SENTENCES: dict[Outcome, str] = {
    "pass": "All expectations of this check are met.",
    "warn": "No expectation that counts is missed, but a warning stands.",
    "fail": "At least one expectation of this check is not met.",
    "inconclusive": "The evidence does not decide every expectation of this check.",
    "info": "Nothing was expected here; the check describes.",
    "error": "The check broke while it ran; it says nothing about the model.",
    "skipped": "The check does not apply here; it says nothing about the model.",
    "not_run": "The check did not run; it says nothing about the model.",
}
# Of one finding on the summary: the lead in bold, then the consequence.
FINDING_LEADS: dict[Outcome, str] = {
    "fail": "{title}: {metric} misses its bound.",
    "inconclusive": "{title}: {metric} is not decided.",
    "warn": "{title}: {metric} is worth a look.",
    "error": "{title}: the check broke.",
    "pass": "{title}: {metric} holds.",
    "info": "{title}.",
    "skipped": "{title}: skipped.",
    "not_run": "{title}: not run.",
}
FINDING_VALUES: dict[Outcome, str] = {
    "fail": "{value} does not meet the bound {bound}, set by {set_by}.",
    "inconclusive": "{value} against the bound {bound}, set by {set_by}.",
    "warn": "{value} against the bound {bound}, set by {set_by}.",
}
FAILURES: dict[str, str] = {
    "exception": "An exception was raised.",
    "timeout": "It ran past its time limit.",
    "oom": "It ran out of memory.",
    "crashed": "The worker process ended abruptly.",
    "refused": "It was refused for security.",
    "not_applicable": "It does not apply to the built model.",
    "interrupted": "The run was interrupted.",
}
INTERVAL_METHODS: dict[str, str] = {
    "wilson": "Wilson", "t": "Student t", "newcombe": "Newcombe", "bootstrap": "bootstrap",
    "moving_blocks": "moving blocks", "chi2": "chi-squared", "enclosure": "enclosure", "none": "",
}  # fmt: skip
UNITS: dict[str, tuple[str, str]] = {
    "example": ("example", "examples"), "document": ("document", "documents"), "group": ("group", "groups"),
    "record": ("record", "records"), "probe": ("probe", "probes"), "seed": ("seed", "seeds"), "none": ("", ""),
}  # fmt: skip
KINDS: dict[str, str] = {"exact": "exact", "unreplicated": "one replicate", "sampled": ""}
GLOSSARY: tuple[tuple[str, str], ...] = (
    ("Bound", "The number that a metric is held against. It stands in the spec or in a preset, never in the program."),
    ("Digest", "A sha256 fingerprint: two files or results with the same digest are the same, bit for bit."),
    ("Exact", "A fact about what was measured, without sampling: it has no interval."),
    ("Holm", "A correction for many expectations: with it, the chance that any fail is false stays at or below "
     "one minus the confidence. Passes need none: the audit passes only if all expectations do."),
    ("Inconclusive", "The interval holds the bound, or the sample is too small. Neither a pass nor a fail; "
     "where it can be said, the report says how many examples would decide."),
    ("Info", "A check that measured and described, with nothing expected of it."),
    ("Interval", "The range of true values that the sample does not contradict at the stated confidence. "
     "Intervals are shown one by one (marginal)."),
    ("Loosened", "A bound of the spec that is weaker than the preset bound that it replaces."),
    ("Margin", "The distance from the value to its bound; positive on the good side."),
    ("n", "How many independent units were drawn: examples, groups, records, probes or seeds."),
    ("Nats", "The unit of a loss in natural logarithms: guessing between two equally likely classes costs 0.69."),
    ("p", "The chance of a shortfall at least as large as the one found, if the bound were just met. "
     "After Holm, it is corrected for the number of expectations."),
    ("pp", "Percentage points: the difference of two percentages."),
    ("Preset", "A set of checks and bounds shipped with the program. Its bounds are a project convention."),
    ("Severity", "A missed bound of severity error fails the audit; one of severity warn never does."),
    ("Skipped", "A check that does not apply to this model or data."),
    ("SPEC", "The spec of the audit, in its own place, from which its paths are read. The copies beside and in this "
     "report, spec.yaml, are for reading."),
    ("Waived", "A shortfall accepted by a named person until a date. The outcome beside it stays as it is."),
    ("Warn", "A bound that is met with less room than the spec asks for, or a missed bound of severity warn."),
)  # fmt: skip


def plural(n: int, one: str, many: str = "") -> str:
    """A counted noun.

    >>> plural(1, "bound"), plural(5, "bound")
    ('1 bound', '5 bounds')
    """
    return f"{n} {one}" if n == 1 else f"{n} {many or one + 's'}"
