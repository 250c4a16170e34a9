"""auto_pad, ceil_mode and defaults written out."""

from __future__ import annotations

import pytest

from tests.graph.small import after, graph, numbers, only


@pytest.mark.parametrize(
    ("mode", "pads"),
    [("SAME_UPPER", [0, 0, 1, 1]), ("SAME_LOWER", [1, 1, 0, 0]), ("VALID", [0, 0, 0, 0])],
)
def test_auto_pad_of_conv(mode: str, pads: list[int]) -> None:
    step = ("Conv", "x w", "y", {"auto_pad": mode, "strides": [2, 2]})
    conv = only(after("explicit_windows", graph([step], {"w": numbers(3, 2, 3, 3)})), "Conv")
    assert conv.attributes == {
        "kernel_shape": [3, 3], "strides": [2, 2], "dilations": [1, 1], "group": 1, "pads": pads,
    }  # fmt: skip


def test_output_shape_of_conv_transpose() -> None:
    attributes = {"output_shape": [7, 7], "strides": [2, 2], "kernel_shape": [3, 3]}
    before = graph([("ConvTranspose", "x w", "y", attributes)], {"w": numbers(2, 3, 3, 3)})
    node = only(after("explicit_windows", before), "ConvTranspose")
    assert node.attributes["pads"] == [1, 1, 1, 1]
    assert "output_shape" not in node.attributes


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
def test_ceil_mode_becomes_padding_behind(op: str) -> None:
    step = (op, "x", "y", {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1})
    pool = only(after("explicit_windows", graph([step])), op)
    assert pool.attributes["pads"] == [0, 0, 1, 1]
    assert "ceil_mode" not in pool.attributes


def test_ceil_mode_beside_counted_padding_counts_no_further_than_the_padding() -> None:
    attributes = {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1, "count_include_pad": 1}
    step = ("AveragePool", "x", "y", {**attributes, "pads": [1, 1, 0, 0]})
    result = after("explicit_windows", graph([step], x=(1, 2, 5, 5)))
    pad, pool = result.nodes
    assert result.constants[pad.inputs[1]].tolist() == [0, 0, 1, 1, 0, 0, 0, 0]
    assert pool.attributes == {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [0, 0, 1, 1]}


def test_ceil_mode_that_adds_nothing_leaves_the_padding_counted() -> None:
    attributes = {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1, "count_include_pad": 1}
    step = ("AveragePool", "x", "y", {**attributes, "pads": [1, 1, 1, 1]})
    pool = only(after("explicit_windows", graph([step], x=(1, 2, 5, 5))), "AveragePool")
    assert pool.attributes["pads"] == [1, 1, 1, 1] and pool.attributes["count_include_pad"] == 1
