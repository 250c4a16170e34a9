"""Passes that bring Resize and strided Conv into the forms that a chip has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelbuild.graph.session import FloatSession
from tests.graph.small import after, graph, numbers, ops, untouched


def resize(height: float, width: float, *, sizes: bool = False, **attributes: Any) -> Any:
    """A Resize of a map of 4 rows and 5 columns by factors."""
    given = {"sizes": np.array([1, 2, int(4 * height), int(5 * width)], np.int64)}
    if not sizes:
        given = {"scales": np.array([1, 1, height, width], np.float32)}
    inputs = "x _ _ sizes" if sizes else "x _ scales"
    return graph([("Resize", inputs, "y", attributes)], given, x=(1, 2, 4, 5))


def equal(found: Any, before: Any) -> bool:
    x = {"x": numbers(1, 2, 4, 5)}
    return np.array_equal(FloatSession(found).run(x)["y"], FloatSession(before).run(x)["y"])


@pytest.mark.parametrize("sizes", [False, True])
@pytest.mark.parametrize(
    ("height", "width", "attributes"),
    [
        (2, 2, {}),
        (2, 2, {"nearest_mode": "round_prefer_ceil"}),
        (3, 1, {}),
        (2, 4, {"coordinate_transformation_mode": "pytorch_half_pixel"}),
    ],
)
def test_the_nearest_cell_by_another_formula(
    height: float, width: float, attributes: dict[str, Any], sizes: bool
) -> None:
    before = resize(height, width, sizes=sizes, mode="nearest", **attributes)
    found = after("resize_to_asymmetric", before)
    assert found.nodes[0].attributes["coordinate_transformation_mode"] == "asymmetric"
    assert found.nodes[0].attributes["nearest_mode"] == "floor"
    assert equal(found, before)


@pytest.mark.parametrize(
    "attributes",
    [
        {"mode": "linear"},
        {"mode": "nearest", "coordinate_transformation_mode": "align_corners"},
        {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "ceil"},
        {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
    ],
)
def test_other_cells_stay(attributes: dict[str, Any]) -> None:
    untouched("resize_to_asymmetric", resize(3, 3, **attributes))


@pytest.mark.parametrize("sizes", [False, True])
@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_rows_and_columns_one_after_the_other(mode: str, sizes: bool) -> None:
    before = resize(2, 3, sizes=sizes, mode=mode)
    found = after("resize_by_axis", before)
    assert ops(found) == ["Resize", "Resize"]
    assert found.shapes[found.nodes[0].outputs[0]] == (1, 2, 8, 5)
    assert mode == "linear" or equal(found, before)


def test_what_is_one_axis_or_not_separable_stays() -> None:
    untouched("resize_by_axis", resize(2, 1, mode="nearest"))
    untouched("resize_by_axis", resize(2, 2, mode="cubic"))


def conv(stride: tuple[int, int], group: int = 1, kernel: int = 3, size: int = 9, **attributes: Any) -> Any:
    weight = {"w": numbers(4, 4 // group, kernel, kernel), "b": numbers(4, seed=2)}
    settings = {"strides": [*stride], "pads": [1, 0, 1, 2], "group": group, "kernel_shape": [kernel] * 2}
    return graph([("Conv", "x w b", "y", settings | attributes)], weight, x=(1, 4, size, size))


@pytest.mark.parametrize(
    "before",
    [
        conv((3, 3)),
        conv((2, 2), group=4),
        conv((1, 2)),
        conv((4, 4), dilations=[2, 2]),
        conv((3, 3), kernel=1),
    ],
)
def test_large_strides_become_slices(before: Any) -> None:
    found = after("strided_conv_to_slice", before)
    assert ops(found) == ["Conv", "Slice"] and found.nodes[0].attributes["strides"] == [1, 1]


def test_an_activation_stays_beside_its_convolution() -> None:
    steps = [
        ("Conv", "x w", "c", {"strides": [2, 2], "group": 4, "kernel_shape": [3, 3]}),
        ("Clip", "c low high", "y"),
    ]
    constants = {"w": numbers(4, 1, 3, 3), "low": np.float32(0), "high": np.float32(0.5)}
    found = after("strided_conv_to_slice", graph(steps, constants, x=(1, 4, 9, 9)))
    assert ops(found) == ["Conv", "Clip", "Slice"]
    assert [node.name for node in found.nodes[:2]] == ["conv_0", "clip_1"]
    read_twice = [*steps, ("Add", "c y", "z")]
    found = after("strided_conv_to_slice", graph(read_twice, constants, x=(1, 4, 9, 9)))
    assert ops(found) == ["Conv", "Slice", "Clip", "Add"]


@pytest.mark.parametrize("before", [conv((2, 2)), conv((1, 1), group=4), conv((2, 2), group=2)])
def test_strides_that_a_pool_makes_stay(before: Any) -> None:
    untouched("strided_conv_to_slice", before)
