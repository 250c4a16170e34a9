"""Quantized TFLite files: floats between the borders, and the file's scales beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelbuild.graph.kept_quantization import Kept, kept
from modelbuild.graph.normalise import normalise
from modelbuild.importers.source import source_of
from tests.importers.tflite import judge
from tests.importers.tflite.builder import Quantized, TFLite

_CONV = {0: ("b", 0), 1: ("i", 1), 2: ("i", 1), 3: ("b", 0)}


def _quantized_conv(
    kind: str, bias_kind: str, output: Quantized, bias_scale: bool = True
) -> tuple[bytes, Any]:
    model = TFLite()
    weights = np.random.default_rng(1).integers(-127, 128, (4, 3, 3, 2)).astype(np.int8)
    bias = np.array([100, -200, 3_000, 0], bias_kind)
    scales = [0.01, 0.02, 0.005, 0.04]
    x = model.tensor("x", [1, 6, 6, 2], kind, Quantized([0.05], [0 if kind == "int16" else -3]))
    w = model.constant("w", weights, Quantized(scales, [0] * 4, 0))
    quantized = Quantized([np.float32(0.05) * np.float32(s) for s in scales], [0] * 4, 0)
    b = model.constant("b", bias, quantized if bias_scale else None)
    y = model.tensor("y", [1, 6, 6, 4], kind, output)
    model.add("CONV_2D", [x, w, b], [y], _CONV)
    return model.build([x], [y]), weights


def test_weights_are_dequantized_exactly_and_keep_their_scales(tmp_path: Path) -> None:
    data, weights = _quantized_conv("int8", "int32", Quantized([0.5], [7]))
    graph = judge.imported(data, tmp_path)
    (conv,) = (node for node in graph.nodes if node.op == "Conv")
    scales = np.array([0.01, 0.02, 0.005, 0.04], np.float32)
    expected = (weights.astype(np.float32) * scales[:, None, None, None]).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(graph.constants[conv.inputs[1]], expected)
    entries = kept(graph)
    assert entries[conv.inputs[1]] == Kept("int8", tuple(float(s) for s in scales), (0,) * 4, 0)
    assert (entries[conv.inputs[2]].dtype, entries[conv.inputs[2]].axis) == ("int32", 0)
    assert entries[conv.inputs[0]] == Kept("int8", (float(np.float32(0.05)),), (-3,))
    assert entries[conv.outputs[0]] == Kept("int8", (0.5,), (7,))
    assert (graph.dtypes["x"], graph.dtypes["y"]) == (np.int8, np.int8)


def test_a_bias_without_a_scale_has_that_of_data_times_weights(tmp_path: Path) -> None:
    graphs = []
    for given in (True, False):
        data, _ = _quantized_conv("int8", "int32", Quantized([0.5], [7]), given)
        graphs.append(judge.imported(data, tmp_path))
    conv = next(node for node in graphs[0].nodes if node.op == "Conv")
    np.testing.assert_array_equal(*(graph.constants[conv.inputs[2]] for graph in graphs))
    assert kept(graphs[0]) == kept(graphs[1])


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (Quantized([0.1], [-128]), (["Conv", "Relu"], None)),
        (Quantized([6 / 255], [-128]), (["Conv", "Clip"], 6.0)),
        (Quantized([0.1], [-127]), (["Conv"], None)),
    ],
)
def test_an_activation_that_the_range_stands_for_is_written_out(
    tmp_path: Path, output: Quantized, expected: tuple[list[str], float | None]
) -> None:
    """Converters drop a Relu whose limit is that of the integer."""
    data, _ = _quantized_conv("int8", "int32", output)
    graph = judge.imported(data, tmp_path)
    inner = [node for node in graph.nodes if node.op not in ("QuantizeLinear", "DequantizeLinear")]
    assert [node.op for node in inner] == expected[0]
    if expected[1] is not None:
        assert graph.constants[inner[-1].inputs[2]] == expected[1]
    if len(inner) > 1:
        assert inner[0].outputs[0] not in kept(graph)


def test_float_borders_share_the_scales_of_what_they_are_quantized_to(tmp_path: Path) -> None:
    """What the converter writes by default: QUANTIZE behind the input, DEQUANTIZE before the output."""
    model = TFLite()
    entry, result = Quantized([0.05], [-3]), Quantized([0.3], [5])
    x, xq = model.tensor("x", [1, 6, 6, 2]), model.tensor("xq", [1, 6, 6, 2], "int8", entry)
    yq, y = model.tensor("yq", [1, 6, 6, 2], "int8", result), model.tensor("y", [1, 6, 6, 2])
    model.add("QUANTIZE", [x], [xq])
    model.add("TANH", [xq], [yq])
    model.add("DEQUANTIZE", [yq], [y])
    graph = judge.imported(model.build([x], [y]), tmp_path)
    assert (graph.dtypes["x"], graph.dtypes["y"]) == (np.float32, np.float32)
    normal = normalise(graph)[0]
    assert [node.op for node in normal.nodes] == ["Tanh"]
    assert {name: found.zero_point for name, found in kept(normal).items()} == {"x": (-3,), "y": (5,)}


def test_sixteen_bit_borders_are_float_and_noted(tmp_path: Path) -> None:
    data, _ = _quantized_conv("int16", "int64", Quantized([0.001], [0]))
    graph = judge.imported(data, tmp_path)
    assert (graph.dtypes["x"], graph.dtypes["y"]) == (np.float32, np.float32)
    assert source_of(graph)["dtypes"] == {"x": "int16", "y": "int16"}
    assert kept(graph)["x"].dtype == "int16"
    assert {entry.dtype for entry in kept(graph).values()} == {"int8", "int16", "int64"}


def test_weights_of_four_bits(tmp_path: Path) -> None:
    model = TFLite()
    x, y = model.tensor("x", [1, 3]), model.tensor("y", [1, 2])
    packed = np.array([0x9F, 0x17, 0x08], np.uint8)  # -1 -7 7 1 -8 0: the first in the low bits
    w = model.constant("w", packed, Quantized([0.5], [0]), kind="int4")
    model.tensors[w].shape = (2, 3)
    b = model.constant("b", np.zeros(2, np.float32))
    model.add("FULLY_CONNECTED", [x, w, b], [y])
    graph = judge.imported(model.build([x], [y]), tmp_path)
    (gemm,) = graph.nodes
    np.testing.assert_array_equal(
        graph.constants[gemm.inputs[1]], np.array([[-0.5, -3.5, 3.5], [0.5, -4, 0]], np.float32)
    )
    assert kept(graph)[gemm.inputs[1]].dtype == "int4"


@pytest.mark.parametrize(
    ("quantized", "words"),
    [
        (Quantized([-1.0], [0]), "a scale that is not a positive number"),
        (Quantized([float("inf")], [0]), "a scale that is not a positive number"),
        (Quantized([1.0], [300]), "a zero point that is no int8"),
        (Quantized([1.0, 2.0], [0, 0], 3), "2 scales along axis 3"),
    ],
)
def test_impossible_quantization_is_refused(tmp_path: Path, quantized: Quantized, words: str) -> None:
    model = TFLite()
    x, y = model.tensor("x", [1, 4], "int8", quantized), model.tensor("y", [1, 4], "int8", quantized)
    model.add("RELU", [x], [y])
    assert words in judge.refused(model.build([x], [y]), tmp_path)


def test_borders_in_half_precision_are_float_and_noted(tmp_path: Path) -> None:
    model = TFLite()
    x, y = model.tensor("x", [1, 4], "float16"), model.tensor("y", [1, 4], "float16")
    model.add("RELU", [x], [y])
    graph = judge.imported(model.build([x], [y]), tmp_path)
    assert (graph.dtypes["x"], graph.dtypes["y"]) == (np.float32, np.float32)
    assert source_of(graph)["notes"] == ["`x` of float16 became float32", "`y` of float16 became float32"]


def test_numbers_too_large_for_float32_are_refused(tmp_path: Path) -> None:
    model = TFLite()
    x, y = model.tensor("x", [1, 2]), model.tensor("y", [1, 2])
    model.add("ADD", [x, model.constant("huge", np.array([1.0, 1e300]))], [y])
    assert "`huge` holds numbers too large for float32" in judge.refused(model.build([x], [y]), tmp_path)


@pytest.mark.parametrize(
    ("scale", "zero", "kind", "inner"),
    [
        (0.02, -128, "int8", ["Clip", "Add"]),
        (0.2, 4, "int8", ["Clip", "Add"]),
        (0.05, -3, "int8", ["Add"]),
        (0.05, 125, "uint8", ["Add"]),
        (0.05, 126, "uint8", ["Clip", "Add"]),
    ],
)
def test_codes_that_get_another_range_keep_both(
    tmp_path: Path, scale: float, zero: int, kind: str, inner: list[str]
) -> None:
    """A QUANTIZE of codes limits them to its range, and stays; not where it moves them only."""
    model = TFLite()
    first, second, last = Quantized([0.05], [-3]), Quantized([scale], [zero]), Quantized([0.04], [0])
    x, a = model.tensor("x", [1, 4, 8, 8], "int8", first), model.tensor("a", [1, 4, 8, 8], kind, second)
    y = model.tensor("y", [1, 4, 8, 8], kind, Quantized(last.scale, [0 if kind == "int8" else 128]))
    model.add("QUANTIZE", [x], [a])
    model.add("ADD", [a, a], [y], {0: ("b", 0)})
    data = model.build([x], [y])
    codes = np.arange(-128, 128).astype(np.int8).reshape(1, 4, 8, 8)
    expected = judge.runtime(data, {"x": codes}, kernels=judge.REFERENCE)["y"].astype(int)
    graph = judge.imported(data, tmp_path)
    clean = normalise(graph)[0]
    assert [node.op for node in clean.nodes[1:-1]] == inner
    add = next(node for node in clean.nodes if node.op == "Add")
    if len(inner) > 1:
        assert kept(clean)[add.inputs[0]] == Kept(kind, (float(np.float32(scale)),), (zero,))
    steps = np.abs(judge.run(clean, {"x": codes})["y"].astype(int) - expected).max()
    assert steps <= 1 + 1.5 * scale / 0.04  # of either summand; the reference kernel rounds twice
