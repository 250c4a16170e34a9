"""What of quantized ONNX models is refused, with its node and its reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from modelbuild.errors import ModelbuildError
from modelbuild.importers.refused import OPERATORS, refuse
from tests.importers.quantized import (
    INT8,
    SCALES,
    UINT8,
    WEIGHT,
    WEIGHTS,
    X,
    Y,
    convolution,
    dq,
    q,
    refusal,
    save,
    scalar,
)  # fmt: skip


def test_refusals_name_the_node_and_the_reason(tmp_path: Path) -> None:
    nodes = [helper.make_node("DynamicQuantizeLinear", ["x"], ["a", "b", "c"], "dynamic")]
    nodes += [helper.make_node("DequantizeLinear", ["a", "b", "c"], ["y"], "back")]
    path = save(tmp_path, nodes, {}, shapes=([1, 4], [1, 4]))
    assert "DynamicQuantizeLinear `dynamic`" in refusal(path) and "while it runs" in refusal(path)
    nodes = [q("x", "x", "a"), helper.make_node("Abs", ["a"], ["r"], "on_codes"), dq("r", "x", "y")]
    path = save(tmp_path, nodes, scalar(X, "x"), shapes=([1, 4], [1, 4]), opset=14)
    assert "the codes `r` come from Abs `on_codes`" in refusal(path)
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


@pytest.mark.parametrize(("domain", "op", "why", "advice"), [
    ("com.microsoft", "DynamicQuantizeMatMul", "while it runs", "quantize statically"),
    ("com.microsoft", "MatMulIntegerToFloat", "while it runs", "quantize statically"),
    ("com.microsoft", "MatMulNBits", "blocks of values", "per channel"),
    ("com.microsoft", "QAttention", "several layers at once", "QDQ"),
    ("org.openvinotoolkit", "FakeQuantize", "a quantizer's own", "QuantizeLinear and"),
    ("qonnx.custom_op.general", "Quant", "a quantizer's own operator", "QuantizeLinear and DequantizeLinear"),
    ("org.pytorch.aten", "fake_quantize_per_tensor_affine", "a quantizer's own", "QuantizeLinear and"),
    ("", "ConvInteger", "while it runs", "quantize statically"),
    ("", "MatMulInteger", "while it runs", "quantize statically"),
    ("com.microsoft", "FusedMatMul", "the standard ONNX operators", "without a runtime's optimizations"),
])  # fmt: skip
def test_quantizers_operators_are_refused_with_advice(
    tmp_path: Path, domain: str, op: str, why: str, advice: str
) -> None:
    node = helper.make_node(op, ["x", "w"], ["y"], "odd", domain=domain)
    text = refusal(save(tmp_path, [node], {"w": np.ones(4, np.float32)}, shapes=([1, 4], [1, 4])))
    assert f"{op} `odd`" in text and why in text and advice in text


@pytest.mark.parametrize("bound", [np.zeros(0, np.uint8), np.float32(np.nan), np.uint8([1, 2])])
def test_bounds_of_codes_that_are_no_code(tmp_path: Path, bound: Any) -> None:
    nodes = [
        q("x", "x", "a"),
        helper.make_node("Clip", ["a", "low", "low"], ["c"], "limit"),
        dq("c", "x", "y"),
    ]
    path = save(tmp_path, nodes, {**scalar(X, "x"), "low": bound}, shapes=([1, 4], [1, 4]))
    assert "Clip `limit`" in refusal(path) and "its bound is" in refusal(path)


def test_an_activation_a_channel_of_an_operator_on_codes_is_refused(tmp_path: Path) -> None:
    inputs = ["x", "x_s", "x_z", "w", "w_s", "w_z", "y_s", "y_z"]
    constants = {**WEIGHTS, **scalar(Y, "y"), "x_s": SCALES[:3], "x_z": np.zeros(3, np.uint8)}
    nodes = [helper.make_node("QLinearConv", inputs, ["y"], "conv")]
    path = save(tmp_path, nodes, constants, (UINT8, INT8))
    assert "an activation has a scale a channel" in refusal(path) and "per tensor" in refusal(path)


@pytest.mark.parametrize(("opset", "entry", "why"), [
    (17, X, "it takes codes of uint8, and ONNX has it of signed numbers"),
    (13, Y, "it calculates with codes"),
])  # fmt: skip
def test_a_relu_of_codes_that_onnx_does_not_have_is_named(
    tmp_path: Path, opset: int, entry: Any, why: str
) -> None:
    nodes = [q("x", "x", "a"), helper.make_node("Relu", ["a"], ["r"], "act"), dq("r", "x", "y")]
    text = refusal(save(tmp_path, nodes, scalar(entry, "x"), shapes=([1, 4], [1, 4]), opset=opset))
    assert "Relu `act`" in text and why in text and "before its QuantizeLinear" in text


def test_every_refusal_says_what_to_do(tmp_path: Path) -> None:
    other = {**scalar(X, "x"), **scalar(Y, "y")}
    path = save(tmp_path, [q("x", "x", "a"), dq("a", "y", "y")], other, shapes=([1, 4], [1, 4]))
    assert "is read as" in refusal(path) and "quantize it again" in refusal(path)
    for op in OPERATORS:
        with pytest.raises(ModelbuildError) as caught:
            refuse(helper.make_node(op, ["x"], ["y"], "odd"))
        assert caught.value.problems[0].why and caught.value.problems[0].advice
