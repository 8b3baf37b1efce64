"""Units: numbers as people write them, `3 pp`, `5 %`, `30m`, turned into plain numbers."""

import math
import re

_NUMBER = r"[-+]?(?:\d[\d_]*(?:\.[\d_]*)?|\.\d+)(?:[eE][-+]?\d+)?"
_QUANTITY = re.compile(rf"\s*({_NUMBER})\s*([^\s\d.+-][^\d]*?)?\s*")

SHARES = {"%": 0.01, "pp": 0.01, "percent": 0.01, "‰": 0.001}
SECONDS = {"ms": 0.001, "s": 1.0, "sec": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def quantity(text: str) -> tuple[float, str]:
    """A number and its unit as written ("" without one). ValueError if the text is no number.

    >>> quantity("3 pp"), quantity("30m"), quantity("1e-3"), quantity("-2 steps")
    ((3.0, 'pp'), (30.0, 'm'), (0.001, ''), (-2.0, 'steps'))
    """
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"expected a number, found {text!r}")
    number = float(match[1].replace("_", ""))
    if not math.isfinite(number):
        raise ValueError(f"expected a finite number, found {text!r}")
    return number, match[2] or ""


def convert(number: float, unit: str, wanted: str) -> float:
    """A number with a written unit, in the unit `wanted` ("" for a plain share or count). ValueError if they differ.

    >>> convert(3, "pp", ""), convert(3, "pp", "pp"), convert(30, "m", "s"), convert(90, "steps", "steps")
    (0.03, 3.0, 1800.0, 90.0)
    >>> convert(3, "m", "")
    Traceback (most recent call last):
    ...
    ValueError: expected a plain number, `%` or `pp`, found the unit 'm'
    """
    if unit in ("", wanted):
        return float(number)
    for table in (SHARES, SECONDS):
        plain = "" if table is SHARES else "s"
        if unit in table and wanted in {*table, plain}:
            return float(f"{number * table[unit] / table.get(wanted, 1.0):.15g}")
    expected = f"the unit {wanted!r}" if wanted else "a plain number, `%` or `pp`"
    raise ValueError(f"expected {expected}, found the unit {unit!r}")


def number(text: str, wanted: str = "") -> float:
    """The number in a text with a unit, in the unit `wanted`.

    >>> number("5 %"), number("90 s", "s"), number("1.5 h", "s")
    (0.05, 90.0, 5400.0)
    """
    return convert(*quantity(text), wanted)
