"""The entry point: runs a command, and turns every known error into one clear message and an exit code."""

from collections.abc import Sequence

import click

from auditor.cli.commands import auditor
from auditor.errors import AuditorError, worded

INTERRUPTED = 130


def code(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; errors that a person can mend are printed without a traceback."""
    try:
        result = auditor.main(args=arguments, prog_name="auditor", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except AuditorError as error:
        click.echo(worded(error), err=True)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted; what was computed is kept, and the same command goes on from there", err=True)
        return INTERRUPTED
    return result if isinstance(result, int) else 0
