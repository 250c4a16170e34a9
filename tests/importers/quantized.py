"""Small quantized ONNX files, and what every import of one must keep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from modelbuild import importers
from modelbuild.errors import ModelbuildError
from modelbuild.graph import onnx_io
from modelbuild.graph.kept_quantization import Kept
from modelbuild.graph.model import Graph
from modelbuild.graph.normalise import normalise

FLOAT, INT8, UINT8 = TensorProto.FLOAT, TensorProto.INT8, TensorProto.UINT8
GENERATOR = np.random.default_rng(5)
WEIGHT = GENERATOR.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8)
BIAS = GENERATOR.integers(-900, 900, 4).astype(np.int32)
SCALES = np.array([0.01, 0.02, 0.005, 0.03], np.float32)
X, Y = Kept("uint8", (0.05,), (100,)), Kept("int8", (0.5,), (-3,))


def scalar(entry: Kept, base: str) -> dict[str, Any]:
    """The constants of a per-tensor quantization, called `<base>_s` and `<base>_z`."""
    zero = np.array(entry.zero_point[0], entry.dtype)
    return {f"{base}_s": np.float32(entry.scale[0]), f"{base}_z": zero}


def save(
    folder: Path,
    nodes: list[onnx.NodeProto],
    constants: dict[str, Any],
    kinds: tuple[int, int] = (FLOAT, FLOAT),
    shapes: tuple[list[int], list[int]] = ([1, 3, 6, 6], [1, 4, 4, 4]),
    opset: int = 13,
) -> Path:
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    ports = [helper.make_tensor_value_info(n, k, s) for n, k, s in zip("xy", kinds, shapes, strict=True)]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], tensors)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    path = folder / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def q(source: str, base: str, target: str, **attributes: Any) -> onnx.NodeProto:
    inputs = [source, f"{base}_s", f"{base}_z"]
    return helper.make_node("QuantizeLinear", inputs, [target], f"q_{target}", **attributes)


def dq(source: str, base: str, target: str, **attributes: Any) -> onnx.NodeProto:
    inputs = [source, f"{base}_s", f"{base}_z"]
    return helper.make_node("DequantizeLinear", inputs, [target], f"dq_{target}", **attributes)


WEIGHTS: dict[str, Any] = {
    "w": WEIGHT, "w_s": SCALES, "w_z": np.zeros(4, np.int8),
    "b": BIAS, "b_s": SCALES * np.float32(0.05), "b_z": np.zeros(4, np.int32),
}  # fmt: skip


def convolution(folder: Path, y: Kept = Y, opset: int = 13, **changed: Any) -> Path:
    """x float -> Q DQ -> Conv -> Q DQ -> y float."""
    axis = {} if opset < 13 else {"axis": 0}
    nodes = [
        q("x", "x", "xq"), dq("xq", "x", "xf"), dq("w", "w", "wf", **axis), dq("b", "b", "bf", **axis),
        helper.make_node("Conv", ["xf", "wf", "bf"], ["c"], "conv"), q("c", "y", "yq"), dq("yq", "y", "y"),
    ]  # fmt: skip
    return save(folder, nodes, {**WEIGHTS, **scalar(X, "x"), **scalar(y, "y"), **changed}, opset=opset)


def imported(path: Path) -> Graph:
    """The graph, held against the file; it is float between its ports."""
    graph = importers.load(path)
    importers.check(path, graph)
    inner = {name for node in graph.nodes for name in node.outputs} - set(graph.outputs)
    assert all(graph.dtypes[name] == np.float32 for name in inner)
    return graph


def ports(graph: Graph) -> list[tuple[str, str, tuple[int, ...]]]:
    names = [*graph.inputs, *graph.outputs]
    return [(name, str(graph.dtypes[name]), graph.shapes[name]) for name in names]


def ops(graph: Graph) -> list[str]:
    return [node.op for node in normalise(graph)[0].nodes]


def write(graph: Graph, path: Path) -> Path:
    onnx_io.write(graph, path)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ModelbuildError) as caught:
        importers.load(path)
    assert caught.value.exit_code == 2
    return str(caught.value)
