"""The entry point: runs a command, and turns every known error into one clear message and an exit code."""

import gc
import os
import sys
from collections.abc import Sequence

import click

from auditor.cli.commands import auditor
from auditor.errors import AuditorError

INTERRUPTED = 130
gc.set_threshold(50_000)  # imports make no garbage, and looking for it took a tenth of the start
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # nothing installed beside may change what is valid


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `auditor ARGUMENTS` (default: those of the process) and leave with its exit code.

    0 pass, 1 fail, 2 usage or spec error, 3 inconclusive, 4 refused, 5 verification failed, 130 interrupted.
    """
    sys.exit(code(arguments))


def code(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; errors that a person can mend are printed without a traceback."""
    try:
        result = auditor.main(args=arguments, prog_name="auditor", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except AuditorError as error:
        click.echo(_message(error), err=True)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    return result if isinstance(result, int) else 0


def _message(error: AuditorError) -> str:
    text = str(error)
    return text if text.startswith("error") else f"error: {text}"
