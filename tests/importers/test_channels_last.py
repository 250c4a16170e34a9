"""The writer for channels-last sources: orders of the axes, names, and the border."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Graph
from modelbuild.importers import channels_last_operators as ops
from modelbuild.importers.channels_last import Writer, channels_first


def ones(*shape: int) -> Any:
    return np.ones(shape, np.float32)


def writer(shape: tuple[int, ...] = (1, 6, 4, 3), **names: Any) -> Writer:
    w = Writer("m", **names)
    w.input("x", shape)
    w.begin("layer")
    return w


def conv(w: Writer, data: str, output: str) -> None:
    channels = w.shape(data)[-1]
    ops.spatial(w, "Conv", data, [w.parameter("w", ones(3, channels, 1, 1))], output)


def ops_of(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes]


def test_channels_first() -> None:
    assert [channels_first(rank) for rank in (2, 3, 4, 5)] == [
        (0, 1),
        (0, 2, 1),
        (0, 3, 1, 2),
        (0, 4, 1, 2, 3),
    ]


def test_shapes_and_axes_are_the_source_s_and_nothing_is_transposed() -> None:
    w = writer()
    conv(w, "x", "a")
    w.constant("bias", np.arange(3, dtype=np.float32))
    ops.elementwise(w, "Add", ["a", "bias"], "b")
    ops.along(w, "Concat", ["a", "b"], ["c"], 3)
    ops.pad(w, "c", "d", [(0, 0), (1, 2), (0, 0), (0, 0)])
    ops.reduce(w, "ReduceMean", "d", "e", [1, 2], keep=False)
    assert [w.shape(name) for name in "abcde"] == [
        (1, 6, 4, 3),
        (1, 6, 4, 3),
        (1, 6, 4, 6),
        (1, 9, 4, 6),
        (1, 6),
    ]
    graph = w.finish(["e"])
    assert ops_of(graph) == ["Conv", "Add", "Concat", "Pad", "ReduceMean"]
    assert graph.shapes["x"] == (1, 3, 6, 4)
    assert graph.constants[graph.nodes[1].inputs[1]].shape == (1, 3, 1, 1)


def test_a_reshape_of_a_picture_needs_the_source_s_order_once() -> None:
    w = writer()
    ops.reshape(w, "x", "a", (1, 72))
    ops.reshape(w, "x", "b", (24, 3))
    graph = w.finish(["a", "b"])
    assert ops_of(graph) == ["Transpose", "Reshape", "Reshape"]


@pytest.mark.parametrize("shape", [(6, 4, 3), (1, 6, 1, 4, 3)])
def test_a_reshape_that_moves_axes_of_one_needs_no_transpose(shape: tuple[int, ...]) -> None:
    w = writer()
    ops.reshape(w, "x", "a", shape)
    assert w.shape("a") == shape
    assert ops_of(w.graph) == ["Reshape"]


def test_a_lower_rank_broadcasts_from_the_last_axis() -> None:
    w = writer()
    w.input("row", (4, 3))
    ops.elementwise(w, "Mul", ["x", "row"], "y")
    graph = w.finish(["y"])
    assert graph.shapes["y"] == (1, 3, 6, 4)
    assert ops_of(graph) == ["Reshape", "Transpose", "Mul"]


def test_names_of_the_source_are_kept_for_it() -> None:
    w = writer(tensors=["x", "y", "y_sizes", "z"], layers=["layer", "layer_relu", "z"])
    ops.split(w, "x", ["y", "u"], 3, [1, 2])
    ops.elementwise(w, "Relu", ["y"], "y_sizes")
    w.begin("layer_relu")
    ops.elementwise(w, "Relu", ["u"], "z")
    graph = w.finish(["y_sizes", "z"])
    assert [node.name for node in graph.nodes] == ["layer", "layer_relu_1", "layer_relu"]
    assert [node.origin for node in graph.nodes] == [("layer",), ("layer",), ("layer_relu",)]
    assert graph.nodes[0].inputs[1] == "y_sizes_1"


def test_a_tensor_made_twice_is_an_error() -> None:
    w = writer()
    ops.elementwise(w, "Relu", ["x"], "y")
    with pytest.raises(ModelbuildError, match="`y` is made twice"):
        ops.elementwise(w, "Relu", ["x"], "y")
    with pytest.raises(ModelbuildError, match="nothing makes the model's output `z`"):
        w.finish(["z"])


def test_outputs_are_channels_first_under_the_source_s_name() -> None:
    w = writer((2, 60))
    ops.reshape(w, "x", "y", (2, 5, 4, 3))
    ops.reshape(w, "x", "z", (2, 5, 4, 3))
    graph = w.finish(["y", "z"], keep_order=["z"])
    assert (graph.shapes["y"], graph.shapes["z"]) == ((2, 3, 5, 4), (2, 5, 4, 3))
    assert w.layouts(graph) == {"y": "NHWC"}
    graph.outputs = ["v", "z"]
    assert w.layouts(graph, [{"rename": {"y": "v"}}]) == {"v": "NHWC"}


@pytest.mark.parametrize(
    ("at", "left"), [("x", ["x", "y"]), ("y", ["x"]), ("layer", ["x"]), ("t", ["x", "y"])]
)
def test_a_transpose_of_the_user_takes_the_layout_of_its_output_alone(at: str, left: list[str]) -> None:
    w = writer()
    conv(w, "x", "t")
    w.begin("act")
    ops.elementwise(w, "Relu", ["t"], "y")
    graph = w.finish(["y"])
    names = {"layer": "act"}.get(at, at)
    turn = {"insert": {"at": names, "op": "Transpose", "attributes": {"perm": [0, 2, 3, 1]}}}
    assert sorted(w.layouts(graph, [turn])) == left


def test_values_that_do_not_depend_on_the_input_are_known() -> None:
    w = writer()
    w.constant("a", np.array([[1, 2], [3, 4]], np.int64))
    w.constant("b", np.array([10, 20], np.int64))
    ops.elementwise(w, "Add", ["a", "b"], "c")
    ops.transpose(w, "c", "d", [1, 0])
    found = w.value("d")
    assert found is not None
    np.testing.assert_array_equal(found, [[11, 13], [22, 24]])
    assert w.value("x") is None


def test_a_node_that_is_not_valid_is_named() -> None:
    w = writer()
    with pytest.raises(ModelbuildError, match="Conv `layer` is not valid"):
        ops.spatial(w, "Conv", "x", [w.parameter("w", ones(3, 5, 1, 1))], "y")


def test_tensors_of_different_ranks_are_not_joined() -> None:
    w = writer()
    w.input("row", (4, 3))
    with pytest.raises(ModelbuildError, match="layer `layer` takes `row` for a tensor of 4 axes"):
        ops.along(w, "Concat", ["x", "row"], ["y"], 1)
