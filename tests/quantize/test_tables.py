"""Tables are correctly rounded."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest

from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.quantize import tables

X = QuantizedTensor("x", (1,), 8, True, 0.05, 7)
Y = QuantizedTensor("y", (1,), 8, True, 0.02, -3)

REFERENCES = {
    "sigmoid": (tables.sigmoid, lambda v: 1 / (1 + math.exp(-v))),
    "tanh": (tables.tanh, math.tanh),
    "erf": (tables.erf, math.erf),
    "exp": (tables.exp, math.exp),
    "softplus": (tables.softplus, lambda v: math.log1p(math.exp(v))),
    "gelu": (tables.gelu, lambda v: v * (1 + math.erf(v / math.sqrt(2))) / 2),
    "gelu_tanh": (
        tables.gelu_tanh,
        lambda v: v * (1 + math.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3))) / 2,
    ),
    "hard_swish": (tables.hard_swish, lambda v: v * min(max(v + 3, 0), 6) / 6),
    "elu": (tables.elu(Decimal(2)), lambda v: v if v > 0 else 2 * math.expm1(v)),
    "log": (tables.log, lambda v: math.log(v) if v > 0 else -1e9),
    "sqrt": (tables.sqrt, lambda v: math.sqrt(max(v, 0))),
    "reciprocal": (tables.reciprocal, lambda v: 1 / v if v else 1e9),
    "cube": (tables.power(Decimal(3)), lambda v: v**3),
    "root": (tables.power(Decimal("0.5")), lambda v: math.sqrt(max(v, 0))),
    "silu": (tables.gated(tables.sigmoid), lambda v: v / (1 + math.exp(-v))),
}


@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_entries_are_the_nearest_steps(name: str) -> None:
    function, reference = REFERENCES[name]
    entries = tables.table(function, X, Y)
    assert entries.dtype == np.int8 and len(entries) == 256
    for index, entry in enumerate(entries.tolist()):
        exact = reference(0.05 * (index - 128 - 7)) / 0.02 - 3
        assert entry in (-128, 127) or abs(entry - exact) <= 0.5 + 1e-6
        if entry in (-128, 127):
            assert abs(min(max(exact, -128), 127) - entry) <= 0.5 + 1e-6


def test_halves_go_to_the_even_step() -> None:
    x = QuantizedTensor("x", (1,), 8, True, 1.0, 0)
    y = QuantizedTensor("y", (1,), 8, True, 2.0, 0)
    entries = tables.table(lambda v: v, x, y)
    assert entries[128:135].tolist() == [0, 0, 1, 2, 2, 2, 3]
    assert entries[127] == 0 and entries[125] == -2


def test_softmax_table() -> None:
    entries = tables.softmax_table(0.1)
    assert entries.dtype == np.int32
    expected = [round(2**23 * math.exp(-0.1 * d)) for d in range(256)]
    assert entries.tolist() == expected


def test_far_ends_do_not_break() -> None:
    x = QuantizedTensor("x", (1,), 8, True, 1e6, 0)
    assert tables.table(tables.exp, x, Y)[[0, 255]].tolist() == [-3, 127]
    assert tables.table(tables.erf, x, Y)[[0, 255]].tolist() == [-53, 47]
    assert tables.softmax_table(1e6)[:3].tolist() == [2**23, 0, 0]
