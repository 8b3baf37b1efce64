"""Pango: whether this machine can print a PDF, known before anything is computed."""

import ctypes
import sys
from ctypes.util import find_library

DEBIAN = "libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
_NAMES = ("libpango-1.0.so.0", "libpango-1.0.dylib", "libpango-1.0-0.dll")


def is_there() -> bool:
    """Whether the Pango library, which WeasyPrint draws text with, can be loaded."""
    return any(_loads(name) for name in _NAMES) or find_library("pango-1.0") is not None


def mend() -> str:
    """The command that installs it."""
    if sys.platform == "darwin":
        return "brew install pango"
    return f"sudo apt-get install {DEBIAN}  (Debian, Ubuntu; elsewhere the package pango)"


def _loads(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True
