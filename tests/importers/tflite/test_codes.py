"""Where TFLite works with the codes themselves, and quantization that real files have and no rule expects."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelbuild.graph.kept_quantization import kept
from modelbuild.graph.normalise import normalise
from tests.importers.tflite import judge
from tests.importers.tflite.builder import Options, Quantized, TFLite

_ROWS: Options = {0: ("b", 0), 1: ("i", 1), 2: ("i", 1), 3: ("b", 0)}
_ENTRY, _OTHER = Quantized([0.05], [-3]), Quantized([0.04], [5])


def _codes(shape: Sequence[int], kind: str = "int8", seed: int = 0) -> Any:
    limits = np.iinfo(kind)
    return np.random.default_rng(seed).integers(limits.min, limits.max + 1, shape).astype(kind)


def _steps(data: bytes, feeds: dict[str, Any], folder: Path) -> int:
    """How many steps the imported graph is away from TFLite, at most, before and after normalising."""
    graph = judge.imported(data, folder)
    expected = judge.runtime(data, feeds)
    distances = []
    for version in (graph, normalise(graph)[0]):
        for name, found in judge.run(version, feeds).items():
            assert (found.shape, found.dtype) == (expected[name].shape, expected[name].dtype)
            distances.append(np.abs(found.astype(np.int64) - expected[name].astype(np.int64)).max())
    return int(max(distances))


@pytest.mark.parametrize("kind", ["int8", "uint8", "int16"])
@pytest.mark.parametrize("to", ["float32", "int32", "bool"])
def test_a_cast_takes_the_codes(tmp_path: Path, kind: str, to: str) -> None:
    model, zero = TFLite(), {"int8": -3, "uint8": 117, "int16": 0}[kind]
    entry = Quantized([0.05], [zero])
    x, y = model.tensor("x", [1, 5, 6, 2], kind, entry), model.tensor("y", [1, 5, 6, 2], to)
    model.add("CAST", [x], [y])
    data, codes = model.build([x], [y]), _codes((1, 5, 6, 2), kind)
    graph = judge.imported(data, tmp_path)
    numbers = (codes.astype(np.float32) - zero) * np.float32(0.05) if kind == "int16" else codes
    expected = judge.runtime(data, {"x": codes})
    judge.assert_equal(expected, judge.run(graph, {"x": numbers}), 0)
    judge.assert_equal(expected, judge.run(normalise(graph)[0], {"x": numbers}), 0)


def test_a_cast_to_quantized_codes_makes_the_codes(tmp_path: Path) -> None:
    model = TFLite()
    x, y = model.tensor("x", [4, 6], "int8", _ENTRY), model.tensor("y", [4, 6], "int8", _OTHER)
    model.add("CAST", [x], [y])
    assert _steps(model.build([x], [y]), {"x": _codes((4, 6))}, tmp_path) == 0


@pytest.mark.parametrize("op", ["CONV_2D", "DEPTHWISE_CONV_2D"])
@pytest.mark.parametrize("scales", [[0.0, 0.01, 0.02, 0.0], [0.0] * 4])
@pytest.mark.parametrize("bias_scale", [False, True])
def test_a_channel_with_a_scale_of_zero_is_dead(
    tmp_path: Path, op: str, scales: list[float], bias_scale: bool
) -> None:
    """TFLite multiplies what such a channel sums up, its bias too, by 0."""
    model, deep = TFLite(), op == "DEPTHWISE_CONV_2D"
    axis = 3 if deep else 0
    x = model.tensor("x", [1, 5, 5, 4], "int8", _ENTRY)
    codes = np.where(_codes(shape := (1, 3, 3, 4) if deep else (4, 3, 3, 4)) == -128, 0, _codes(shape))
    w = model.constant("w", codes.astype(np.int8), Quantized(scales, [0] * 4, axis))
    quantized = Quantized([0.05 * s or 0.001 for s in scales], [0] * 4) if bias_scale else None
    b = model.constant("b", np.array([900, -200, 3000, -900], np.int32), quantized)
    y = model.tensor("y", [1, 5, 5, 4], "int8", Quantized([0.2], [7]))
    model.add(op, [x, w, b], [y], {**_ROWS, 3: ("i", 1), 4: ("b", 0)} if deep else _ROWS)
    data = model.build([x], [y])
    assert _steps(data, {"x": _codes((1, 5, 5, 4))}, tmp_path) <= 1
    graph = judge.imported(data, tmp_path)
    (conv,) = (node for node in graph.nodes if node.op == "Conv")
    weights, bias = (graph.constants[name] for name in conv.inputs[1:])
    assert not weights[[i for i, scale in enumerate(scales) if not scale]].any()
    assert not bias[[i for i, scale in enumerate(scales) if not scale]].any()
    assert min(kept(graph)[conv.inputs[1]].scale) > 0


@pytest.mark.parametrize("bias", ["none", "without a scale", "with scales"])
@pytest.mark.parametrize("axis", [None, 0])
def test_the_bias_of_a_transposed_convolution(tmp_path: Path, bias: str, axis: int | None) -> None:
    """Its data are input 2, so that a bias without a scale has that of inputs 2 and 1."""
    model, scales = TFLite(), [0.02] if axis is None else [0.02, 0.01]
    shape = model.constant("shape", np.array([1, 8, 8, 2], np.int32))
    w = model.constant("w", _codes((2, 3, 3, 3)), Quantized(scales, [0] * len(scales), axis or 0))
    x = model.tensor("x", [1, 4, 4, 3], "int8", _ENTRY)
    own = [float(np.float32(0.05) * np.float32(s)) for s in scales]
    entry = Quantized(own, [0] * len(own)) if bias == "with scales" else None
    extra = [] if bias == "none" else [model.constant("b", np.array([4000, -8000], np.int32), entry)]
    y = model.tensor("y", [1, 8, 8, 2], "int8", Quantized([0.3], [5]))
    model.add("TRANSPOSE_CONV", [shape, w, x, *extra], [y], {0: ("b", 0), 1: ("i", 2), 2: ("i", 2)})
    assert _steps(model.build([x], [y]), {"x": _codes((1, 4, 4, 3))}, tmp_path) <= 1


@pytest.mark.parametrize("scale", [None, 0.01])
def test_a_bias_is_multiplied_by_the_scales_of_data_and_weights(tmp_path: Path, scale: float | None) -> None:
    """Whatever the file says of it; two convolutions that share it may have different ones."""
    model, entries = TFLite(), [_ENTRY, Quantized([0.4], [3]), Quantized([0.9], [-20])]
    weights = np.maximum(_codes((4, 3, 3, 4)), -127)
    w = model.constant("w", weights, Quantized([0.01, 0.02, 0.005, 0.01], [0] * 4))
    bias = np.array([4000, -3000, 900, 0], np.int32)
    b = model.constant("b", bias, None if scale is None else Quantized([scale] * 4, [0] * 4))
    x, middle, y = (
        model.tensor(name, [1, 5, 5, 4], "int8", entry) for name, entry in zip("xmy", entries, strict=True)
    )
    model.add("CONV_2D", [x, w, b], [middle], _ROWS)
    model.add("CONV_2D", [middle, w, b], [y], _ROWS)
    data, feeds = model.build([x], [middle, y]), {"x": _codes((1, 5, 5, 4))}
    assert _steps(model.build([x], [middle]), feeds, tmp_path) <= 1
    graph = judge.imported(data, tmp_path)
    first, second = (graph.constants[n.inputs[2]] for n in graph.nodes if n.op == "Conv")
    np.testing.assert_allclose(second, first * 0.4 / 0.05, rtol=1e-6)
    np.testing.assert_allclose(first, bias * 0.05 * np.array([0.01, 0.02, 0.005, 0.01]), rtol=1e-6)


def test_settings_without_elements_are_read(tmp_path: Path) -> None:
    """A shape of no axes makes a scalar, and a reduction over none changes nothing."""
    model, empty = TFLite(), np.zeros(0, np.int32)
    x, kept_x = model.tensor("x", [1]), model.tensor("same", [1])
    scalar, y = model.tensor("scalar", []), model.tensor("y", [3])
    model.add("MEAN", [x, model.constant("axes", empty)], [kept_x], {0: ("B", True)})
    model.add("RESHAPE", [kept_x, model.constant("shape", empty)], [scalar])
    model.add("ADD", [scalar, model.constant("c", np.arange(3, dtype=np.float32))], [y])
    data, feeds = model.build([x], [y]), {"x": np.array([2.5], np.float32)}
    judge.assert_equal(judge.runtime(data, feeds), judge.run(judge.imported(data, tmp_path), feeds), 0)


def test_a_constant_without_elements_adds_nothing_to_a_concatenation(tmp_path: Path) -> None:
    model = TFLite()
    x, y = model.tensor("x", [2, 3]), model.tensor("y", [2, 3])
    nothing = model.constant("nothing", np.zeros((0, 3), np.float32))
    model.add("CONCATENATION", [x, nothing], [y], {0: ("i", 0)})
    data, feeds = model.build([x], [y]), {"x": np.ones((2, 3), np.float32)}
    judge.assert_equal(judge.runtime(data, feeds), judge.run(judge.imported(data, tmp_path), feeds), 0)
    model.add("CONCATENATION", [nothing, nothing], [empty := model.tensor("empty", [0, 3])], {0: ("i", 0)})
    assert "`empty` joins nothing" in judge.refused(model.build([x], [empty]), tmp_path)


@pytest.mark.parametrize("op", ["CONV_2D", "FULLY_CONNECTED"])
def test_weights_of_uint8_beside_floats_hold_int8(tmp_path: Path, op: str) -> None:
    """As the converters of 2018 wrote them; TFLite does not look at the zero point."""
    model, shape = TFLite(), (3, 1, 1, 20) if op == "CONV_2D" else (3, 20)
    x, y = model.tensor("x", [1, 2, 2, 20]), model.tensor("y", [1, 2, 2, 3])
    codes = np.maximum(_codes(shape), -127)
    w = model.constant("w", codes.view(np.uint8), Quantized([0.01], [128]))
    b = model.constant("b", np.ones(3, np.float32))
    model.add(op, [x, w, b], [y], _ROWS if op == "CONV_2D" else {2: ("B", True)})
    data = model.build([x], [y])
    graph = judge.imported(data, tmp_path)
    feeds = judge.random_feeds(graph)
    judge.assert_equal(judge.runtime(data, feeds), judge.run(graph, feeds), 0.02)  # it rounds the data


@pytest.mark.parametrize(
    ("op", "kind", "output"),
    [
        ("MAXIMUM", "int8", "int8"),
        ("MINIMUM", "uint8", "uint8"),
        ("LESS", "int16", "bool"),
        ("CONCATENATION", "int16", "int16"),
    ],
)
def test_codes_that_are_compared_or_joined_as_they_are_have_one_scale(
    tmp_path: Path, op: str, kind: str, output: str
) -> None:
    zero = 0 if kind == "int16" else 9
    for scale, words in ((0.05, ""), (0.04, "has tensors of different scales")):
        model, entry = TFLite(), Quantized([0.05], [zero])
        x, z = (
            model.tensor("x", [2, 4], kind, entry),
            model.tensor("z", [2, 4], kind, Quantized([scale], [zero])),
        )
        y = model.tensor("y", [2, 4], output, entry if output == kind else None)
        model.add(op, [x, z], [y])
        data = model.build([x, z], [y])
        if words:
            assert words in judge.refused(data, tmp_path)
        else:
            assert judge.imported(data, tmp_path).outputs == ["y"]


@pytest.mark.parametrize("op", ["FLOOR_DIV", "FLOOR_MOD", "NEG"])
def test_what_tflite_computes_with_codes_of_any_scale_is_refused(tmp_path: Path, op: str) -> None:
    model = TFLite()
    x, y = model.tensor("x", [2, 4], "int8", _ENTRY), model.tensor("y", [2, 4], "int8", _ENTRY)
    model.add(op, [x] if op == "NEG" else [x, x], [y])
    message = judge.refused(model.build([x], [y]), tmp_path)
    assert f"{op} `y` has a quantized input why: TFLite computes it with the codes as they are" in message


@pytest.mark.parametrize(("code", "name"), [(4, "TANH"), (5, "SIGN_BIT"), (9, "9")])
def test_fused_activations_that_tflite_leaves_out_are_refused(tmp_path: Path, code: int, name: str) -> None:
    model = TFLite()
    x, y = model.tensor("x", [2, 4]), model.tensor("y", [2, 4])
    model.add("ADD", [x, x], [y], {0: ("b", code)})
    assert f"ADD `y` has the fused activation {name} why: TFLite's own kernels leave it out" in (
        judge.refused(model.build([x], [y]), tmp_path)
    )


def test_operands_that_are_widened_keep_their_scale(tmp_path: Path) -> None:
    model = TFLite()
    x = model.tensor("x", [1, 4, 4, 3], "int8", _ENTRY)
    row = model.tensor("row", [4, 1], "int8", _OTHER)
    y = model.tensor("y", [1, 4, 4, 3], "int8", Quantized([0.1], [0]))
    model.add("ADD", [x, row], [y], {0: ("b", 0)})
    graph = judge.imported(model.build([x, row], [y]), tmp_path)
    (add,) = (node for node in graph.nodes if node.op == "Add")
    assert [kept(graph)[name].zero_point for name in add.inputs] == [(-3,), (5,)]
