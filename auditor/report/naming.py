"""Names and anchors of the checks on the page: short where they are unique, told apart where not."""

import re
from collections import Counter

from auditor.results import Report, Result


def titles(report: Report) -> dict[str, str]:
    """Check id -> its title; checks that share a title carry their id."""
    seen = Counter(check.about.title for check in report.checks)
    return {
        check.id: check.about.title if seen[check.about.title] == 1 else f"{check.about.title} ({check.id})"
        for check in report.checks
    }


def anchor(check: Result) -> str:
    """A fragment name made of harmless letters.

    Two ids never share one, since the letters that are replaced leave their code point.
    """
    return "check-" + re.sub(r"[^a-z0-9-]", lambda found: f"_{ord(found.group()):x}", check.id)
