"""The ways in which quantizers write their models: all are read, and give what their file gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnxruntime import quantization

from modelbuild import importers
from modelbuild.graph.kept_quantization import Kept, kept
from modelbuild.graph.normalise import normalise
from modelbuild.graph.session import FloatSession
from tests.importers.quantized import (
    GENERATOR,
    INT8,
    SCALES,
    WEIGHT,
    WEIGHTS,
    X,
    Y,
    dq,
    imported,
    ops,
    q,
    save,
    scalar,
)  # fmt: skip


def test_codes_pass_through_operators_that_move_them(tmp_path: Path) -> None:
    pads = np.array([0, 0, 1, 1, 0, 0, 1, 1])
    nodes = [
        q("x", "x", "xq"), helper.make_node("MaxPool", ["xq"], ["m"], "m", kernel_shape=[3, 3]),
        helper.make_node("Pad", ["m", "pads", "x_z"], ["p"], "p"),
        helper.make_node("Pad", ["p", "pads"], ["o"], "code_0"),
        helper.make_node("Concat", ["o", "o"], ["c"], "c", axis=1), dq("c", "x", "y"),
    ]  # fmt: skip
    constants = {"pads": pads, **scalar(X, "x")}
    graph = imported(save(tmp_path, nodes, constants, shapes=([1, 3, 6, 6], [1, 6, 8, 8])))
    pad = {node.name: node for node in graph.nodes}
    assert graph.constants[pad["p"].inputs[2]] == 0.0
    assert graph.constants[pad["code_0"].inputs[2]] == pytest.approx(-5.0)
    assert kept(graph)["m"] == kept(graph)["c"] == kept(graph)["x"]


def test_qlinear_operators(tmp_path: Path) -> None:
    inputs = ["xq", "x_s", "x_z", "w", "w_s", "w_z", "y_s", "y_z", "b"]
    matrix = ["f", "y_s", "y_z", "m", "m_s", "m_z", "z_s", "z_z"]
    nodes = [
        q("x", "x", "xq"), helper.make_node("QLinearConv", inputs, ["c"], "conv"),
        helper.make_node("Flatten", ["c"], ["f"], "f"),
        helper.make_node("QLinearMatMul", matrix, ["p"], "product"), dq("p", "z", "y"),
    ]  # fmt: skip
    y, z = Kept("uint8", (0.5,), (125,)), Kept("uint8", (2.0,), (133,))
    constants = {**WEIGHTS, **scalar(X, "x"), **scalar(y, "y"), **scalar(z, "z")}
    constants |= {"m": GENERATOR.integers(-127, 128, (64, 4)).astype(np.int8)}
    constants |= {"m_s": np.float32(0.02), "m_z": np.int8(0)}
    graph = imported(save(tmp_path, nodes, constants, shapes=([1, 3, 6, 6], [1, 4])))
    assert {"Conv", "MatMul"} <= {node.op for node in graph.nodes}
    assert kept(graph)["y"] == z and kept(graph)["c"] == y
    conv = next(node for node in graph.nodes if node.op == "Conv")
    assert kept(graph)[conv.inputs[2]].scale == tuple(map(float, np.float32(0.05) * SCALES))


class Pictures:
    """Samples for onnxruntime's quantizer."""

    def __init__(self) -> None:
        generator = np.random.default_rng(3)
        self._left = [generator.standard_normal((1, 4, 8, 8)).astype(np.float32) for _ in range(4)]

    def get_next(self) -> dict[str, Any] | None:
        return {"x": self._left.pop()} if self._left else None


def network(folder: Path) -> Path:
    """Most of what onnxruntime's quantizer has integer operators for."""
    generator = np.random.default_rng(2)
    constants = {
        "w": generator.standard_normal((4, 4, 3, 3)) / 6, "b": generator.standard_normal(4),
        "m": generator.standard_normal((8, 5)), "n": generator.standard_normal(5),
    }  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"], "relu"),
        helper.make_node("Add", ["r", "x"], ["s"], "sum"),
        helper.make_node("LeakyRelu", ["s"], ["l"], "leaky", alpha=0.2),
        helper.make_node("Sigmoid", ["s"], ["g"], "gate"),
        helper.make_node("Mul", ["l", "g"], ["p"], "product"),
        helper.make_node("Concat", ["p", "r"], ["j"], "join", axis=1),
        helper.make_node("AveragePool", ["j"], ["a"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("GlobalAveragePool", ["a"], ["v"], "average"),
        helper.make_node("Flatten", ["v"], ["f"], "flat"),
        helper.make_node("Gemm", ["f", "m", "n"], ["d"], "dense"),
        helper.make_node("Softmax", ["d"], ["y"], "softmax"),
    ]
    floats = {name: value.astype(np.float32) for name, value in constants.items()}
    return save(folder, nodes, floats, shapes=([1, 4, 8, 8], [1, 5]))


@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
@pytest.mark.parametrize("activations", ["QUInt8", "QInt8"])
@pytest.mark.parametrize("per_channel", [False, True])
def test_what_onnxruntime_quantizes_is_read(
    tmp_path: Path, form: str, activations: str, per_channel: bool
) -> None:
    path = tmp_path / "quantized.onnx"
    weights = quantization.QuantType.QInt8
    quantization.quantize_static(
        str(network(tmp_path)),
        str(path),
        Pictures(),
        quant_format=quantization.QuantFormat[form],
        activation_type=quantization.QuantType[activations],
        weight_type=weights,
        per_channel=per_channel,
    )
    graph = imported(path)
    clean, _ = normalise(graph)
    found = {node.op for node in clean.nodes}
    assert {"Conv", "Add", "Mul", "Concat", "AveragePool", "Gemm", "Softmax"} <= found
    entries = kept(clean)
    weighted = [node for node in clean.nodes if node.op in ("Conv", "Gemm")]
    assert [entries[node.inputs[1]].dtype for node in weighted] == ["int8", "int8"]
    dtype = "uint8" if activations == "QUInt8" else "int8"
    assert all(entries[node.inputs[0]].dtype == dtype for node in weighted)
    if per_channel:
        assert entries[weighted[0].inputs[1]].axis == 0


@pytest.mark.parametrize("opset", [10, 11, 12, 13, 21])
@pytest.mark.parametrize("op", ["QLinearConv", "QLinearMatMul"])
def test_operators_on_codes_have_scales_a_channel_at_each_operator_set(
    tmp_path: Path, op: str, opset: int
) -> None:
    y = Kept("uint8", (0.5,), (125,))
    weights = WEIGHT if op == "QLinearConv" else WEIGHT.reshape(27, 4)
    inputs = ["xq", "x_s", "x_z", "w", "w_s", "w_z", "y_s", "y_z"]
    nodes = [q("x", "x", "xq"), helper.make_node(op, inputs, ["c"], "layer"), dq("c", "y", "y")]
    constants = {**WEIGHTS, "w": weights, **scalar(X, "x"), **scalar(y, "y")}
    shapes = ([1, 3, 6, 6], [1, 4, 4, 4]) if op == "QLinearConv" else ([2, 27], [2, 4])
    clean, _ = normalise(imported(save(tmp_path, nodes, constants, shapes=shapes, opset=opset)))
    layer = next(node for node in clean.nodes if node.op in ("Conv", "Gemm"))
    entry = kept(clean)[layer.inputs[1]]
    assert entry.scale == tuple(map(float, SCALES)) and entry.axis == 0


@pytest.mark.parametrize(("low", "high", "dtype", "kind"), [
    (0, 127, "uint8", "uint7"), (0, 15, "uint8", "uint4"), (0, 255, "uint8", "uint8"),
    (-64, 63, "int8", "int7"), (-8, 7, "int8", "int4"), (-7, 7, "int8", "int4"), (-127, 127, "int8", "int8"),
])  # fmt: skip
def test_fewer_bits_are_codes_that_are_clipped(
    tmp_path: Path, low: int, high: int, dtype: str, kind: str
) -> None:
    """As PyTorch's observers with a reduced range, and Brevitas, write them: Quantize, Clip, Dequantize."""
    x = Kept(dtype, (0.05,), ((low + high) // 2,))
    code = np.dtype(dtype).type
    nodes = [
        q("x", "x", "xq"), dq("xc", "x", "xf"),
        helper.make_node("Clip", ["xq", "low", "high"], ["xc"], "narrow"),
        q("r", "w", "rq", axis=0), helper.make_node("Clip", ["rq", "w_l", "w_h"], ["rc"], "narrow_w"),
        dq("rc", "w", "wf", axis=0), helper.make_node("Conv", ["xf", "wf"], ["y"], "conv"),
    ]  # fmt: skip
    raw = GENERATOR.standard_normal((4, 3, 3, 3)).astype(np.float32)
    constants = {**WEIGHTS, **scalar(x, "x"), "low": code(low), "high": code(high), "r": raw}
    constants |= {"w_l": np.int8(-7), "w_h": np.int8(7)}
    graph = imported(save(tmp_path, nodes, constants))
    entry = kept(normalise(graph)[0])["x"]
    assert (entry.dtype, entry.scale, entry.zero_point) == (kind, x_scale(x), x.zero_point)
    assert ops(graph) == ["Conv"]
    assert np.abs(graph.constants["wf"] / SCALES.reshape(4, 1, 1, 1)).max() == pytest.approx(7)


def x_scale(entry: Kept) -> tuple[float, ...]:
    return tuple(float(np.float32(scale)) for scale in entry.scale)


@pytest.mark.parametrize("low", [None, 90, 100])
def test_other_limits_of_codes_limit_the_numbers(tmp_path: Path, low: int | None) -> None:
    limit = helper.make_node("Clip", ["xq", "low" if low else "", "high"], ["c"], "limit")
    nodes = [q("x", "x", "xq"), limit, dq("c", "x", "y")]
    constants = {**scalar(X, "x"), "low": np.uint8(low or 0), "high": np.uint8(200)}
    graph = imported(save(tmp_path, nodes, constants, shapes=([1, 400], [1, 400])))
    found = FloatSession(graph).run({"x": np.linspace(-8, 8, 400, dtype=np.float32).reshape(1, 400)})["y"]
    assert (found.min(), found.max()) == pytest.approx(((low - 100) * 0.05 if low else -8, 5.0))


@pytest.mark.parametrize(("zero", "op"), [(0, "Relu"), (-20, "Clip")])
def test_a_relu_of_codes_is_one_of_numbers(tmp_path: Path, zero: int, op: str) -> None:
    nodes = [q("x", "x", "xq"), helper.make_node("Relu", ["xq"], ["r"], "relu"),
             helper.make_node("Transpose", ["r"], ["t"], "turn", perm=[1, 0]), dq("t", "x", "y")]  # fmt: skip
    x = Kept("int8", (0.05,), (zero,))
    graph = imported(save(tmp_path, nodes, scalar(x, "x"), shapes=([3, 400], [400, 3]), opset=14))
    assert ops(graph) in ([op, "Transpose"], ["Transpose", op])
    assert kept(graph)["t"].zero_point == (zero,)


MOVED: dict[str, tuple[list[str], dict[str, Any], list[int]]] = {
    "ReduceMax": (["xq"], {"axes": [2, 3]}, [1, 3, 1, 1]),
    "MaxPool": (["xq"], {"kernel_shape": [2, 2]}, [1, 3, 5, 5]),
    "Resize": (["xq", "", "twice"], {"mode": "linear"}, [1, 3, 12, 12]),
    "Transpose": (["xq"], {"perm": [0, 2, 3, 1]}, [1, 6, 6, 3]),
    "GatherElements": (["xq", "places"], {"axis": 3}, [1, 3, 6, 2]),
}


@pytest.mark.parametrize("op", list(MOVED))
def test_each_operator_that_moves_codes_moves_numbers(tmp_path: Path, op: str) -> None:
    """A Resize rounds codes, where the graph does not round: it counts as a layer of its own."""
    inputs, attributes, shape = MOVED[op]
    nodes = [q("x", "x", "xq"), helper.make_node(op, inputs, ["m"], "move", **attributes), dq("m", "x", "y")]
    constants = {"twice": np.float32([1, 1, 2, 2]), "places": np.zeros((1, 3, 6, 2), np.int64)}
    graph = imported(save(tmp_path, nodes, {**scalar(X, "x"), **constants}, shapes=([1, 3, 6, 6], shape)))
    assert kept(graph)["m"].dtype == "uint8" and len(ops(graph)) == 1


def test_what_reads_codes_as_they_are_reads_numbers(tmp_path: Path) -> None:
    nodes = [q("x", "x", "xq"), helper.make_node("ArgMax", ["xq"], ["y"], "best", axis=1)]
    kinds = (TensorProto.FLOAT, TensorProto.INT64)
    path = save(tmp_path, nodes, scalar(X, "x"), kinds, ([1, 9], [1, 1]))
    assert ops(imported(path)) == ["ArgMax"]


def test_codes_of_fewer_bits_at_an_output_stay_limited(tmp_path: Path) -> None:
    """No port has 7 bits: the Clip stays, on numbers."""
    clip = helper.make_node("Clip", ["xq", "low", "high"], ["c"], "narrow")
    nodes = [q("x", "x", "xq"), clip, helper.make_node("Transpose", ["c"], ["y"], "turn", perm=[1, 0])]
    constants = {**scalar(X, "x"), "low": np.uint8(0), "high": np.uint8(127)}
    path = save(tmp_path, nodes, constants, (TensorProto.FLOAT, TensorProto.UINT8), ([3, 4], [4, 3]))
    graph = imported(path)
    assert ops(graph) == ["Clip", "Transpose", "QuantizeLinear"] and str(graph.dtypes["y"]) == "uint8"


def test_casts_between_precisions_keep_the_quantization_of_what_they_take(tmp_path: Path) -> None:
    """ModelOpt writes them around what works in half precision."""
    nodes = [
        helper.make_node("Cast", ["x"], ["h"], "half", to=TensorProto.FLOAT16), q("h", "x", "xq"),
        dq("xq", "x", "xh"), helper.make_node("Cast", ["xh"], ["xf"], "float", to=TensorProto.FLOAT),
        dq("w", "w", "wf", axis=0), helper.make_node("Conv", ["xf", "wf"], ["y"], "conv"),
    ]  # fmt: skip
    constants = {**WEIGHTS, "x_s": np.float16(0.05), "x_z": np.uint8(100)}
    clean, _ = normalise(importers.load(save(tmp_path, nodes, constants, opset=19)))
    assert [node.op for node in clean.nodes] == ["Conv"]
    assert kept(clean)["x"] == Kept("uint8", (float(np.float16(0.05)),), (100,))


def test_one_dequantize_for_many_readers_and_one_each(tmp_path: Path) -> None:
    nodes = [
        q("x", "x", "xq"), dq("xq", "x", "a"), dq("xq", "x", "b"),
        helper.make_node("Relu", ["a"], ["r"], "r"), helper.make_node("Neg", ["a"], ["n"], "n"),
        helper.make_node("Sum", ["r", "n", "b"], ["y"], "s"),
    ]  # fmt: skip
    graph = imported(save(tmp_path, nodes, scalar(X, "x"), shapes=([1, 9], [1, 9])))
    assert ops(graph).count("Relu") == ops(graph).count("Neg") == 1 and kept(graph)["x"].dtype == "uint8"


@pytest.mark.parametrize("opset", [13, 19, 21])
def test_symmetric_codes_without_zero_points(tmp_path: Path, opset: int) -> None:
    """As TensorRT and ModelOpt take them: a scale alone; of a QuantizeLinear that means uint8, or what set 21
    names."""
    kind = {"output_dtype": INT8} if opset == 21 else {}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s"], ["xq"], "q", **kind),
        helper.make_node("DequantizeLinear", ["xq", "s"], ["xf"], "dq"),
        helper.make_node("DequantizeLinear", ["w", "w_s"], ["wf"], "dw", axis=0),
        helper.make_node("Conv", ["xf", "wf"], ["y"], "conv"),
    ]
    constants = {"s": np.float32(0.05), "w": WEIGHT, "w_s": SCALES}
    entries = kept(imported(save(tmp_path, nodes, constants, opset=opset)))
    assert entries["x"] == Kept("int8" if opset == 21 else "uint8", x_scale(X), (0,))
    assert entries["wf"] == Kept("int8", tuple(map(float, SCALES)), (0,) * 4, 0)


def test_a_batch_normalization_that_training_left_scales_the_weights(tmp_path: Path) -> None:
    """Quantization-aware training exports it unfolded behind the convolution."""
    nodes = [
        q("x", "x", "xq"), dq("xq", "x", "xf"), dq("w", "w", "wf", axis=0),
        helper.make_node("Conv", ["xf", "wf"], ["c"], "conv"),
        helper.make_node("BatchNormalization", ["c", "g", "h", "m", "v"], ["n"], "norm", epsilon=1e-3),
        helper.make_node("Relu", ["n"], ["r"], "relu"), q("r", "y", "yq"), dq("yq", "y", "y"),
    ]  # fmt: skip
    numbers = {name: GENERATOR.uniform(0.5, 2, 4).astype(np.float32) for name in "ghmv"}
    graph = imported(save(tmp_path, nodes, {**WEIGHTS, **scalar(X, "x"), **scalar(Y, "y"), **numbers}))
    clean, _ = normalise(graph)
    conv = clean.nodes[0]
    factors = numbers["g"].astype(np.float64) / np.sqrt(numbers["v"].astype(np.float64) + np.float32(1e-3))
    assert [node.op for node in clean.nodes] == ["Conv", "Relu"]
    assert kept(clean)[conv.inputs[1]].scale == pytest.approx(SCALES * factors)
