"""Slices and Transposes that a strided or 1x1 convolution with weights of 0 and 1 does as well."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelbuild.graph.session import FloatSession
from tests.graph.small import after, graph, numbers, only, ops, untouched


def focus(phases: list[tuple[int, int]], step: int = 2, size: int = 4) -> Any:
    """Each phase takes rows, then columns, at the step."""
    steps: list[Any] = []
    constants: dict[str, Any] = {"end": [2**31], "rows": [2], "columns": [3], "step": [step]}
    for row, column in phases:
        constants |= {f"s{row}": [row], f"s{column}": [column]}
        steps.append(("Slice", f"x s{row} end rows step", f"r{row}{column}"))
        steps.append(("Slice", f"r{row}{column} s{column} end columns step", f"p{row}{column}"))
    names = " ".join(f"p{row}{column}" for row, column in phases)
    steps.append(("Concat", names, "y", {"axis": 1}))
    arrays = {name: np.array(value, np.int64) for name, value in constants.items()}
    return graph(steps, arrays, x=(1, 2, size, size))


def test_a_focus_becomes_one_convolution() -> None:
    before = focus([(0, 0), (1, 0), (0, 1), (1, 1)])
    found = after("focus_to_conv", before)
    node = only(found, "Conv")
    assert node.attributes["strides"] == [2, 2]
    assert found.constants[node.inputs[1]].shape == (8, 2, 2, 2)
    x = numbers(1, 2, 4, 4)
    assert np.array_equal(FloatSession(found).run({"x": x})["y"], FloatSession(before).run({"x": x})["y"])


def test_slices_that_leave_the_end_out_stay() -> None:
    untouched("focus_to_conv", focus([(0, 0), (0, 0)], size=5))


def test_slices_that_begin_behind_the_step_stay() -> None:
    untouched("focus_to_conv", focus([(2, 0), (2, 1)], step=2))


def shuffle(perm: list[int]) -> Any:
    inner, outer = np.array([1, 2, 3, 4, 4], np.int64), np.array([1, 6, 4, 4], np.int64)
    steps = [
        ("Reshape", "x inner", "a"),
        ("Transpose", "a", "b", {"perm": perm}),
        ("Reshape", "b outer", "y"),
    ]
    return graph(steps, {"inner": inner, "outer": outer}, x=(1, 6, 4, 4))


def test_a_channel_shuffle_becomes_a_convolution_of_one_point() -> None:
    before = shuffle([0, 2, 1, 3, 4])
    found = after("channel_shuffle_to_conv", before)
    assert ops(found) == ["Conv"]
    assert only(found, "Conv").origin == ("reshape_0", "transpose_1", "reshape_2")
    x = numbers(1, 6, 4, 4)
    got = FloatSession(found).run({"x": x})["y"]
    assert np.array_equal(got, x[:, [0, 3, 1, 4, 2, 5]])


@pytest.mark.parametrize("perm", [[0, 2, 1, 4, 3], [0, 1, 2, 4, 3]])
def test_another_transpose_stays(perm: list[int]) -> None:
    untouched("channel_shuffle_to_conv", shuffle(perm))
