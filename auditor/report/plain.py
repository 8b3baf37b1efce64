"""User text made harmless: what cannot be printed, or would mislead the reader, is shown as what it is."""

import re
import unicodedata

_MISLEADING = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c\ufeff]")
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


def plain(text: str) -> str:
    """The text with control characters and lone surrogates replaced, and bidirectional overrides spelled out.

    An override can make a reader see another order of letters than the bytes hold, so it is named, not obeyed.

    >>> plain("a\\u202eb"), plain("a\\x00b")
    ('a[U+202E]b', 'a\ufffdb')
    """
    named = _MISLEADING.sub(lambda found: f"[U+{ord(found.group()):04X}]", text)
    return _UNPRINTABLE.sub("\ufffd", named)


def shorten(text: str, length: int) -> str:
    """The text cut to a length, with the cut shown.

    >>> shorten("abcdefgh", 5)
    'abcd…'
    """
    return text if len(text) <= length else text[: length - 1].rstrip() + "\u2026"


def foreign_letters(text: str, known: frozenset[int]) -> str:
    """The letters of a text that a font with the known code points lacks, each once, in order.

    >>> foreign_letters("ab\u4e2dc\u4e2d", frozenset(range(128)))
    '\u4e2d'
    """
    return "".join(sorted(c for c in set(text) if ord(c) not in known and unicodedata.category(c).startswith("L")))
