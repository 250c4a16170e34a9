"""Random numbers as the vendor's C++ library makes them from a seed."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from modelbuild.kpu.simulator.call import Call
from modelbuild.kpu.simulator.memory import elements

_FACTOR, _MODULUS = 16807, 2147483647
_RANGE = np.float32(2147483646)
_BELOW_ONE = np.nextafter(np.float32(1), np.float32(0))
_ONE, _TWO = np.float32(1), np.float32(2)


def _units(seed: float) -> Iterator[np.float32]:
    """float32 from 0 to below 1, of a linear congruential generator."""
    state = int(seed) % _MODULUS or 1
    while True:
        state = state * _FACTOR % _MODULUS
        found = np.float32(state - 1) / _RANGE
        yield found if found < _ONE else _BELOW_ONE


def _begin(call: Call) -> tuple[Iterator[np.float32], tuple[int, ...], int]:
    if call.number("datatype_dest") != 9:
        raise call.fail("there is only a kernel for float32")
    seed = float(call.operands["seed"])
    if not 0 <= seed < 2**63:
        raise call.fail(f"{seed} is no seed")
    shape = call.sizes("rshape_dest")
    count = elements(shape)
    call.spend(count, count // 4)
    return _units(seed), shape, count


def uniform(call: Call) -> None:
    """From `low` to `high`."""
    units, shape, count = _begin(call)
    low, high = call.float32("low"), call.float32("high")
    found = [next(units) * (high - low) + low for _ in range(count)]
    call.store("output", np.array(found, np.float32).reshape(shape))


def normal(call: Call) -> None:
    """Normally distributed, by the polar method, two at a time."""
    units, shape, count = _begin(call)
    call.inexact()
    mean, deviation = call.float32("mean"), call.float32("std")
    found: list[np.float32] = []
    while len(found) < count:
        square = _TWO
        while square > _ONE or square == 0:
            x = _TWO * next(units) - _ONE
            y = _TWO * next(units) - _ONE
            square = x * x + y * y
        factor = np.sqrt(np.float32(-2) * np.float32(math.log(square)) / square)
        found += [y * factor, x * factor]
    values = np.array(found[:count], np.float32) * deviation + mean
    call.store("output", values.reshape(shape))
