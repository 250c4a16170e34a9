"""Edits at the inputs and outputs: shapes, scale and bias, channels, layout."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.graph import edits, shapes
from modelbuild.graph.kept_quantization import Kept, keep, kept
from modelbuild.graph.quantized_border import dequantize_input, is_port, quantize_output
from modelbuild.graph.session import FloatSession
from tests.graph.small import graph, numbers, ops

WEIGHT = numbers(4, 3, 1, 1)
SHAPE = {"flat": np.array([1, 64], np.int64)}


def conv() -> Any:
    return graph([("Conv", "x w", "y")], {"w": WEIGHT}, x=(1, 3, 4, 4))


def flattened() -> Any:
    steps = [("Conv", "x w", "a"), ("Reshape", "a flat", "y")]
    return graph(steps, {"w": WEIGHT, **SHAPE}, x=(1, 3, 4, 4))


def run(found: Any, x: Any) -> Any:
    return FloatSession(found).run({found.inputs[0]: x})[found.outputs[0]]


X = numbers(1, 3, 4, 4, seed=5)


def test_normalize_scales_then_adds_a_channel() -> None:
    settings = {"scale": 0.5, "bias": [1, 2, 3]}
    found = edits.apply(conv(), [{"normalize": settings}])
    assert (ops(found), found.inputs) == (["Mul", "Add", "Conv"], ["x"])
    shifted = X * np.float32(0.5) + np.array([1, 2, 3], np.float32).reshape(1, 3, 1, 1)
    assert np.allclose(run(found, X), run(conv(), shifted), atol=1e-6)


def test_normalize_along_another_axis() -> None:
    found = edits.apply(
        graph([("Relu", "x", "y")], x=(1, 4, 4, 3)), [{"normalize": {"bias": [1, 2, 3], "axis": 3}}]
    )
    assert np.array_equal(run(found, np.zeros((1, 4, 4, 3), np.float32))[0, 0, 0], [1, 2, 3])


def test_swapped_channels_cost_nothing_before_a_convolution() -> None:
    found = edits.apply(conv(), [{"swap_channels": {}}])
    assert ops(found) == ["Conv"]
    assert np.allclose(run(found, X[:, ::-1]), run(conv(), X), atol=1e-6)


def test_swapped_channels_elsewhere_are_a_convolution_of_ones() -> None:
    before = graph([("Relu", "x", "y")], x=(1, 3, 4, 4))
    found = edits.apply(before, [{"swap_channels": {"input": "x", "order": [1, 2, 0]}}])
    assert ops(found) == ["Conv", "Relu"]
    assert np.array_equal(run(found, X), run(before, X[:, [1, 2, 0]]))


def test_a_swapped_order_means_the_same_for_weights() -> None:
    found = edits.apply(conv(), [{"swap_channels": {"order": [1, 2, 0]}}])
    assert np.allclose(run(found, X), run(conv(), np.ascontiguousarray(X[:, [1, 2, 0]])), atol=1e-6)


def test_weights_that_others_read_stay() -> None:
    before = graph([("Conv", "x w", "a"), ("Conv", "a w", "y")], {"w": numbers(3, 3, 1, 1)}, x=(1, 3, 4, 4))
    found = edits.apply(before, [{"swap_channels": {}}])
    assert np.allclose(run(found, X[:, ::-1]), run(before, X), atol=1e-6)


def test_layouts_of_input_and_output() -> None:
    found = edits.apply(conv(), [{"layout": {"x": "NHWC", "y": "NHWC"}}])
    assert ops(found) == ["Transpose", "Conv", "Transpose"]
    assert (found.shapes["x"], found.shapes["y"]) == ((1, 4, 4, 3), (1, 4, 4, 4))
    expected = run(conv(), X).transpose(0, 2, 3, 1)
    assert np.array_equal(run(found, np.ascontiguousarray(X.transpose(0, 2, 3, 1))), expected)


def test_there_and_back_is_the_same() -> None:
    found = edits.apply(conv(), [{"layout": {"x": "NHWC"}}, {"layout": {"x": "NCHW"}}])
    assert np.array_equal(run(found, X), run(conv(), X))


def test_another_batch_reaches_a_reshape_that_wrote_it_out() -> None:
    found = edits.apply(flattened(), [{"shape": {"x": [2, 3, 4, 4]}}])
    assert found.shapes["y"] == (2, 64)
    both = np.concatenate([X, X + 1])
    each = [run(flattened(), X), run(flattened(), X + 1)]
    assert np.allclose(run(found, both), np.concatenate(each), atol=1e-6)


def test_another_picture_size() -> None:
    assert edits.apply(conv(), [{"shape": {"x": [1, 3, 6, 8]}}]).shapes["y"] == (1, 4, 6, 8)


def test_an_output_is_reshaped_and_keeps_its_name() -> None:
    found = edits.apply(conv(), [{"shape": {"y": [4, 16]}}])
    assert (ops(found), found.outputs) == (["Conv", "Reshape"], ["y"])
    assert np.array_equal(run(found, X), run(conv(), X).reshape(4, 16))


def test_kept_quantization_stays_with_its_values() -> None:
    entry = Kept("uint8", (0.5,), (0,))
    for edit in (
        {"normalize": {"scale": 2}},
        {"layout": {"x": "NHWC"}},
        {"insert": {"at": "x", "op": "Relu"}},
    ):
        before = conv()
        keep(before, {"x": entry, "y": entry})
        found = edits.apply(before, [edit])
        (name,) = [name for name in kept(found) if name != "y"]
        assert name == ("x" if "insert" in edit else next(n for n in found.nodes if n.op == "Conv").inputs[0])


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        ({"shape": {"z": [1]}}, "no input or output `z`"),
        ({"shape": {"x": [1, 3, 4]}}, "has 3 dimensions.*the model's has 4"),
        ({"shape": {"x": [1, 5, 4, 4]}}, "the model cannot take `x` .*conv_0"),
        ({"shape": {"y": [1, 63]}}, "it has 64 values, .*that are 63"),
        ({"shape": {"y": [0]}}, "is not a list of sizes from 1"),
        ({"shape": {}}, "needs inputs or outputs"),
        ({"normalize": {"scale": [1, 2]}}, "`scale` has 2 numbers for the 3 channels"),
        ({"normalize": {"input": "y", "scale": 2}}, "no input `y`"),
        ({"normalize": {"scale": 1, "axis": 4}}, "no axis 4"),
        ({"normalize": {"scal": 1}}, "no key `scal`.*did you mean `scale`"),
        ({"normalize": {"scale": 1e39}}, "a number that float32 cannot"),
        ({"swap_channels": {"order": [0, 0, 1]}}, "not an order of the 3 channels"),
        ({"normalize": {"scale": "a"}}, "`scale` is not a number"),
        ({"normalize": {"scale": [[1, 2], [3]]}}, "`scale` is not a number"),
        ({"normalize": {"scale": 2, "axis": "a"}}, "no axis a"),
        ({"swap_channels": {"order": 5}}, "not an order of the 3 channels"),
        ({"swap_channels": {"order": [0, 1, "a"]}}, "not an order of the 3 channels"),
        ({"layout": {"x": "NCWH"}}, "is not a layout"),
        ({"layout": {"q": "NHWC"}}, "no input or output `q`"),
        ({"layout": []}, "`layout` needs"),
    ],
)
def test_what_does_not_fit_is_told(edit: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelbuildError) as caught:
        edits.apply(flattened(), [{"rename": {"w": "v"}}, edit])
    text = " ".join(str(caught.value).split())
    assert re.search(words, text)
    assert text.startswith(f"edit[2]: edit 2 (`{next(iter(edit))}`): ")
    assert caught.value.exit_code == 2


def test_one_of_several_inputs_is_named() -> None:
    two = graph([("Add", "a b", "y")], a=(1, 3, 4, 4), b=(1, 3, 4, 4))
    with pytest.raises(ModelbuildError, match="the model has 2 inputs: a, b"):
        edits.apply(two, [{"swap_channels": {}}])
    assert ops(edits.apply(two, [{"swap_channels": {"input": "b"}}])) == ["Conv", "Add"]


SPATIAL = [("Conv", "x w", "a"), ("Relu", "a", "y")]


@pytest.mark.parametrize("name", ["x", "y"])
def test_a_layout_that_is_there_already_is_told(name: str) -> None:
    """Silently it would be made another one, of the wrong shape."""
    before = graph(SPATIAL, {"w": WEIGHT}, x=(1, 3, 4, 4))
    with pytest.raises(ModelbuildError, match=f"`{name}` is NCHW already"):
        edits.apply(before, [{"layout": {name: "NCHW"}}])
    for again in ({name: "NHWC"}, {"z": "NHWC"}):
        renamed = [{"rename": {name: "z"}}] if "z" in again else []
        with pytest.raises(ModelbuildError, match="is NHWC already"):
            edits.apply(before, [{"layout": {name: "NHWC"}}, *renamed, {"layout": again}])
    back = edits.apply(before, [{"layout": {name: "NHWC"}}, {"layout": {name: "NCHW"}}])
    assert back.shapes[name] == before.shapes[name]


def test_what_the_source_says_of_a_layout_counts_where_no_node_tells() -> None:
    before = graph([("Relu", "x", "y")], x=(1, 3, 4, 4))
    assert edits.apply(before, [{"layout": {"x": "NCHW"}}]).shapes["x"] == (1, 4, 3, 4)
    with pytest.raises(ModelbuildError, match="`x` is NCHW already"):
        edits.apply(before, [{"layout": {"x": "NCHW"}}], ["x"])
    with pytest.raises(ModelbuildError, match="`z` is NCHW already"):
        edits.apply(before, [{"rename": {"x": "z"}}, {"layout": {"z": "NCHW"}}], ["x"])


@pytest.mark.parametrize("at", ["x", "y", "relu_0"])
def test_a_transpose_takes_the_layout_of_its_output_alone(at: str) -> None:
    """By the tensor's name or its node's; an input is before the Transpose, and stays what it is."""
    before = graph([("Relu", "x", "y"), ("Neg", "x", "z")], x=(1, 3, 4, 4))
    before.outputs = ["y", "z"]
    turn = {"insert": {"at": at, "op": "Transpose", "attributes": {"perm": [0, 2, 3, 1]}}}
    told = [name for name in "xyz" if name == "x" or name != ("y" if at == "relu_0" else at)]
    for name in told:
        with pytest.raises(ModelbuildError, match=f"`{name}` is NCHW already"):
            edits.apply(before, [turn, {"layout": {name: "NCHW"}}], ["x", "y", "z"])
    if at != "x":
        back = edits.apply(before, [turn, {"layout": {"y": "NCHW"}}], ["x", "y", "z"])
        assert back.shapes["y"] == (1, 3, 4, 4)


def test_a_model_that_transposes_by_itself_is_channels_last() -> None:
    steps = [("Transpose", "x", "t", {"perm": [0, 3, 1, 2]}), ("Conv", "t w", "y")]
    before = graph(steps, {"w": WEIGHT}, x=(1, 4, 4, 3))
    assert edits.apply(before, [{"layout": {"x": "NCHW"}}]).shapes["x"] == (1, 3, 4, 4)
    with pytest.raises(ModelbuildError, match="`x` is NHWC already"):
        edits.apply(before, [{"layout": {"x": "NHWC"}}])


@pytest.mark.parametrize(
    ("steps", "constants", "shape", "words"),
    [
        ([("Reshape", "x s", "y")], {"s": np.array([1, 48])}, [1, 3, 2, 2], "Reshape `reshape_0`.*48"),
        (
            [("Gather", "x i", "y", {"axis": 2})],
            {"i": np.array([3])},
            [1, 3, 2, 4],
            r"Gather `gather_0` does not fit.*`x` \[1, 3, 2, 4\].*idx=3",
        ),
        (
            [("Einsum", "x w", "y", {"equation": "nchw,cd->ndhw"})],
            {"w": numbers(3, 5)},
            [1, 2, 4, 4],
            r"`einsum_0` does not fit.*`w` \[3, 5\]",
        ),
        (
            [("Add", "x w", "y")],
            {"w": numbers(1, 3, 4, 4)},
            [1, 3, 3, 3],
            r"Add `add_0`.*`x` \[1, 3, 3, 3\], `w` \[1, 3, 4, 4\]",
        ),
    ],
)
def test_a_shape_that_a_node_cannot_take_names_node_and_sizes(
    steps: Any, constants: Any, shape: list[int], words: str
) -> None:
    """What shape inference lets pass, and only the runtime would find."""
    with pytest.raises(ModelbuildError) as caught:
        edits.apply(graph(steps, constants, x=(1, 3, 4, 4)), [{"shape": {"x": shape}}])
    text = " ".join(str(caught.value).split())
    assert caught.value.exit_code == 2 and "the model cannot take `x`" in text
    assert re.search(words, text), text
    assert "onnxruntime_src" not in text


def test_a_size_is_no_truth_value() -> None:
    with pytest.raises(ModelbuildError, match="not a list of sizes from 1"):
        edits.apply(conv(), [{"shape": {"x": [True, 3, 4, 4]}}])


def coded() -> Any:
    """A convolution between codes, as a quantized source has them at its border."""
    made = graph([("Conv", "x w", "y")], {"w": WEIGHT}, x=(1, 3, 4, 4))
    dequantize_input(made, "x", Kept("uint8", (0.5,), (7,)))
    quantize_output(made, "y", Kept("uint8", (0.25,), (9,)))
    shapes.infer(made)
    return made


CODES = np.arange(48, dtype=np.uint8).reshape(1, 3, 4, 4)


@pytest.mark.parametrize(
    ("edit", "given", "turned"),
    [
        ({"layout": {"x": "NHWC"}}, CODES.transpose(0, 2, 3, 1), lambda y: y),
        ({"layout": {"y": "NHWC"}}, CODES, lambda y: y.transpose(0, 2, 3, 1)),
        ({"shape": {"y": [1, 64]}}, CODES, lambda y: y.reshape(1, 64)),
        ({"swap_channels": {}}, CODES[:, ::-1], lambda y: y),
        ({"insert": {"at": "y", "op": "Relu"}}, CODES, lambda y: np.maximum(y, 9)),
    ],
)
def test_codes_at_the_border_stay_codes(edit: dict[str, Any], given: Any, turned: Any) -> None:
    """Between them and the model's real numbers is nothing but what quantizes, so that a chip can run it."""
    found = edits.apply(coded(), [edit])
    assert is_port(found, "x") and is_port(found, "y")
    expected = turned(run(coded(), CODES))
    assert np.abs(run(found, np.ascontiguousarray(given)).astype(int) - expected).max() <= 1
    last = found.producers()["y"].inputs[0]
    assert kept(found)[last] == Kept("uint8", (0.25,), (9,))


def test_normalize_scales_what_codes_stand_for() -> None:
    scaled = edits.apply(coded(), [{"normalize": {"scale": 2, "bias": 1}}])
    assert is_port(scaled, "x") and ops(scaled)[:3] == ["DequantizeLinear", "Mul", "Add"]


def test_nothing_is_inserted_at_an_input_that_is_an_output() -> None:
    before = graph([("Relu", "x", "y")], x=(1, 3, 4, 4))
    before.outputs = ["y", "x"]
    with pytest.raises(ModelbuildError, match="`x` is an input and an output"):
        edits.apply(before, [{"insert": {"at": "x", "op": "Tanh"}}])


def test_what_onnxruntime_lacks_is_not_the_shape_that_is_wrong() -> None:
    """It runs the model to try the shape; that it has no such operator says nothing of the size."""
    steps = [
        ("Cast", "x", "i", {"to": 6}),
        ("DepthToSpace", "i", "d", {"blocksize": 2}),
        ("Cast", "d", "y", {"to": 1}),
    ]
    result = edits.apply(graph(steps, x=(1, 4, 2, 2)), [{"shape": {"x": [1, 4, 6, 6]}}])
    assert result.shapes["y"] == (1, 1, 12, 12)
