"""A small model as an exporter leaves it, and how what `convert` wrote is looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

SHAPE = [1, 3, 8, 8]


def numbers(*shape: int, seed: int = 1) -> Any:
    """Floats of a standard normal."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def save(path: Path, shape: list[Any], opset: int = 13) -> onnx.ModelProto:
    """Conv, BatchNormalization, Relu, and Softmax over the channels, as an exporter leaves them."""
    parameters = {key: np.abs(numbers(4, seed=i)) + 0.1 for i, key in enumerate(("s", "b", "m", "v"))}
    constants = {"w": numbers(4, 3, 3, 3), **parameters}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="conv", kernel_shape=[3, 3]),
        helper.make_node("BatchNormalization", ["c", "s", "b", "m", "v"], ["n"], name="norm"),
        helper.make_node("Identity", ["n"], ["i"], name="same"),
        helper.make_node("Relu", ["i"], ["r"], name="relu"),
        helper.make_node("Softmax", ["r"], ["y"], name="soft", axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=7, producer_name="test")
    onnx.save(model, str(path))
    return model


def ran(path: Path, x: Any) -> dict[str, Any]:
    """Its outputs by name, of `x` at the only input."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {session.get_inputs()[0].name: x}), strict=True))


def ops(path: Path) -> list[str]:
    """The operators of an ONNX file, in its order."""
    return [node.op_type for node in onnx.load(str(path)).graph.node]
