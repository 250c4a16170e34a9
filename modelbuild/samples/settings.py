"""Checks of a manifest's mapping that say what was expected and what is nearest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from modelbuild.errors import Problem, did_you_mean


def checked_keys(settings: Mapping[str, Any], known: Sequence[str]) -> list[Problem]:
    """One problem for each key of `settings` that is not `known`."""
    return [
        Problem(
            f"unknown key `{key}`",
            where=_where(str(key)),
            why=_listed(known),
            advice=did_you_mean(str(key), known),
        )
        for key in settings
        if key not in known
    ]


def choice(key: str, value: object, known: Sequence[str], problems: list[Problem]) -> Any:
    """`value` if it is one of `known` or None; else None, and a problem more."""
    if value is None or value in known:
        return value
    advice = did_you_mean(str(value), known)
    problems.append(Problem(f"`{key}: {value}` is not known", _where(key), _listed(known), advice))
    return None


def numbers(
    key: str,
    value: object,
    problems: list[Problem],
    *,
    bounds: tuple[float, float] | None = None,
    zero: bool = True,
) -> float | tuple[float, ...]:
    """A finite number or a list of them, as floats. With `bounds`, whole numbers within them (pixel values);
    without `zero`, none may be 0. What is wrong becomes a problem, and the result 1."""
    items = list(value) if isinstance(value, list | tuple) else [value]
    if not items:
        problems.append(Problem(f"`{key}` is an empty list", _where(key), "it is a number, or one a channel"))
        return 1.0
    for item in items:
        why = _wrong(item, bounds, zero)
        if why:
            problems.append(
                Problem(
                    f"`{key}: {item}` {why}",
                    _where(key),
                    "it is a number, or one a channel",
                    _BY.get(why, ""),
                )
            )
            return 1.0
    floats = tuple(float(item) for item in items if isinstance(item, int | float))
    return floats if isinstance(value, list | tuple) else floats[0]


_DIVIDES = "divides by zero"
_BY = {_DIVIDES: "leave it out, or write 1: nothing is divided then"}


def _wrong(item: object, bounds: tuple[float, float] | None, zero: bool) -> str:
    if isinstance(item, bool) or not isinstance(item, int | float):
        return "is not a number"
    if not math.isfinite(item):
        return "is not finite"
    if item == 0 and not zero:
        return _DIVIDES
    if bounds and not (bounds[0] <= item <= bounds[1] and item == int(item)):
        return f"is not a pixel value, a whole number from {bounds[0]:g} to {bounds[1]:g}"
    return ""


def _where(key: str) -> str:
    return f"preprocess.{key}"


def _listed(known: Sequence[str]) -> str:
    return f"known are {', '.join(known)}"
