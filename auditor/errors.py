"""Every error a user can meet, each with its exit code.

AuditorError                 something a person can mend; printed without a traceback
├── SpecError                the spec is wrong: all its problems at once (exit 2)
├── UsageError               the command line is wrong (exit 2)
├── SourceError              a model or data set named by the spec is missing or unusable (exit 2)
├── RefusedError             refused for security: needs consent from outside the spec (exit 4)
├── StoreError               the cache or run folder cannot be read or written (exit 2)
└── VerificationError        a report does not match what it claims (exit 5)
NotApplicable                a check does not apply to this model or data: the check is skipped
"""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Problem:
    """One thing wrong, at one place.

    place: "file:line:col", or "" when no place is known. line: the source line there.
    message: what is wrong, with what was expected and what was found. hint: what to do.
    """

    message: str
    place: str = ""
    line: str = ""
    hint: str = ""

    def __str__(self) -> str:
        head = f"{self.place}: {self.message}" if self.place else self.message
        parts = [
            head,
            f"    {self.line.strip()}" if self.line.strip() else "",
            f"    {self.hint}" if self.hint else "",
        ]
        return "\n".join(part for part in parts if part)


class AuditorError(Exception):
    """Base of all errors that are the user's to mend. `str()` is the whole message."""

    exit_code: ClassVar[int] = 2

    def __init__(self, message: str, hint: str = "", where: tuple[str | int, ...] = ()) -> None:
        """message: where, expected, found. hint: what to do. where: the spec path, e.g. ("models", "m", "path")."""
        super().__init__(message if not hint else f"{message}\n    {hint}")
        self.message, self.hint, self.where = message, hint, where


def worded(error: AuditorError) -> str:
    """The message as the command line prints it: what has no place in a file begins with "error: ".

    >>> worded(UsageError("-j: expected a number"))
    'error: -j: expected a number'
    """
    placed = isinstance(error, SpecError) and any(problem.place for problem in error.problems)
    return str(error) if placed else f"error: {error}"


class SpecError(AuditorError):
    """The spec is wrong; `problems` holds everything found, in the order of the file."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class UsageError(AuditorError):
    """The command line asks for something that is not there."""


class SourceError(AuditorError):
    """A model or data set that the spec names is missing, unreadable or does not fit."""


class RefusedError(AuditorError):
    """Refused for security; the hint says how to consent."""

    exit_code = 4


class StoreError(AuditorError):
    """The cache or the run folder cannot be read or written, or its content does not match its digest."""


class VerificationError(AuditorError):
    """A report, manifest or artifact does not match its digests."""

    exit_code = 5


class NotApplicable(Exception):
    """Raised while measuring when only the built model shows that a check does not apply; str() is the reason."""
