"""Quantized ONNX models become float graphs that keep the file's quantization."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import quantization

from modelbuild import importers
from modelbuild.errors import ModelbuildError
from modelbuild.graph import onnx_io
from modelbuild.graph.kept_quantization import Kept, kept
from modelbuild.graph.model import Graph
from modelbuild.graph.normalise import normalise
from modelbuild.graph.session import FloatSession
from modelbuild.importers.source import source_of

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


def test_a_convolution_becomes_float_and_keeps_all_scales(tmp_path: Path) -> None:
    graph = imported(convolution(tmp_path))
    entries = kept(graph)
    zeros = (0,) * 4
    assert entries["xf"] == entries["xq"] == entries["x"]
    assert (entries["xf"].dtype, entries["xf"].zero_point) == ("uint8", (100,))
    assert entries["xf"].scale == (float(np.float32(0.05)),)
    assert entries["c"] == entries["y"] == Kept("int8", (0.5,), (-3,))
    assert entries["wf"] == Kept("int8", tuple(map(float, SCALES)), zeros, 0)
    assert entries["bf"].dtype == "int32" and entries["bf"].axis == 0
    assert np.array_equal(graph.constants["wf"], WEIGHT.astype(np.float32) * SCALES.reshape(4, 1, 1, 1))
    assert ops(graph) == ["Conv"]


def test_the_clean_graph_still_knows_every_scale(tmp_path: Path) -> None:
    graph = imported(convolution(tmp_path))
    onnx_io.write(normalise(graph)[0], tmp_path / "clean.onnx")
    clean = onnx_io.read(tmp_path / "clean.onnx")
    node = clean.nodes[0]
    assert [kept(clean)[name].dtype for name in (*node.inputs, *node.outputs)] == [
        "uint8", "int8", "int32", "int8",
    ]  # fmt: skip


def test_the_source_says_that_it_is_quantized(tmp_path: Path) -> None:
    facts = source_of(imported(convolution(tmp_path)))
    assert facts["comparable"] is False and facts["quantized"] is True
    assert facts["notes"][0].startswith("the model is quantized: 2 tensors and 2 constants keep their scales")


@pytest.mark.parametrize("opset", [10, 13, 17, 19, 21])
def test_operator_sets(tmp_path: Path, opset: int) -> None:
    changed: dict[str, Any] = {}
    if opset < 13:  # no axis: one scale
        changed = {"w_s": np.float32(0.02), "w_z": np.int8(0), "b_s": np.float32(0.001), "b_z": np.int32(0)}
    graph = imported(convolution(tmp_path, opset=opset, **changed))
    assert ops(graph) == ["Conv"] and kept(graph)["y"] == Y


def test_weights_with_a_zero_point_are_dequantized_exactly(tmp_path: Path) -> None:
    codes = (WEIGHT.astype(np.int16) + 128).astype(np.uint8)
    changed: dict[str, Any] = {"w": codes, "w_s": np.float32(0.02), "w_z": np.uint8(131)}
    graph = imported(convolution(tmp_path, **changed))
    expected = (codes.astype(np.float32) - 131) * np.float32(0.02)
    assert np.array_equal(graph.constants["wf"], expected)
    assert kept(graph)["wf"] == Kept("uint8", (float(np.float32(0.02)),), (131,))


def test_a_relu_that_the_quantization_stands_for_is_written_out(tmp_path: Path) -> None:
    y = Kept("int8", (6 / 255,), (-128,))
    graph = imported(convolution(tmp_path, y))
    clip = next(node for node in graph.nodes if node.op == "Clip")
    bounds = [float(graph.constants[name]) for name in clip.inputs[1:]]
    assert bounds == [0.0, pytest.approx(6.0)]
    assert clip.inputs[0] not in kept(graph) and clip.outputs[0] in kept(graph)
    session = FloatSession(graph)
    values = GENERATOR.uniform(-5, 7, (1, 3, 6, 6)).astype(np.float32)
    assert 0 <= session.run({"x": values})["y"].min() <= session.run({"x": values})["y"].max() <= 6.0001


@pytest.mark.parametrize("activation", ["Relu", "Sigmoid", "Abs"])
def test_no_clip_where_the_tensor_cannot_be_negative(tmp_path: Path, activation: str) -> None:
    nodes = [
        q("x", "x", "xq"), dq("xq", "x", "xf"), dq("w", "w", "wf", axis=0),
        helper.make_node("Conv", ["xf", "wf"], ["c"], "conv"),
        helper.make_node(activation, ["c"], ["r"], "act"),
        helper.make_node("Add", ["r", "r"], ["s"], "sum"), q("s", "y", "yq"), dq("yq", "y", "y"),
    ]  # fmt: skip
    y = Kept("uint8", (0.5,), (0,))
    graph = imported(save(tmp_path, nodes, {**WEIGHTS, **scalar(X, "x"), **scalar(y, "y")}))
    assert "Clip" not in ops(graph) and kept(graph)["s"] == y


def test_ports_of_codes_keep_their_names_and_types(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], "t", perm=[0, 3, 1, 2]), dq("t", "x", "xf"),
        dq("w", "w", "wf", axis=0), helper.make_node("Conv", ["xf", "wf"], ["c"], "conv"), q("c", "y", "y"),
    ]  # fmt: skip
    constants = {**WEIGHTS, **scalar(X, "x"), **scalar(Y, "y")}
    graph = imported(save(tmp_path, nodes, constants, (UINT8, INT8), ([1, 6, 6, 3], [1, 4, 4, 4])))
    assert ports(graph) == [("x", "uint8", (1, 6, 6, 3)), ("y", "int8", (1, 4, 4, 4))]
    assert ops(graph) == ["DequantizeLinear", "Transpose", "Conv", "QuantizeLinear"]
    assert kept(graph)["x_dequantized"].zero_point == (100,) and "x" not in kept(graph)
    again = imported(write(graph, tmp_path / "again.onnx"))
    assert ops(again) == ops(graph)
    assert set(kept(normalise(again)[0]).values()) == set(kept(normalise(graph)[0]).values())


def test_every_tensor_of_the_file_can_be_a_border(tmp_path: Path) -> None:
    path = convolution(tmp_path)
    graph = importers.load(path, edits=[{"cut": {"outputs": ["yq"]}}])
    assert ports(graph)[1:] == [("yq", "int8", (1, 4, 4, 4))]
    assert kept(graph)["yq_quantized"] == Y and ops(graph) == ["Conv", "QuantizeLinear"]
    graph = importers.load(path, edits=[{"cut": {"inputs": ["xf"], "outputs": ["c"]}}])
    assert ports(graph) == [("xf", "float32", (1, 3, 6, 6)), ("c", "float32", (1, 4, 4, 4))]
    assert kept(graph)["xf"].dtype == "uint8"
    importers.check(path, graph)  # nothing to compare with


def write(graph: Graph, path: Path) -> Path:
    onnx_io.write(graph, path)
    return path


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


def test_sixteen_bits_keep_their_entries(tmp_path: Path) -> None:
    y = Kept("int16", (0.25,), (0,))
    graph = imported(convolution(tmp_path, y, opset=21))
    assert kept(graph)["y"] == y


def refusal(path: Path) -> str:
    with pytest.raises(ModelbuildError) as caught:
        importers.load(path)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_refusals_name_the_node_and_the_reason(tmp_path: Path) -> None:
    nodes = [helper.make_node("DynamicQuantizeLinear", ["x"], ["a", "b", "c"], "dynamic")]
    nodes += [helper.make_node("DequantizeLinear", ["a", "b", "c"], ["y"], "back")]
    path = save(tmp_path, nodes, {}, shapes=([1, 4], [1, 4]))
    assert "DynamicQuantizeLinear `dynamic`" in refusal(path) and "while it runs" in refusal(path)
    nodes = [q("x", "x", "a"), helper.make_node("Relu", ["a"], ["r"], "on_codes"), dq("r", "x", "y")]
    path = save(tmp_path, nodes, scalar(X, "x"), shapes=([1, 4], [1, 4]), opset=14)
    assert "the codes `r` come from Relu `on_codes`" in refusal(path)
    other = {**scalar(X, "x"), **scalar(Y, "y")}
    path = save(tmp_path, [q("x", "x", "a"), dq("a", "y", "y")], other, shapes=([1, 4], [1, 4]))
    assert "is read as int8 of scale 0.5 and zero point -3" in refusal(path)
    path = save(tmp_path, [q("x", "x", "a", axis=1), dq("a", "x", "y", axis=1)],
                {"x_s": SCALES, "x_z": np.zeros(4, np.uint8)}, shapes=([1, 4], [1, 4]))  # fmt: skip
    assert "a scale a channel" in refusal(path)
    path = convolution(tmp_path, w_s=np.array([1, 2, 3, 0], np.float32))
    assert "a scale is not a positive number" in refusal(path)
    path = convolution(tmp_path, w_s=SCALES[:3], w_z=np.zeros(3, np.int8))
    assert "3 scales on axis 0 of [4, 3, 3, 3]" in refusal(path)


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


def test_activations_of_4_bits_are_refused(tmp_path: Path) -> None:
    zero = helper.make_tensor("x_z", TensorProto.INT4, [], [0])
    nodes = [q("x", "x", "a"), dq("a", "x", "y")]
    proto = onnx.load(save(tmp_path, nodes, {"x_s": np.float32(1)}, shapes=([1, 4], [1, 4]), opset=21))
    proto.graph.initializer.append(zero)
    (tmp_path / "model.onnx").write_bytes(proto.SerializeToString())
    assert "the tensor `x_z` holds int4" in refusal(tmp_path / "model.onnx")


def test_scales_in_blocks_are_refused(tmp_path: Path) -> None:
    constants = {"w": WEIGHT.reshape(4, 27)[:, :4], "w_s": np.ones((4, 2), np.float32)}
    node = helper.make_node("DequantizeLinear", ["w", "w_s"], ["wf"], "blocks", axis=1, block_size=2)
    nodes = [node, helper.make_node("MatMul", ["x", "wf"], ["y"], "product")]
    path = save(tmp_path, nodes, constants, shapes=([1, 4], [1, 4]), opset=21)
    assert "DequantizeLinear `blocks`" in refusal(path) and "blocks of values" in refusal(path)


@pytest.mark.parametrize("factor", [1.3, 1.05])
def test_a_wrong_import_is_noticed(tmp_path: Path, factor: float) -> None:
    """Also where one channel alone is a little wrong: less than noise that a network amplifies."""
    path = convolution(tmp_path)
    graph = importers.load(path)
    weights = graph.constants["wf"].astype(np.float32)
    weights[3] *= np.float32(factor)
    graph.constants["wf"] = weights
    with pytest.raises(ModelbuildError, match="the import changed the model: `yq` is off by") as caught:
        importers.check(path, graph)
    assert caught.value.exit_code == 1


def test_each_layer_is_held_against_the_file_on_its_own(tmp_path: Path) -> None:
    """What one layer gets wrong is not hidden by saturation in the next: here it makes nothing but zeros."""
    y = {"y2_s": np.float32(0.5), "y2_z": np.uint8(0), "l": np.float32(-1)}
    nodes = [
        q("x", "x", "xq"), dq("xq", "x", "xf"), dq("w", "w", "wf", axis=0),
        helper.make_node("Conv", ["xf", "wf"], ["c"], "conv"), q("c", "y", "yq"), dq("yq", "y", "yf"),
        helper.make_node("Abs", ["yf"], ["a"], "abs"), helper.make_node("Mul", ["a", "l"], ["n"], "mul"),
        q("n", "y2", "zq"), dq("zq", "y2", "y"),
    ]  # fmt: skip
    path = save(tmp_path, nodes, {**WEIGHTS, **scalar(X, "x"), **scalar(Y, "y"), **y})
    graph = imported(path)
    graph.constants["wf"] = graph.constants["wf"].astype(np.float32) * np.float32(1.1)
    with pytest.raises(ModelbuildError, match="`yq` is off by"):
        importers.check(path, graph)


def test_the_real_model_gives_the_files_own_codes(shared_data: Path) -> None:
    graph = imported(shared_data / "models/onnx/tf2_mobilenet_v2_int8_qdq.onnx")
    assert ports(graph) == [("input", "uint8", (1, 224, 224, 3)), ("Identity", "uint8", (1, 1001))]
    clean, _ = normalise(graph)
    activations = {n.outputs[0] for n in clean.nodes if n.op in ("Conv", "Add") } - {
        node.inputs[0] for node in clean.nodes if node.op == "Clip"
    }  # fmt: skip
    assert len(activations) == 28 and activations <= set(kept(clean))
    weights = {node.inputs[1] for node in clean.nodes if node.op == "Conv"}
    assert all(kept(clean)[name].dtype == "int8" and kept(clean)[name].axis == 0 for name in weights)
