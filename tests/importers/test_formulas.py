"""The formulas that importers share, by their definitions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from modelbuild.importers.formulas import gelu_factors, same_pads

_OPERATORS: Mapping[str, Callable[..., Any]] = {
    "Mul": np.multiply,
    "Add": np.add,
    "Tanh": np.tanh,
    "Erf": np.vectorize(math.erf),
}


@pytest.mark.parametrize("approximate", [False, True])
def test_gelu_is_x_times_the_normal_distribution(approximate: bool) -> None:
    values = {"x": np.linspace(-4, 4, 33)}

    def keep(value: object) -> str:
        values[name := f"v{len(values)}"] = np.asarray(value)
        return name

    def make(op: str, *inputs: str) -> str:
        return keep(_OPERATORS[op](*(values[name] for name in inputs)))

    first, second = gelu_factors(make, keep, "x", approximate)
    expected = [x * (1 + math.erf(x / math.sqrt(2))) / 2 for x in values["x"]]
    np.testing.assert_allclose(values[first] * values[second], expected, atol=5e-4 if approximate else 1e-12)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [((7, 3, 1, 1), (1, 1)), ((6, 3, 2, 1), (0, 1)), ((6, 3, 1, 2), (2, 2)), ((4, 1, 2, 1), (0, 0))],
)
def test_same_padding_has_its_odd_cell_last(
    numbers: tuple[int, int, int, int], expected: tuple[int, int]
) -> None:
    assert same_pads(*numbers) == expected
