"""Shape inference of models that are made to take much: refused before it begins, and nothing else is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from modelbuild.artifacts.inspect import inspect
from modelbuild.artifacts.inspectors import onnx_shapes
from modelbuild.errors import ModelbuildError


def model(nodes: list[NodeProto], *weights: TensorProto, shape: tuple[int, ...] = (1, 4)) -> onnx.ModelProto:
    """x -> the nodes -> y."""
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        list(weights),
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def array(name: str, values: Any) -> TensorProto:
    return numpy_helper.from_array(np.asarray(values), name)


def chain(op: str, reads: list[str], count: int, **attributes: Any) -> list[NodeProto]:
    """s0 -> s1 ... each node reads the one before as often as `reads` says "s"."""
    return [
        helper.make_node(
            op, [f"s{i}" if name == "s" else name for name in reads], [f"s{i + 1}"], **attributes
        )
        for i in range(count)
    ]


RELU = helper.make_node("Relu", ["x"], ["y"])
RESHAPE = helper.make_node("Reshape", ["x", "s40"], ["y"])
FIRST = helper.make_node("Identity", ["x"], ["s0"])
BOMBS = {
    "values doubled": model([*chain("Concat", ["s", "s"], 40, axis=0), RESHAPE], array("s0", [1, 2])),
    "a shape doubled": model(
        [helper.make_node("Shape", ["x"], ["s0"]), *chain("Concat", ["s", "s"], 40, axis=0), RESHAPE]
    ),
    "axes doubled": model([FIRST, *chain("Gather", ["s", "s"], 40)]),
    "axes added": model([FIRST, *chain("Unsqueeze", ["s", "axes"], 400)], array("axes", np.arange(1000))),
    "many axes again and again": model(
        [helper.make_node("Reshape", ["x", "sizes"], [f"y{i}"]) for i in range(300)],
        array("sizes", np.ones(10_000, np.int64)),
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_shapes_that_grow_without_bound_are_not_inferred(name: str, tmp_path: Path) -> None:
    assert onnx_shapes.inferred(BOMBS[name]) is None
    (tmp_path / "m.onnx").write_bytes(BOMBS[name].SerializeToString())
    assert inspect(tmp_path / "m.onnx", nodes=True)["models"][0]["macs"] is None


def test_a_deep_network_is() -> None:
    """With sums, joints and shapes that are worked out, as exporters write them."""
    nodes, before = [], "x"
    for i in range(300):
        nodes += [
            helper.make_node("Shape", [before], [f"shape{i}"]),
            helper.make_node("Gather", [f"shape{i}", "zero"], [f"batch{i}"], axis=0),
            helper.make_node("Unsqueeze", [f"batch{i}", "axis"], [f"size{i}"]),
            helper.make_node("Concat", [f"size{i}", "rest"], [f"to{i}"], axis=0),
            helper.make_node("Add", [before, before], [f"sum{i}"]),
            helper.make_node("Reshape", [f"sum{i}", f"to{i}"], [f"r{i}"]),
        ]
        before = f"r{i}"
    nodes.append(helper.make_node("MatMul", [before, "w"], ["y"]))
    found = model(
        nodes,
        array("zero", 0),
        array("axis", [0]),
        array("rest", [4]),
        array("w", np.zeros((4, 5), np.float32)),
    )
    graph = onnx_shapes.inferred(found)
    assert graph is not None
    shapes = {value.name: value.type.tensor_type.shape for value in graph.value_info}
    assert [dim.dim_value for dim in shapes["r299"].dim] == [1, 4]


@pytest.mark.parametrize(
    "found",
    [
        model([RELU], TensorProto(name="w", data_type=1, dims=[1 << 62] * 300)),
        model([helper.make_node("Constant", [], ["c"], value=TensorProto(dims=[1 << 62] * 65)), RELU]),
        model([RELU], shape=(1 << 62,) * 65),
    ],
    ids=["initializer", "constant", "input"],
)
def test_too_many_axes_are_refused(found: onnx.ModelProto, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(found.SerializeToString())
    with pytest.raises(ModelbuildError, match="too many axes") as raised:
        inspect(tmp_path / "m.onnx")
    assert raised.value.exit_code == 2
