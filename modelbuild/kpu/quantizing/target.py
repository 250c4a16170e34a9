"""What an activation table is to approximate: a function in steps of the output, and where it matters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.errors import ModelbuildError
from modelbuild.kpu.quantizing.expected import Expected

Real = NDArray[np.float64]
Function = Callable[[Real], Real]

BYTE = 255
SAMPLES = 2048  # of the part of a function that matters
_SOUGHT = 4097  # places at a time that are looked at for that part
_NEAR = 0.05  # steps of the output: less than this is no change
_FAR = float(1 << 20)  # steps beyond which one is as good as another
_UNSEEN = 1 / 64  # share of the weight that goes to values whether they were seen or not


@dataclass(frozen=True)
class Target:
    """`function` of a value of `v_scale` real units a step, in steps of the output, `offset` steps above."""

    function: Function
    v_scale: float
    output: QuantizedTensor
    offset: float = 0.0

    def __call__(self, values: Real) -> Real:
        """Not rounded, not within 0...255. Errors: ModelbuildError where the function is no number."""
        with np.errstate(all="ignore"):
            made = np.asarray(self.function(values * self.v_scale), np.float64) / self.output.scale
        if np.isnan(made).any():
            at = float(values[np.isnan(made)][0] * self.v_scale)
            raise ModelbuildError(
                f"the function behind a convolution is no number at {at:g}",
                advice="keep what it reads where it is one: a Clip or Relu before it in the source model",
            )
        return np.clip(made, -_FAR, _FAR) + (self.output.zero_point + self.offset)

    def within(self, values: Real) -> Real:
        """Within 0...255."""
        return np.clip(self(values), 0, BYTE)

    def code(self, value: float) -> int:
        """The byte of one value."""
        return int(np.rint(self.within(np.array([value], np.float64)))[0])


@dataclass(frozen=True)
class Domain:
    """Values from `low` to `high`, outside of which bytes are `before` and `after`, if any occur.
    `open_below`, `open_above`: there are none, up to there the output changes."""

    low: float
    high: float
    before: int
    after: int
    open_below: bool = False
    open_above: bool = False


def domain_of(target: Target, low: int, high: int) -> Domain:
    """The part of low...high in which the output changes."""
    first, last = (target.within(np.array([end], np.float64))[0] for end in (low, high))
    start = _edge(target, float(low), float(high), first)
    if start is None:
        middle = float(low)
        return Domain(middle, middle, target.code(low), target.code(low))
    found = _edge(target, float(high), start, last)
    end = float(high) if found is None else found
    return Domain(start, end, target.code(low), target.code(high), start == low, end == high)


def _edge(target: Target, near: float, far: float, known: float) -> float | None:
    """The last place on the way from `near` to `far` where the output is still `known`; None where it is
    that everywhere."""
    for _ in range(4):
        places = np.rint(near + (far - near) * (np.arange(_SOUGHT) / (_SOUGHT - 1)))
        apart = np.flatnonzero(np.abs(target.within(places) - known) > _NEAR)
        if not len(apart):
            return None
        place = max(int(apart[0]), 1)
        near, far = float(places[place - 1]), float(places[place])
        if abs(far - near) <= 1:
            break
    return near


def weights_of(edges: Real, v_scale: float, seen: Expected | None) -> Real:
    """How much each cell between `edges` counts; 1 in all. Where nothing was seen, all count the same."""
    even = np.full(len(edges) - 1, 1 / (len(edges) - 1))
    if seen is None:
        return even
    shares = np.abs(np.diff(seen.below(edges * v_scale)))
    total = float(np.add.accumulate(shares)[-1])
    return even if total <= 0 else (1 - _UNSEEN) * shares / total + _UNSEEN * even


def falls(function: Function, low: float, high: float, output: QuantizedTensor) -> bool:
    """Whether the bytes of the function fall more than they rise, from `low` to `high` in real units."""
    target = Target(function, 1.0, output)
    steps = np.diff(target.within(low + (high - low) * (np.arange(_SOUGHT) / (_SOUGHT - 1))))
    down, up = (np.add.accumulate(np.maximum(sign * steps, 0.0))[-1] for sign in (-1.0, 1.0))
    return bool(down > up)
