"""The command line: parse, call, print."""

from auditor.cli.entry import main

__all__ = ["main"]
