"""Selection: the small language of `-k`, over the ids, names and pillars of checks."""

import re
from collections.abc import Callable, Iterator

from auditor.errors import UsageError

Matcher = Callable[[str], bool]
_TOKEN = re.compile(r"\s*(\(|\)|[^\s()]+)")


def matcher(expression: str) -> Matcher:
    """A predicate on text, from words joined by `and`, `or`, `not` and parentheses; words match as parts, in any case.

    An empty expression matches everything. Raises UsageError on anything that does not parse.

    >>> matcher("grad and not norm")("grad-cam interpretability.grad_cam")
    True
    >>> matcher("grad and not norm")("gradient-norm optimizability.gradient_norm")
    False
    """
    if not expression.strip():
        return lambda text: True
    tokens = _Tokens(expression)
    result = _either(tokens)
    if tokens.head is not None:
        tokens.refuse()
    return result


class _Tokens:
    """The words of an expression, one ahead."""

    def __init__(self, expression: str) -> None:
        self.expression = expression
        self._rest: Iterator[str] = iter(_TOKEN.findall(expression))
        self.head: str | None = next(self._rest, None)

    def take(self) -> str | None:
        taken, self.head = self.head, next(self._rest, None)
        return taken

    def refuse(self) -> None:
        found = "the end" if self.head is None else repr(self.head)
        raise UsageError(
            f"-k {self.expression!r}: expected a word, `not` or `(`, found {found}",
            hint='write words joined by and, or, not: -k "saliency or grad-cam"',
        )


def _either(tokens: _Tokens) -> Matcher:
    left = _both(tokens)
    while tokens.head == "or":
        tokens.take()
        left = _or(left, _both(tokens))
    return left


def _both(tokens: _Tokens) -> Matcher:
    left = _one(tokens)
    while tokens.head == "and":
        tokens.take()
        left = _and(left, _one(tokens))
    return left


def _one(tokens: _Tokens) -> Matcher:
    if tokens.head in (None, ")", "and", "or"):
        tokens.refuse()
    word = tokens.take() or ""
    if word == "not":
        inner = _one(tokens)
        return lambda text: not inner(text)
    if word != "(":
        return lambda text: word.lower() in text.lower()
    inside = _either(tokens)
    if tokens.head != ")":
        tokens.refuse()
    tokens.take()
    return inside


def _or(left: Matcher, right: Matcher) -> Matcher:
    return lambda text: left(text) or right(text)


def _and(left: Matcher, right: Matcher) -> Matcher:
    return lambda text: left(text) and right(text)
