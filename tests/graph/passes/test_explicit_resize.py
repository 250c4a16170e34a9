"""Enlargements in one form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.graph.small import after, graph, only, ops, untouched

ONE_FORM = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"mode": "nearest", "coordinate_transformation_mode": "half_pixel"},
        {"mode": "nearest", "coordinate_transformation_mode": "pytorch_half_pixel"},
        {"mode": "nearest", "nearest_mode": "round_prefer_ceil"},
    ],
)
@pytest.mark.parametrize("factors", [[1, 1, 2, 2], [1, 1, 3, 1], [1, 1, 4, 5]])
def test_nearest(attributes: dict[str, Any], factors: list[int]) -> None:
    scales = {"s": np.array(factors, np.float32)}
    result = after("explicit_resize", graph([("Resize", "x _ s", "y", attributes)], scales, x=(1, 2, 3, 4)))
    assert only(result, "Resize").attributes == ONE_FORM


def test_sizes_become_scales() -> None:
    attributes = {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"}
    before = graph([("Resize", "x _ _ s", "y", attributes)], {"s": [1, 2, 6, 8]}, x=(1, 2, 3, 4))
    node = only(after("explicit_resize", before), "Resize")
    assert len(node.inputs) == 3 and node.attributes["coordinate_transformation_mode"] == "half_pixel"


def test_one_cell_is_repeated_in_any_mode() -> None:
    for mode in ("linear", "cubic"):
        attributes = {"mode": mode, "coordinate_transformation_mode": "align_corners"}
        before = graph([("Resize", "x _ _ s", "y", attributes)], {"s": [1, 2, 6, 8]}, x=(1, 2, 1, 1))
        assert only(after("explicit_resize", before), "Resize").attributes == ONE_FORM


@pytest.mark.parametrize(
    ("attributes", "sizes"),
    [
        ({"mode": "nearest", "coordinate_transformation_mode": "align_corners"}, [1, 2, 6, 8]),
        (
            {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "ceil"},
            [1, 2, 6, 8],
        ),
        ({"mode": "linear", "coordinate_transformation_mode": "align_corners"}, [1, 2, 6, 8]),
    ],
)
def test_what_takes_other_cells_keeps_its_coordinates(attributes: dict[str, Any], sizes: list[int]) -> None:
    before = graph([("Resize", "x _ _ s", "y", attributes)], {"s": sizes}, x=(1, 2, 3, 4))
    assert only(after("explicit_resize", before), "Resize").attributes == attributes


def test_other_factors_stay() -> None:
    untouched("explicit_resize", graph([("Resize", "x _ _ s", "y")], {"s": [1, 2, 5, 7]}, x=(1, 2, 3, 4)))
    scales = {"s": np.array([1, 1, 2.1, 2], np.float32)}
    untouched("explicit_resize", graph([("Resize", "x _ s", "y")], scales, x=(1, 2, 3, 4)))


def test_a_split_of_which_one_part_is_read() -> None:
    before = graph(
        [("Split", "x n", ["a", "b", "c"], {"axis": 1}), ("Relu", "b", "y")], {"n": [1, 2, 1]}, x=(1, 4, 2, 2)
    )
    result = after("split_to_one_slice", before)
    assert ops(result) == ["Slice", "Relu"]
    both = graph([("Split", "x", ["a", "b"], {"axis": 1}), ("Add", "a b", "y")])
    untouched("split_to_one_slice", both)


def test_a_picture_without_cells_stays() -> None:
    """Shapes are claims of a file until ONNX's own inference refuses them."""
    before = graph([("Resize", "x _ s", "y")], {"s": np.array([1, 1, 2, 2], np.float32)}, x=(1, 2, 3, 4))
    for name, shape in (("x", (1, 2, 0, 4)), ("y", (1, 2, 0, 8))):
        before.shapes[name] = shape
        untouched("explicit_resize", before)
