"""Column charts as geometry: the numbers that a template writes into an SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 920.0, 240.0
LEFT, RIGHT, TOP, BOTTOM = 68.0, 8.0, 12.0, 40.0
_WIDEST_SLOT = 44.0
_NO_SPAN = 1e-12  # a smaller difference is drawn as none
_LABELS_ACROSS = 30  # numbers under the axis before some are left out


@dataclass(frozen=True)
class Column:
    """One bar: its value (None: nothing to draw), the text shown when pointed at, and its colour's class."""

    value: float | None
    title: str
    kind: str = "plain"


@dataclass(frozen=True)
class Bar:
    """A rectangle in the units of the view box."""

    x: float
    y: float
    width: float
    height: float
    title: str
    kind: str


@dataclass(frozen=True)
class Tick:
    """A place on an axis and its text."""

    at: float
    text: str


@dataclass(frozen=True)
class Chart:
    """Columns numbered from 1 along the x axis; `across` names that axis, `up` the other with its unit."""

    bars: tuple[Bar, ...]
    rows: tuple[Tick, ...]
    numbers: tuple[Tick, ...]
    zero: float  # y of the axis
    right: float  # where the plot ends
    across: str
    up: str
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    bottom: float = HEIGHT - BOTTOM


def columns(given: Sequence[Column], across: str, up: str) -> Chart | None:
    """The chart of `given`, or None where there is no value to draw."""
    values = [column.value for column in given if column.value is not None]
    if not values:
        return None
    step = _step(max(0.0, *values) - min(0.0, *values))
    low = _floor(min(0.0, *values), step)
    high = max(0.0, -_floor(-max(values), step), low + step)
    bottom = HEIGHT - BOTTOM
    scale = (bottom - TOP) / (high - low)
    slot = min((WIDTH - LEFT - RIGHT) / len(given), _WIDEST_SLOT)
    zero = bottom + low * scale

    def bar(index: int, column: Column) -> Bar:
        length = (column.value or 0.0) * scale
        x, width = LEFT + slot * (index + 0.1), slot * 0.8
        return Bar(_r(x), _r(zero - max(length, 0.0)), _r(width), _r(abs(length)), column.title, column.kind)

    every = -(-len(given) // _LABELS_ACROSS)
    shown = [index for index in range(len(given)) if index == 0 or (index + 1) % every == 0]
    lines = round((high - low) / step)
    return Chart(
        bars=tuple(bar(index, column) for index, column in enumerate(given) if column.value is not None),
        rows=tuple(
            Tick(_r(zero - (low + line * step) * scale), _label(low + line * step, step))
            for line in range(lines + 1)
        ),
        numbers=tuple(Tick(_r(LEFT + slot * (index + 0.5)), str(index + 1)) for index in shown),
        zero=_r(zero),
        right=_r(max(LEFT + slot * len(given), LEFT + 240)),
        across=across,
        up=up,
    )


def _step(span: float) -> float:
    """1, 2 or 5 times a power of ten, for about five lines over `span`."""
    if span < _NO_SPAN:
        return 1.0
    power = 10.0 ** int(f"{span / 5:e}".split("e")[1])
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power * 5 >= span * 0.999)


def _floor(value: float, step: float) -> float:
    return step * math.floor(value / step + 1e-9)


def _label(value: float, step: float) -> str:
    exponent = int(f"{step:e}".split("e")[1])
    return f"{value:.{max(0, -exponent)}f}"


def _r(value: float) -> float:
    return round(value, 2)
