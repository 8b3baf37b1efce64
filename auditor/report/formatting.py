"""Numbers as people read them: sensible digits, a true minus, thin spaces, value and interval on one grid."""

import math

MINUS, THIN, ELLIPSIS = "\u2212", "\u202f", "\u2026"
_SMALL, _LARGE = 1e-4, 1e7


def number(value: float, digits: int = 3) -> str:
    """A lone number with `digits` significant digits; whole numbers stay whole.

    >>> number(0.8333), number(-0.5), number(1797.0), number(2.5e-7)
    ('0.833', '−0.5', '1797', '2.5e−7')
    """
    if value == 0:
        return "0"
    if not _SMALL <= abs(value) < _LARGE:
        return _scientific(value, digits)
    if float(value).is_integer():
        return _grouped(f"{value:.0f}")
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:.{decimals}f}"
    return _grouped(text.rstrip("0").rstrip(".") if "." in text else text)


def fixed(value: float, decimals: int) -> str:
    """A number with a fixed count of decimals, a true minus and no negative zero.

    >>> print(fixed(-0.0004, 2), fixed(-1234.5, 1), fixed(12345.6, 0), sep="; ")
    0.00; −1234.5; 12 346
    """
    text = f"{value:.{decimals}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return _grouped(text)


def signed(value: float, decimals: int) -> str:
    """A difference: always with its sign.

    >>> signed(0.058, 3), signed(-0.2, 1)
    ('+0.058', '−0.2')
    """
    text = fixed(value, decimals)
    return text if text.startswith(MINUS) or float(f"{value:.{decimals}f}") == 0 else f"+{text}"


def decimals_for(low: float, high: float) -> int:
    """Decimals that give the half width of an interval two significant digits, or one from 5 on.

    >>> decimals_for(0.68, 0.92), decimals_for(0.108, 0.196), decimals_for(0, 0.0148), decimals_for(700, 900)
    (2, 3, 3, 0)
    """
    half = abs(high - low) / 2
    if half == 0:
        return _decimals_of(high)
    power = math.floor(math.log10(half))
    return min(6, max(0, (1 if half < 5 * 10**power else 0) - power))


def interval(value: float | None, low: float | None, high: float | None) -> tuple[str, str]:
    """Value and interval with the same decimals; "" for what is not known.

    >>> interval(0.8333, 0.681, 0.921), interval(0.31, None, None)
    (('0.83', '[0.68, 0.92]'), ('0.31', ''))
    """
    if low is None or high is None:
        return ("" if value is None else number(value)), ""
    size = max(abs(low), abs(high), abs(value or 0.0))
    if size != 0 and not _SMALL <= size < _LARGE:
        ends = f"[{number(low)}, {number(high)}]"
        return ("" if value is None else number(value)), ends
    decimals = decimals_for(low, high)
    shown = "" if value is None else fixed(value, decimals)
    return shown, f"[{fixed(low, decimals)}, {fixed(high, decimals)}]"


def bound(expect: str) -> str:
    """An expectation as text, in the signs of print.

    >>> bound(">= 0.85"), bound("<= -2")
    ('≥ 0.85', '≤ −2')
    """
    text = expect.replace(">=", "\u2265").replace("<=", "\u2264")
    return text.replace(" -", f" {MINUS}")


def count(value: int) -> str:
    """A count with thin spaces from five digits on.

    >>> print(count(36), count(4652008), sep="; ")
    36; 4 652 008
    """
    return _grouped(str(value))


def magnitude(value: int) -> str:
    """A large count in a short form, for running text.

    >>> print(magnitude(4652008), magnitude(9930), magnitude(87), sep="; ")
    4.65 M; 9 930; 87
    """
    for size, unit in ((1e9, "G"), (1e6, "M")):
        if value >= size:
            return f"{number(value / size)}{THIN}{unit}"
    return _grouped(str(value), least=4)


def digest(text: str, groups: int = 0) -> str:
    """A hex digest in groups of eight; `groups` limits it, the cut is shown.

    >>> digest("sha256:00112233445566778899aabbccddeeff", 2)
    '00112233 44556677 …'
    """
    plain = text.removeprefix("sha256:")
    parts = [plain[i : i + 8] for i in range(0, len(plain), 8)]
    if groups and len(parts) > groups:
        parts = [*parts[:groups], ELLIPSIS]
    return " ".join(parts)


def seconds(value: float) -> str:
    """A duration.

    >>> print(seconds(0.04), seconds(12.34), seconds(400), sep="; ")
    0.04 s; 12.3 s; 6 min 40 s
    """
    if value < 60:
        return f"{number(value)}{THIN}s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes}{THIN}min {rest}{THIN}s"


def _scientific(value: float, digits: int) -> str:
    exponent = math.floor(math.log10(abs(value)))
    mantissa = number(value / 10**exponent, digits) if exponent > -300 else f"{value:.{digits - 1}e}"
    return f"{mantissa}e{exponent}".replace("e-", f"e{MINUS}")


def _decimals_of(value: float) -> int:
    text = number(value)
    return len(text.partition(".")[2]) if "e" not in text else 0


def _grouped(text: str, least: int = 5) -> str:
    sign, text = (MINUS, text[1:]) if text.startswith("-") else ("", text)
    whole, dot, rest = text.partition(".")
    if len(whole) >= least:
        head = len(whole) % 3
        parts = ([whole[:head]] if head else []) + [whole[i : i + 3] for i in range(head, len(whole), 3)]
        whole = THIN.join(parts)
    return f"{sign}{whole}{dot}{rest}"
