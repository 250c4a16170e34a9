"""Clocks and bandwidths as the command line tells them: numbers of a known unit, within what chips have."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, log10

from modelbuild.errors import ModelbuildError


@dataclass(frozen=True)
class _Unit:
    """`usual`: of a chip, to which what was meant is near."""

    words: str
    least: float
    most: float
    usual: float
    example: str


_HERTZ = _Unit("Hz", 1e6, 1e10, 7e8, "700e6")
_BYTES = _Unit("bytes a second", 1e6, 1e13, 5e9, "9.5e9")


def hertz(option: str, text: str | None) -> float | None:
    """The clock that an option tells, from 1 MHz to 10 GHz; None where it is not given. Raises (exit 2)."""
    return None if text is None else _read(option, text, _HERTZ)


def bytes_per_second(option: str, text: str | None) -> float | None:
    """The bandwidth that an option tells, from 1 MB to 10 TB a second; None where it is not given. Raises
    (exit 2)."""
    return None if text is None else _read(option, text, _BYTES)


def _read(option: str, text: str, unit: _Unit) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ModelbuildError(
            f"{option} takes a number of {unit.words}, not `{text}`", advice=f"write {option} {unit.example}"
        ) from None
    if isfinite(value) and unit.least <= value <= unit.most:
        return value
    meant = [value * per for per in (1e3, 1e6, 1e9) if unit.least <= value * per <= unit.most]
    likely = min(meant, key=lambda each: abs(log10(each / unit.usual)), default=None)
    raise ModelbuildError(
        f"{option} must be from {unit.least:g} to {unit.most:g} {unit.words}, not {text}",
        advice=f"write {option} {unit.example}"
        if likely is None
        else f"did you mean {likely:g} ({unit.words})?",
    )
