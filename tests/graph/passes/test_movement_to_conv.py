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


def parted(steps: list[Any], *cuts: tuple[int, int, int], **more: Any) -> Any:
    """`steps`, and a Slice along the channels for each (start, end, step) of what they make, `m`."""
    constants: dict[str, Any] = {"axis": [1], **more}
    parts = []
    for index, cut in enumerate(cuts):
        names = [f"{which}{index}" for which in ("start", "end", "step")]
        constants |= {name: [value] for name, value in zip(names, cut, strict=True)}
        start, end, step = names
        parts.append(("Slice", f"m {start} {end} axis {step}", f"y{index}"))
    found = graph([*steps, *parts], constants)
    found.outputs = [f"y{index}" for index in range(len(cuts))]
    return found


RELU = [("Conv", "x w b", "a"), ("Relu", "a", "m")]
WEIGHTS = {"w": numbers(6, 2, 3, 3), "b": numbers(6, seed=2)}


def test_channels_that_an_activation_makes_are_taken_by_convolutions_of_one_point() -> None:
    before = parted(RELU, (0, 4, 1), (5, -7, -2), **WEIGHTS)
    found = after("channel_slice_to_conv", before)
    assert ops(found) == ["Conv", "Relu", "Conv", "Conv"]
    assert [found.shapes[name] for name in found.outputs] == [(1, 4, 2, 2), (1, 3, 2, 2)]
    x = {"x": numbers(1, 2, 4, 4)}
    wanted, got = FloatSession(before).run(x), FloatSession(found).run(x)
    assert all(np.array_equal(got[name], wanted[name]) for name in found.outputs)


def test_a_convolution_that_is_parted_at_once_is_parted_itself() -> None:
    conv = [("Conv", "x w b", "m")]
    found = after("channel_slice_to_conv", parted(conv, (0, 2, 1), (2, 6, 1), **WEIGHTS))
    assert ops(found) == ["Conv", "Conv"] and {node.inputs[0] for node in found.nodes} == {"x"}
    assert [node.origin for node in found.nodes] == [("conv_0", "slice_1"), ("conv_0", "slice_2")]
    assert found.constants[found.nodes[1].inputs[1]].shape == (4, 2, 3, 3)


def test_a_convolution_that_others_read_stays_whole() -> None:
    before = parted([("Conv", "x w b", "m"), ("Neg", "m", "n")], (0, 2, 1), **WEIGHTS)
    before.outputs = ["y0", "n"]
    assert ops(after("channel_slice_to_conv", before)) == ["Conv", "Neg", "Conv"]
    depthwise = parted([("Conv", "x w", "m", {"group": 2})], (0, 1, 1), w=numbers(2, 1, 3, 3))
    assert ops(after("channel_slice_to_conv", depthwise)) == ["Conv", "Conv"]


def test_slices_of_rows_and_of_signals_stay() -> None:
    rows = {"s": [0], "e": [1], "a": [2], "t": [1]}
    untouched("channel_slice_to_conv", graph([("Slice", "x s e a t", "y")], rows))
    signal = graph([("Slice", "x s e a t", "y")], {**rows, "a": [1]}, x=(1, 4, 6))
    untouched("channel_slice_to_conv", signal)
    both = {"s": [0, 0], "e": [1, 2], "a": [1, 3], "t": [1, 1]}
    untouched("channel_slice_to_conv", graph([("Slice", "x s e a t", "y")], both))
