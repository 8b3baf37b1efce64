"""The commands and their flags. Whatever is slow to import is imported inside the command that needs it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from auditor import __version__

SPEC = click.argument("spec", type=click.Path(path_type=Path))


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="auditor")
def auditor() -> None:
    """Audit a pretrained deep-learning model: a YAML spec in, a report with verdicts out.

    Exit codes: 0 pass, 1 fail, 2 usage or spec error, 3 inconclusive, 4 refused for security, 130 interrupted.
    """


def _reading(command: Any) -> Any:
    """The options of every command that reads a spec."""
    options = (
        click.option("-p", "params", multiple=True, metavar="NAME=VALUE", help="Set a parameter of the spec."),
        click.option("--root", "roots", multiple=True, type=click.Path(path_type=Path), help="Allow paths below DIR."),
        click.option("--env", "env", multiple=True, metavar="NAME", help="Allow ${env:NAME} in the spec."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _choosing(command: Any) -> Any:
    """The options of every command that plans a run."""
    options = (
        click.option(
            "-k", "only", default="", metavar="EXPR", help="Only checks whose id matches, e.g. 'grad and not cam'."
        ),
        click.option("--cache", type=click.Path(path_type=Path), help="Where computed results are kept."),
        click.option("--trust", multiple=True, metavar="NAME", help="Consent to the code of the model NAME."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@auditor.command(short_help="Run an audit and write its report.")
@SPEC
@_reading
@_choosing
@click.option("--out", default="runs", type=click.Path(path_type=Path), help="Where run folders go.  [default: runs]")
@click.option("--offline", is_flag=True, help="Open no network connection.")
@click.option("--fresh", is_flag=True, help="Compute everything anew, whatever is stored.")
@click.option("-j", "workers", default=1, type=click.IntRange(1, 64), metavar="N", help="Workers.  [default: 1]")
@click.option("-q", "--quiet", is_flag=True, help="Print only the summary.")
def run(spec: Path, quiet: bool, **flags: Any) -> int:
    """Run an audit and write its report.

    A run that was stopped continues from what is already computed.
    """
    from auditor.cli.running import run_audit

    return run_audit(spec, _options(**flags), quiet=quiet)


@auditor.command(short_help="Check specs, with every error at its place.")
@click.argument("specs", nargs=-1, required=True, type=click.Path(path_type=Path))
@_reading
def validate(specs: Sequence[Path], params: Sequence[str], roots: Sequence[Path], env: Sequence[str]) -> int:
    """Check specs: every error with its place, what was expected and what was found."""
    from auditor.errors import AuditorError, worded
    from auditor.registry import Registry
    from auditor.spec.load import load

    registry, worst = Registry(), 0
    for spec in specs:
        try:
            load(spec, registry, params=_pairs(params), env=env, roots=roots)
            click.echo(f"{spec}: valid")
        except AuditorError as error:
            click.echo(worded(error), err=True)
            worst = max(worst, error.exit_code)
    return worst


@auditor.command(short_help="Show what would run, and what it costs.")
@SPEC
@_reading
@_choosing
def plan(spec: Path, **flags: Any) -> None:
    """Show what would run: the passes, what is shared, what is stored already, and what each step costs."""
    from auditor import audit

    click.echo(audit.plan(spec, _options(**flags)), nl=False)


@auditor.command(short_help="Write the pages of a finished run again.")
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "--format", "formats", multiple=True, type=click.Choice(["html", "pdf", "junit"]), help="Only these pages."
)
def render(folder: Path, formats: Sequence[Any]) -> None:
    """Write the pages of a finished run again, from its results.json."""
    from auditor.cli.rendering import render_run

    for path in render_run(folder, tuple(formats)):
        click.echo(path)


@auditor.command()
@click.option("--names", is_flag=True, help="Only the names.")
def checks(names: bool) -> None:
    """List the checks, each with one line."""
    from auditor.registry import Registry

    registry = Registry()
    width = max((len(name) for name in registry.names()), default=0)
    for name in registry.names():
        click.echo(name if names else f"{name:{width}}  {registry.summary(name)}")


@auditor.command(short_help="Explain one check.")
@click.argument("check")
def explain(check: str) -> None:
    """Explain one check: its question, formula, method, metrics, parameters and limits."""
    from auditor.cli.explaining import find, page
    from auditor.registry import Registry

    registry = Registry()
    use = find(registry, check)
    click.echo(page(use, registry.check(use)), nl=False)


@auditor.command()
def schema() -> None:
    """Print the JSON Schema of the spec language, for editors."""
    import json

    from auditor.registry import Registry
    from auditor.spec.schema import schema as document

    click.echo(json.dumps(document(Registry()), indent=1))


@auditor.command(short_help="Look for what is missing on this machine.")
def doctor() -> int:
    """Look for what is missing on this machine, and print the command that mends it."""
    from auditor.cli.doctor import findings

    found = findings()
    for finding in found:
        click.echo(str(finding))
    return 0 if all(finding.works for finding in found) else 2


@auditor.command(short_help="Write a commented spec to start from.")
@click.argument("model", required=False, type=click.Path(path_type=Path))
@click.argument("data", required=False, type=click.Path(path_type=Path))
@click.option(
    "--out", default="audit.yaml", type=click.Path(path_type=Path), help="The spec to write.  [default: audit.yaml]"
)
def init(model: Path | None, data: Path | None, out: Path) -> None:
    """Look at the files of MODEL and DATA, without loading them, and write a commented spec to start from."""
    from auditor.cli.starting import write_spec

    click.echo(write_spec(model, data, out))


def _options(
    params: Sequence[str], roots: Sequence[Path], env: Sequence[str], trust: Sequence[str] = (), **others: Any
) -> Any:
    """The flags of a command as the options of an audit."""
    from auditor.audit import Options

    return Options(params=_pairs(params), roots=tuple(roots), env=frozenset(env), trust=frozenset(trust), **others)


def _pairs(params: Sequence[str]) -> dict[str, str]:
    """`-p name=value` as a dictionary; a click usage error for anything else."""
    for text in params:
        if "=" not in text or not text.partition("=")[0]:
            raise click.BadParameter(f"expected NAME=VALUE, found {text!r}", param_hint="-p")
    return {name: value for name, _, value in (text.partition("=") for text in params)}
