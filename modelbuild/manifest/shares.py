"""Numbers that are shares, or percent: who writes the one for the other is told what to write."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, Field

from modelbuild.manifest.scalars import read_number, wrong


def _read_share(value: object, over: float = 1.0) -> float:
    """A number; those that can be percent, `over` so many, are refused here."""
    number = read_number(value)
    if over < number <= 100:
        percent = f"{_moved(number, 0)} percent are written as a share: {_moved(number, -2)}"
        raise wrong("1 or less", value, percent)
    return number


def _read_large_share(value: object) -> float:
    return _read_share(value, 50.0)


def _read_percent(value: object) -> float:
    """A number; those that can be a share of more than a half are refused here."""
    number = read_number(value)
    if 0.5 < number <= 1:
        share = f"a share of {_moved(number, 0)} is written in percent: {_moved(number, 2)}"
        raise wrong("more than 50", value, share)
    return number


def _moved(number: float, places: int) -> str:
    """The number times ten to the power of `places`, with all its digits."""
    return f"{Decimal(repr(number)).scaleb(places).normalize():f}"


Fraction = Annotated[float, BeforeValidator(_read_share), Field(ge=0, le=1)]
MostOf = Annotated[float, BeforeValidator(_read_large_share), Field(gt=0.5, le=1)]  # a share
PercentOfMost = Annotated[float, BeforeValidator(_read_percent), Field(gt=50, le=100)]
