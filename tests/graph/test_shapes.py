"""Shapes of every tensor, or the first that has none."""

from __future__ import annotations

import numpy as np
import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.graph import shapes
from tests.graph.small import Step, graph, numbers


def test_shape_arithmetic_reaches_a_reshape() -> None:
    steps: list[Step] = [("Shape", "x", "s"), ("Slice", "s a b", "n"), ("Concat", "n c", "t", {"axis": 0})]
    found = graph([*steps, ("Reshape", "x t", "y")], {"a": [0], "b": [2], "c": [-1]})
    assert found.shapes["y"] == (1, 2, 16)
    assert shapes.known_values(found)["t"].tolist() == [1, 2, -1]
    assert found.dtypes["s"] == np.int64


def test_a_shape_that_depends_on_data_names_the_tensor() -> None:
    with pytest.raises(
        ModelbuildError, match="the tensor `y`, made by NonZero `nonzero_0`, has no static shape"
    ):
        graph([("NonZero", "x", "y")])


def test_a_window_that_begins_behind_the_picture_is_left_out() -> None:
    attributes = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [2, 2, 2, 1], "ceil_mode": 1}
    assert graph([("MaxPool", "x", "y", attributes)], x=(1, 1, 8, 6)).shapes["y"] == (1, 1, 5, 4)


def test_an_enormous_tensor_is_refused_without_being_made() -> None:
    with pytest.raises(ModelbuildError, match="at most"):
        graph([("Expand", "x n", "y")], {"n": [1, 2**30, 4, 4]}, x=(1, 1, 4, 4))
    with pytest.raises(ModelbuildError, match="at most"):
        graph([("ConstantOfShape", "n", "c"), ("Add", "x c", "y")], {"n": [2**40, 1, 1, 1]})


@pytest.mark.parametrize(
    ("step", "constants"),
    [
        (("Conv", "x w", "y"), {"w": numbers(3, 3, 1, 1)}),
        (("Concat", "x x", "y", {"axis": 7}), {}),
        (("Reshape", "x t", "y"), {"t": [3, -1]}),
        (("NoSuchOperator", "x", "y"), {}),
        (("Relu", "x", "y", {"alpha": 1.0}), {}),
        (("Slice", "x s e a", "y"), {"s": [4], "e": [4], "a": [2]}),
    ],
)
def test_a_node_that_does_not_fit_is_named(step: Step, constants: dict[str, object]) -> None:
    with pytest.raises(ModelbuildError, match=f"{step[0]} `{step[0].lower()}_0`"):
        graph([step], constants)
