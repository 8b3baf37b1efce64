"""The command line: parse, call, print."""

from auditor.cli.main import main

__all__ = ["main"]
