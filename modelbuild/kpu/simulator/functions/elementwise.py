"""Functions of single elements: unary, binary, compare, ternary, sigmoid."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from modelbuild.kpu.simulator.call import Call, Shape
from modelbuild.kpu.simulator.functions.conversions import to_whole
from modelbuild.kpu.simulator.functions.moves import broadcasted
from modelbuild.kpu.simulator.memory import Array
from modelbuild.kpu.simulator.types import BOOL, F32

_FLOAT32, _INT32, _INT64, _UINT8 = 9, 2, 3, 4
Kernel = Callable[[Array], Array]


def precise(function: Kernel) -> Kernel:
    """A function by way of float64, rounded once: within one unit of the last place of what the C library
    gives for float32, nearly always the same."""
    return lambda values: function(values.astype(np.float64)).astype(np.float32)


def _erf(values: Array) -> Array:
    return np.fromiter((math.erf(value) for value in values.reshape(-1).tolist()), np.float64).reshape(
        values.shape
    )


exp, log, tanh = precise(np.exp), precise(np.log), precise(np.tanh)
# By the number of the operation in the table of nncase 1.7.2 and later; of the others there is no kernel.
UNARY: Mapping[int, Kernel] = {
    0: np.abs,
    1: precise(np.arccos),
    2: precise(np.arcsin),
    3: np.ceil,
    4: precise(np.cos),
    5: exp,
    6: np.floor,
    7: log,
    8: np.negative,
    9: np.rint,
    10: lambda values: np.float32(1) / np.sqrt(values),
    11: lambda values: (values > 0).astype(np.float32) - (values < 0).astype(np.float32),
    12: precise(np.sin),
    13: np.sqrt,
    14: lambda values: values * values,
    15: tanh,
    17: lambda values: (values == 0).astype(np.float32),
    18: precise(_erf),
}
INEXACT = {1, 2, 4, 5, 7, 12, 15, 18}
_POWER = 6


def unary(call: Call) -> None:
    """One of UNARY on float32, whatever the type in the instruction."""
    kernel = UNARY.get(call.number("unary_op"))
    if kernel is None:
        raise call.fail(f"the runtime has no operation {call.number('unary_op')}")
    found = call.load("input", call.sizes("rshape_src"), call.shape("rstride_src"))
    call.spend(found.size * 16)
    if call.number("unary_op") in INEXACT:
        call.inexact()
    call.store("output", kernel(found), call.shape("rstride_dest"))


def sigmoid(call: Call) -> None:
    """1 / (1 + exp(-x)) in float64, rounded once."""
    call.only(_FLOAT32)
    found = call.load("input", call.sizes("rshape_src"), call.shape("rstride_src"))
    call.spend(found.size * 16)
    call.inexact()
    call.store("output", logistic(found), call.shape("rstride_dest"))


def logistic(values: Array) -> Array:
    """The sigmoid function of float32."""
    return np.asarray(1 / (1 + np.exp(-values.astype(np.float64))), np.float32)


def _quotient(a: Array, b: Array) -> Array:
    if a.dtype == np.float32:
        return np.asarray(a / b)
    quotient = np.abs(a) // np.abs(b)
    return np.asarray(np.where((a < 0) == (b < 0), quotient, -quotient))


def _power(a: Array, b: Array) -> Array:
    wide = a.astype(np.float32).astype(np.float64)
    return np.asarray(np.power(wide, b.astype(np.float32).astype(np.float64)), np.float32)


BINARY: Mapping[int, Callable[[Array, Array], Array]] = {
    0: lambda a, b: a + b,
    1: lambda a, b: a - b,
    2: lambda a, b: a * b,
    3: _quotient,
    4: lambda a, b: np.where(b < a, b, a),
    5: lambda a, b: np.where(a < b, b, a),
    _POWER: _power,
    12: lambda a, b: ((a != 0) & (b != 0)).astype(a.dtype),
}


def _pair(call: Call, dtype: np.dtype) -> tuple[Array, Array, Shape]:
    """Both inputs in the shape of the result."""
    shape = call.sizes("rshape_dest")
    found = []
    for number, name in ((1, "input_a"), (2, "input_b")):
        own = call.load(name, call.sizes(f"rshape_src{number}"), call.shape(f"rstride_src{number}"), dtype)
        found.append(broadcasted(call, own, shape))
    return found[0], found[1], shape


def binary(call: Call) -> None:
    """One of BINARY; whole numbers pass through float32 on their way to the bounds and lose bits there."""
    dtype = call.only(_FLOAT32, _INT32, _INT64)
    number = call.number("binary_op")
    if number not in BINARY:
        raise call.fail(f"the runtime has no operation {number}")
    a, b, _ = _pair(call, dtype)
    if number == _POWER:
        call.inexact()
    if number == 3 and dtype != F32 and not b.all():
        raise call.fail("it divides by 0")
    found = call.clamped(BINARY[number](a, b).astype(np.float32))
    call.store("output", found if dtype == F32 else to_whole(found, dtype), call.shape("rstride_dest"))


_COMPARISONS: Mapping[int, Callable[[Array, Array], Array]] = {
    0: np.equal,
    1: np.not_equal,
    2: np.greater,
    3: np.greater_equal,
    4: np.less,
    5: np.less_equal,
}


def compare(call: Call) -> None:
    """Bytes 1 and 0."""
    dtype = call.only(_UINT8, _FLOAT32, _INT32, _INT64)
    kernel = _COMPARISONS.get(call.number("compare_op"))
    if kernel is None:
        raise call.fail(f"the runtime has no operation {call.number('compare_op')}")
    a, b, _ = _pair(call, dtype)
    call.store("output", kernel(a, b).astype(BOOL), call.shape("rstride_dest"))


def ternary(call: Call) -> None:
    """The second input where the first is not 0, the third elsewhere."""
    call.only(_FLOAT32)
    found = [
        call.load(name, call.sizes(f"rshape_src{number}"), call.shape(f"rstride_src{number}"))
        for number, name in ((1, "input_a"), (2, "input_b"), (3, "input_c"))
    ]
    try:
        shape = np.broadcast_shapes(*(item.shape for item in found))
    except ValueError:
        raise call.fail("its inputs cannot be spread to one shape") from None
    a, b, c = (broadcasted(call, item, shape) for item in found)
    call.store("output", np.where(a != 0, b, c), call.shape("rstride_dest"))
