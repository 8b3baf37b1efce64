"""Every end of a command has its exit code, and no known error shows a traceback."""

import click
import pytest

from auditor import errors
from auditor.cli import entry


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Makes the next command raise what it is given, or return it."""

    def arrange(end: BaseException | int | None) -> None:
        def call(**_: object) -> int | None:
            if isinstance(end, BaseException):
                raise end
            return end

        monkeypatch.setattr(entry.auditor, "main", call)

    return arrange


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (None, 0),
        (0, 0),
        (1, 1),
        (3, 3),
        (errors.SourceError("no such file", hint="look"), 2),
        (errors.SpecError((errors.Problem("unknown key", place="a.yaml:3:1"),)), 2),
        (errors.RefusedError("code", hint="--trust m"), 4),
        (errors.VerificationError("digest"), 5),
        (click.UsageError("no such option"), 2),
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
    ],
)
def test_exit_codes(failing, end, code, capsys) -> None:  # type: ignore[no-untyped-def]
    failing(end)
    assert entry.code([]) == code
    assert "Traceback" not in capsys.readouterr().err


def test_an_error_shows_where_what_and_what_to_do(failing, capsys) -> None:  # type: ignore[no-untyped-def]
    failing(errors.SourceError("models/m: expected a folder, found a file", hint="name the folder"))
    entry.code([])
    assert capsys.readouterr().err == "error: models/m: expected a folder, found a file\n    name the folder\n"


def test_a_bug_is_not_hidden(failing) -> None:  # type: ignore[no-untyped-def]
    failing(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        entry.code([])


@pytest.mark.parametrize("text", ["n", "=3", ""])
def test_a_parameter_needs_a_name_and_a_value(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.code(["run", "a.yaml", "-p", text]) == 2
    assert "expected NAME=VALUE" in capsys.readouterr().err
