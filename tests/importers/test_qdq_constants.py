"""Weights, scales and zero points of quantized ONNX models, and where they may stand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from modelbuild.graph.kept_quantization import Kept, kept
from modelbuild.graph.normalise import normalise
from tests.importers.quantized import (
    BIAS,
    GENERATOR,
    SCALES,
    WEIGHT,
    WEIGHTS,
    X,
    Y,
    convolution,
    dq,
    imported,
    ops,
    q,
    save,
    scalar,
)  # fmt: skip


def test_weights_with_a_zero_point_are_dequantized_exactly(tmp_path: Path) -> None:
    codes = (WEIGHT.astype(np.int16) + 128).astype(np.uint8)
    changed: dict[str, Any] = {"w": codes, "w_s": np.float32(0.02), "w_z": np.uint8(131)}
    graph = imported(convolution(tmp_path, **changed))
    expected = (codes.astype(np.float32) - 131) * np.float32(0.02)
    assert np.array_equal(graph.constants["wf"], expected)
    assert kept(graph)["wf"] == Kept("uint8", (float(np.float32(0.02)),), (131,))


def test_float_weights_that_are_quantized_in_the_graph_are_rounded(tmp_path: Path) -> None:
    weight = GENERATOR.standard_normal((4, 3, 3, 3)).astype(np.float32)
    nodes = [
        q("w", "w", "wq", axis=0), dq("wq", "w", "wf", axis=0),
        helper.make_node("Conv", ["x", "wf"], ["y"], "conv"),
    ]  # fmt: skip
    graph = imported(save(tmp_path, nodes, {**WEIGHTS, "w": weight}))
    scales = SCALES.reshape(4, 1, 1, 1)
    expected = np.clip(np.rint(weight / scales), -128, 127).astype(np.float32) * scales
    assert np.array_equal(graph.constants["wf"], expected)
    assert kept(graph)["wf"].dtype == "int8"


@pytest.mark.parametrize("kind", [TensorProto.INT4, TensorProto.UINT4])
def test_weights_of_4_bits(tmp_path: Path, kind: int) -> None:
    path = convolution(tmp_path, opset=21)
    proto = onnx.load(path)
    low = -8 if kind == TensorProto.INT4 else 0
    codes = GENERATOR.integers(low, low + 16, WEIGHT.shape)
    for name, values in (("w", codes), ("w_z", np.full(4, low + 7))):
        (tensor,) = (item for item in proto.graph.initializer if item.name == name)
        tensor.CopyFrom(helper.make_tensor(name, kind, values.shape, values.reshape(-1).tolist()))
    path.write_bytes(proto.SerializeToString())
    graph = imported(path)
    expected = (codes - (low + 7)).astype(np.float32) * SCALES.reshape(4, 1, 1, 1)
    assert np.array_equal(graph.constants["wf"], expected)
    assert kept(graph)["wf"].zero_point == (low + 7,) * 4


BEHIND = {
    "Identity": lambda value: (value, {}),
    "Cast": lambda value: (value.astype(np.float64 if value.dtype.kind == "f" else np.int32),
                           {"to": helper.np_dtype_to_tensor_dtype(value.dtype)}),
    "Reshape": lambda value: (value.reshape(-1, 1), {}),
    "Squeeze": lambda value: (value[np.newaxis], {}),
    "Unsqueeze": lambda value: (value[0], {}),
}  # fmt: skip


@pytest.mark.parametrize(
    ("op", "name"),
    [(op, name) for op in BEHIND for name in ("w_s", "w_z", "w") if (op, name) != ("Unsqueeze", "w")],
)
def test_constants_may_stand_behind_operators(tmp_path: Path, op: str, name: str) -> None:
    """Codes, scales and zero points alike."""
    one = {"w_s": np.full(1, 0.02, np.float32), "w_z": np.zeros(1, np.int8)} if op == "Unsqueeze" else {}
    path = convolution(tmp_path, **one)
    proto = onnx.load(path)
    (tensor,) = (item for item in proto.graph.initializer if item.name == name)
    right = numpy_helper.to_array(tensor)
    held, attributes = BEHIND[op](right)
    tensor.CopyFrom(numpy_helper.from_array(np.array(held, order="C"), f"{name}_held"))
    inputs = [f"{name}_held"]
    if op in ("Reshape", "Squeeze", "Unsqueeze"):
        axes = np.array(right.shape if op == "Reshape" else [0], np.int64)
        proto.graph.initializer.append(numpy_helper.from_array(axes, "how"))
        inputs.append("how")
    proto.graph.node.insert(0, helper.make_node(op, inputs, [name], "before", **attributes))
    path.write_bytes(proto.SerializeToString())
    graph = imported(path)
    scales = one.get("w_s", SCALES).reshape(-1, 1, 1, 1)
    assert np.array_equal(graph.constants["wf"], WEIGHT.astype(np.float32) * scales)
    assert kept(graph)["wf"].scale == tuple(map(float, scales.reshape(-1))) and ops(graph) == ["Conv"]


def test_a_scale_computed_from_constants(tmp_path: Path) -> None:
    """As learned scales are exported: largest magnitude / 127."""
    largest = (SCALES * np.float32(127)).reshape(-1)
    path = convolution(tmp_path, w_m=largest, n=np.float32(127))
    proto = onnx.load(path)
    kept_tensors = [item for item in proto.graph.initializer if item.name != "w_s"]
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(kept_tensors)
    proto.graph.node.insert(0, helper.make_node("Div", ["w_m", "n"], ["w_s"], "divide"))
    path.write_bytes(proto.SerializeToString())
    assert kept(imported(path))["wf"].scale == tuple(map(float, largest / np.float32(127)))


def test_float_weights_behind_a_transpose_are_rounded_as_the_file_rounds_them(tmp_path: Path) -> None:
    weight = GENERATOR.standard_normal((3, 3, 3, 4)).astype(np.float32)
    nodes = [
        helper.make_node("Transpose", ["raw"], ["w"], "turn", perm=[3, 2, 0, 1]),
        q("w", "w", "wq", axis=0), dq("wq", "w", "wf", axis=0), q("x", "x", "xq"), dq("xq", "x", "xf"),
        helper.make_node("Conv", ["xf", "wf"], ["y"], "conv"),
    ]  # fmt: skip
    constants = {**WEIGHTS, **scalar(X, "x"), "raw": weight}
    del constants["w"]
    graph = imported(save(tmp_path, nodes, constants))
    scales = SCALES.reshape(4, 1, 1, 1)
    rounded = np.clip(np.rint(weight.transpose(3, 2, 0, 1) / scales), -128, 127).astype(np.float32)
    assert np.array_equal(graph.constants["wf"], rounded * scales) and kept(graph)["wf"].axis == 0


def test_quantized_weights_behind_a_transpose_keep_their_scales(tmp_path: Path) -> None:
    codes = GENERATOR.integers(-127, 128, (5, 6)).astype(np.int8)
    constants = {"w": codes, "w_s": np.arange(1, 6, dtype=np.float32) / 100, "w_z": np.zeros(5, np.int8)}
    nodes = [
        q("x", "x", "xq"), dq("xq", "x", "xf"), dq("w", "w", "wf", axis=0),
        helper.make_node("Transpose", ["wf"], ["wt"], "turn", perm=[1, 0]),
        helper.make_node("MatMul", ["xf", "wt"], ["y"], "product"),
    ]  # fmt: skip
    path = save(tmp_path, nodes, {**constants, **scalar(X, "x")}, shapes=([2, 6], [2, 5]))
    clean, _ = normalise(imported(path))
    (gemm,) = clean.nodes
    entry = kept(clean)[gemm.inputs[1]]
    assert (gemm.op, entry.axis, entry.scale) == ("Gemm", 0, tuple(map(float, constants["w_s"])))


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("bias", ["int32", "float", "int8", "none"])
def test_forms_of_bias(tmp_path: Path, bias: str, per_channel: bool) -> None:
    """int32 in steps of input times weights, float as PyTorch's QAT has it, 8 bits of their own."""
    kinds: dict[str, dict[str, Any]] = {
        "int32": {"b": BIAS, "b_s": SCALES * np.float32(0.05), "b_z": np.zeros(4, np.int32)},
        "int8": {"b": BIAS.clip(-99, 99).astype(np.int8), "b_s": np.float32(0.1), "b_z": np.int8(0)},
    }
    kind = kinds.get(bias, {})
    weights = WEIGHTS | ({} if per_channel else {"w_s": np.float32(0.02), "w_z": np.int8(3)})
    if not per_channel and bias == "int32":
        kind |= {"b_s": np.float32(0.001), "b_z": np.int32(0)}
    constants = {**weights, **scalar(X, "x"), **scalar(Y, "y"), **(kind or {"bf": BIAS.astype(np.float32)})}
    nodes = [q("x", "x", "xq"), dq("xq", "x", "xf"), dq("w", "w", "wf", axis=0)]
    nodes += [dq("b", "b", "bf", axis=0)] if kind else []
    inputs = ["xf", "wf", *(["bf"] if bias != "none" else [])]
    nodes += [helper.make_node("Conv", inputs, ["c"], "conv"), q("c", "y", "yq"), dq("yq", "y", "y")]
    graph = imported(save(tmp_path, nodes, constants))
    assert ops(graph) == ["Conv"] and kept(graph)["wf"].dtype == "int8"
    assert (kept(graph)["bf"].dtype if "bf" in kept(graph) else bias) == bias


def test_constant_codes_joined_to_others_become_numbers(tmp_path: Path) -> None:
    """As a class token that is quantized on its own."""
    codes = GENERATOR.integers(0, 256, (1, 2, 4)).astype(np.uint8)
    nodes = [
        q("x", "x", "xq"),
        helper.make_node("Concat", ["codes", "xq"], ["j"], "join", axis=1), dq("j", "x", "y"),
    ]  # fmt: skip
    path = save(tmp_path, nodes, {"codes": codes, **scalar(X, "x")}, shapes=([1, 3, 4], [1, 5, 4]))
    graph = imported(path)
    (join,) = (node for node in graph.nodes if node.op == "Concat")
    assert np.allclose(graph.constants[join.inputs[0]], (codes.astype(np.float32) - 100) * 0.05)


def test_an_embedding_of_codes_is_looked_up_in_numbers(tmp_path: Path) -> None:
    codes = GENERATOR.integers(0, 256, (9, 4)).astype(np.uint8)
    nodes = [helper.make_node("Gather", ["codes", "x"], ["g"], "look"), dq("g", "x", "y")]
    constants = {"codes": codes, **scalar(X, "x")}
    graph = imported(
        save(tmp_path, nodes, constants, (TensorProto.INT64, TensorProto.FLOAT), ([1, 3], [1, 3, 4]))
    )
    (look,) = (node for node in graph.nodes if node.op == "Gather")
    assert np.allclose(graph.constants[look.inputs[0]], (codes.astype(np.float32) - 100) * 0.05)
    assert kept(graph)[look.inputs[0]].zero_point == (100,)
