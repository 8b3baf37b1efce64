"""Names and anchors of the checks on the page: short where they are unique, told apart where not."""

import re
from collections import Counter

from auditor.results import Report, Result


def titles(report: Report) -> dict[str, str]:
    """Check id -> its title; of checks that share a title, each carries what tells its id apart from the others."""
    seen = Counter(check.about.title for check in report.checks)
    short = {
        check.id: _told_apart(check) if seen[check.about.title] > 1 else check.about.title for check in report.checks
    }
    twice = Counter(short.values())
    return {
        check.id: short[check.id] if twice[short[check.id]] == 1 else f"{check.about.title} ({check.id})"
        for check in report.checks
    }


def _told_apart(check: Result) -> str:
    """The title, with the id less the word that it shares with the check's kind: "Performance (shipped)"."""
    kind = check.use.rpartition(".")[2].replace("_", "-")
    rest = check.id.removeprefix(kind).lstrip("-") if check.id.startswith((f"{kind}-", kind)) else check.id
    return f"{check.about.title} ({rest})" if rest else check.about.title


def anchor(check: Result) -> str:
    """A fragment name made of harmless letters.

    Two ids never share one, since the letters that are replaced leave their code point.
    """
    return "check-" + re.sub(r"[^a-z0-9-]", lambda found: f"_{ord(found.group()):x}", check.id)
