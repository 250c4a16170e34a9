"""Numbers as people read them: a fixed number of digits, units, and a dash for what is missing."""

from __future__ import annotations

import re
from decimal import Decimal

NOTHING = "–"
EXACT_DB = 200.0  # what verification reports where two tensors agree in every number
LONGEST = 48  # characters of a name in a table
_LONG = re.compile(rf"`([^`]{{{LONGEST + 1},}})`")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB")


def number(value: float | None, digits: int = 3) -> str:
    """`digits` significant digits without an exponent, save below 1e-6."""
    if value is None:
        return NOTHING
    if value == 0:
        return "0"
    magnitude = Decimal(repr(float(f"{value:.{digits - 1}e}"))).adjusted()
    if magnitude < -6:
        return f"{value:.{digits - 1}e}"
    return f"{value:,.{max(0, digits - 1 - magnitude)}f}"


def integer(value: int | None) -> str:
    """1234567 -> 1,234,567."""
    return NOTHING if value is None else f"{value:,}"


def size(value: int | None) -> str:
    """Bytes in the binary unit that keeps the number below 1024."""
    if value is None:
        return NOTHING
    amount, unit = float(value), 0
    while round(amount, 1) >= 1024 and unit < len(_BINARY) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{value} B" if unit == 0 else f"{amount:,.1f} {_BINARY[unit]}"


def large(value: int | None) -> str:
    """A count with k, M, G: 1234567 -> 1.23 M."""
    if value is None:
        return NOTHING
    for factor, suffix in ((10**9, " G"), (10**6, " M"), (10**3, " k")):
        if abs(value) >= factor:
            return number(value / factor) + suffix
    return str(value)


def short(name: str) -> str:
    """A long name without its middle: exporters repeat there what the ends say."""
    return name if len(name) <= LONGEST else f"{name[: LONGEST // 2]}…{name[-(LONGEST // 2 - 1) :]}"


def short_names(sentence: str) -> str:
    """A sentence with the long names in it, which stand between backticks, without their middle."""
    return _LONG.sub(lambda found: f"`{short(found[1])}`", sentence)


def percent(value: float | None, digits: int = 1) -> str:
    """0.123 -> 12.3 %."""
    return NOTHING if value is None else f"{value * 100:.{digits}f} %"


def decibel(value: float | None) -> str:
    """34.82 -> 34.8; `exact` where no error was measured."""
    if value is None:
        return NOTHING
    return "exact" if value >= EXACT_DB else f"{value:.1f}"


def setting(value: object) -> str:
    """A value of a declaration as one writes it: 114.0 -> 114, lists with commas."""
    if isinstance(value, list | tuple):
        return ", ".join(map(setting, value))
    return str(int(value)) if isinstance(value, float) and value == int(value) else str(value)


def bound(value: bool | float | None) -> str:
    """A bound or a measurement of one."""
    if value is None:
        return "not available"
    if isinstance(value, bool):
        return "yes" if value else "no"
    digits = number(value, 4)
    return digits.rstrip("0").rstrip(".") if "." in digits and "e" not in digits else digits
