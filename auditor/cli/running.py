"""Running: an audit with its progress on the terminal, and the summary at its end."""

import sys
from pathlib import Path

from rich.console import Console

from auditor import audit
from auditor.cli.progress import told
from auditor.cli.summary import show


def run_audit(spec: Path, options: audit.Options, *, quiet: bool = False) -> int:
    """Run the audit of `spec`, print what happens and what came out, and return the exit code."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    with told(console, quiet=quiet) as on_event:
        outcome = audit.run(spec, options, on_event)
    show(console, outcome.report, outcome.folder)
    return outcome.exit_code
