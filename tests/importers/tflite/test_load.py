"""TFLite import beside the operators: borders, shapes, edits, and files that are no model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelbuild import importers
from modelbuild.errors import ModelbuildError
from modelbuild.graph.normalise import normalise
from modelbuild.importers.source import layouts_of, source_of
from tests.importers.tflite import judge
from tests.importers.tflite.builder import Quantized, TFLite, one

_CONV = {0: ("b", 0), 1: ("i", 1), 2: ("i", 1), 3: ("b", 0)}


def test_what_a_leading_cut_takes_away_is_not_looked_at(tmp_path: Path) -> None:
    data = one("CUSTOM", custom="TFLite_Detection_PostProcess")
    graph = judge.imported(data, tmp_path, edits=[{"cut": {"outputs": ["middle"]}}])
    assert (graph.inputs, graph.outputs) == (["x"], ["middle"])
    assert graph.shapes["middle"] == (1, 2, 4, 4)
    assert layouts_of(graph) == {"x": "NHWC", "middle": "NHWC"}


def test_the_beginning_is_cut_off_where_the_file_knows_the_shape(tmp_path: Path) -> None:
    model = TFLite()
    x, middle, y = (model.tensor(name, [1, 4, 4, 2]) for name in ("x", "middle", "y"))
    model.add("CUSTOM", [x], [middle], custom="FlexDecodeJpeg")
    model.add("RELU", [middle], [y])
    graph = judge.imported(model.build([x], [y]), tmp_path, edits=[{"cut": {"inputs": ["middle"]}}])
    assert (graph.inputs, graph.outputs) == (["middle"], ["y"])
    assert [node.op for node in graph.nodes] == ["Relu"]


def test_an_unknown_name_in_a_cut_is_answered_with_the_nearest(tmp_path: Path) -> None:
    assert "middle" in judge.refused(one("RELU"), tmp_path, edits=[{"cut": {"outputs": ["midle"]}}])


def test_other_edits_see_the_graph(tmp_path: Path) -> None:
    edits = [{"rename": {"x": "picture"}}, {"layout": {"y": "NHWC"}}]
    graph = judge.imported(one("RELU"), tmp_path, edits=edits)
    assert graph.shapes["picture"] == (1, 2, 4, 4)
    assert graph.shapes["y"] == (1, 4, 4, 2)
    assert layouts_of(graph) == {"picture": "NHWC"}


def test_an_output_of_another_shape_has_no_layout_of_the_source(tmp_path: Path) -> None:
    """Its axes are the user's own; where only the batch is another, they are the source's still."""
    edits = [{"rename": {"y": "z"}}, {"shape": {"z": [1, 32]}}]
    graph = judge.imported(one("RELU"), tmp_path, edits=edits)
    assert (graph.shapes["z"], layouts_of(graph)) == ((1, 32), {"x": "NHWC"})
    edits = [{"shape": {"x": [3, 2, 4, 4], "y": [3, 2, 4, 4]}}]
    assert layouts_of(judge.imported(one("RELU"), tmp_path, edits=edits)) == {"x": "NHWC", "y": "NHWC"}
    edits = [{"shape": {"y": [1, 32, 1, 1]}}]
    assert layouts_of(judge.imported(one("RELU"), tmp_path, edits=edits)) == {"x": "NHWC"}


@pytest.mark.parametrize(
    ("edit", "layouts"),
    [
        ({"shape": {"y": [1, 32]}}, {"x": "NHWC"}),
        (
            {"insert": {"at": "y", "op": "Transpose", "attributes": {"perm": [0, 1, 3, 2]}}},
            {"x": "NHWC"},
        ),
        ({"rename": {"x": "y", "y": "x"}}, {"x": "NHWC", "y": "NHWC"}),
    ],
)
def test_layouts_of_the_file_follow_edits(
    tmp_path: Path, edit: dict[str, Any], layouts: dict[str, str]
) -> None:
    graph = judge.imported(one("RELU"), tmp_path, edits=[edit])
    assert layouts_of(graph) == layouts


def test_a_layout_follows_its_tensor_when_names_are_exchanged(tmp_path: Path) -> None:
    flat = [{"shape": {"y": [1, 32]}}, {"rename": {"x": "y", "y": "x"}}]
    graph = judge.imported(one("RELU"), tmp_path, edits=flat)
    assert graph.inputs == ["y"] and layouts_of(graph) == {"y": "NHWC"}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the file is empty"),
        (b"\x1c\0\0\0TFL2" + bytes(64), "this is not a TFLite file"),
        (b"PK\x03\x04rest of an archive", "this is a ZIP archive"),
        (b"\x1c\0\0\0TFL3", "is damaged"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
    ],
)
def test_what_is_no_model_is_named(tmp_path: Path, data: bytes, words: str) -> None:
    assert words in judge.refused(data, tmp_path)


def test_an_onnx_name_for_a_tflite_file_is_answered(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(one("RELU"))
    with pytest.raises(ModelbuildError, match="TFLite model"):
        importers.load(path)


def _open(signature: list[int], shape: list[int]) -> bytes:
    model = TFLite()
    x, y = (model.tensor(name, shape, signature=signature) for name in ("x", "y"))
    model.add("RELU", [x], [y])
    return model.build([x], [y])


def test_an_open_batch_is_one_or_what_the_manifest_says(tmp_path: Path) -> None:
    data = _open([-1, 4, 6, 2], [1, 4, 6, 2])
    graph = judge.imported(data, tmp_path)
    assert graph.shapes["y"] == (1, 2, 4, 6)
    assert source_of(graph)["notes"] == ["the input `x` takes any number of samples: made for 1"]
    graph = judge.imported(data, tmp_path, input_shapes={"x": (3, 2, 4, 6)})
    assert graph.shapes["y"] == (3, 2, 4, 6)
    assert source_of(graph)["notes"] == []


def test_other_open_sizes_must_be_given_in_the_graph_s_layout(tmp_path: Path) -> None:
    data = _open([1, -1, -1, 3], [1, 1, 1, 3])
    assert "inputs: {x: {shape: [1, 3, <?>, <?>]}}" in judge.refused(data, tmp_path)
    graph = judge.imported(data, tmp_path, input_shapes={"x": (1, 3, 8, 6)})
    assert graph.shapes["x"] == (1, 3, 8, 6)
    for given, words in (
        ({"x": (1, 8, 6, 3)}, "dimension 1 is 3"),
        ({"x": (1, 3, 8, 6), "z": (1,)}, "input `z`"),
    ):
        with pytest.raises(ModelbuildError, match=words):
            judge.imported(data, tmp_path, input_shapes=given)


def test_a_shape_computed_from_the_batch_is_followed(tmp_path: Path) -> None:
    """What Keras makes of Flatten: SHAPE, STRIDED_SLICE, PACK, RESHAPE."""
    model = TFLite()
    x = model.tensor("x", [1, 4, 6, 2], signature=[-1, 4, 6, 2])
    shape, batch = model.tensor("shape", [4], "int32"), model.tensor("batch", [], "int32")
    target, y = model.tensor("target", [2], "int32"), model.tensor("y", [1, 48])
    numbers = [model.constant(f"c{n}", np.array([n], np.int32)) for n in (0, 1)]
    count = model.constant("count", np.array(48, np.int32))
    model.add("SHAPE", [x], [shape])
    options = {4: ("i", 1)}
    model.add("STRIDED_SLICE", [shape, numbers[0], numbers[1], numbers[1]], [batch], options)
    model.add("PACK", [batch, count], [target], {0: ("i", 2), 1: ("i", 0)})
    model.add("RESHAPE", [x, target], [y])
    graph = judge.imported(model.build([x], [y]), tmp_path, input_shapes={"x": (5, 2, 4, 6)})
    assert graph.shapes["y"] == (5, 48)
    assert {node.op for node in normalise(graph)[0].nodes} == {"Transpose", "Reshape"}


@pytest.mark.parametrize("quantized", [False, True])
def test_a_border_that_is_channels_first_in_the_file_stays_so(tmp_path: Path, quantized: bool) -> None:
    """What converters from PyTorch write: a TRANSPOSE behind the input and one before the output."""
    model, last = TFLite(), Quantized([0.05], [0])
    kind, entry = ("int8", last) if quantized else ("float32", None)

    def made(op: str, data: int, name: str, shape: list[int], *others: int) -> int:
        number = model.tensor(name, shape, kind, entry)
        model.add(op, [data, *others], [number])
        return number

    perms = [
        model.constant(f"perm{i}", np.array(p, np.int32)) for i, p in enumerate(((0, 2, 3, 1), (0, 3, 1, 2)))
    ]
    x = model.tensor("x", [1, 3, 8, 6])
    a = made("QUANTIZE", x, "xq", [1, 3, 8, 6]) if quantized else x
    b = made("TRANSPOSE", a, "b", [1, 8, 6, 3], perms[0])
    c = made("TANH", b, "c", [1, 8, 6, 3])
    y = made("TRANSPOSE", c, "y", [1, 3, 8, 6], perms[1])
    if quantized:
        number = model.tensor("z", [1, 3, 8, 6])
        model.add("DEQUANTIZE", [y], [number])
        y = number
    graph = judge.imported(model.build([x], [y]), tmp_path)
    assert (graph.shapes["x"], graph.shapes[graph.outputs[0]]) == ((1, 3, 8, 6), (1, 3, 8, 6))
    assert layouts_of(graph) == {}
    assert [node.op for node in normalise(graph)[0].nodes] == ["Tanh"]


def test_names_repeated_in_the_file_leave_the_border_s_alone(tmp_path: Path) -> None:
    model = TFLite()
    inner, x, y = model.tensor("t", [1, 4]), model.tensor("t", [1, 4]), model.tensor("", [1, 4])
    model.add("RELU", [x], [inner])
    model.add("TANH", [inner], [y])
    graph = judge.imported(model.build([x], [y]), tmp_path)
    assert (graph.inputs, graph.outputs) == (["t"], ["tensor_2"])
    assert [(node.name, node.origin) for node in graph.nodes] == [
        ("t_1", ("t_1",)),
        ("tensor_2", ("tensor_2",)),
    ]


def test_an_output_that_is_a_constant_or_also_read_inside(tmp_path: Path) -> None:
    model = TFLite()
    x, a, y = (model.tensor(name, [1, 4, 4, 2]) for name in ("x", "a", "y"))
    c = model.constant("c", np.arange(32, dtype=np.float32).reshape(1, 4, 4, 2))
    target = model.constant("shape", np.array([1, 4, 4, 2], np.int32))
    model.add("RESHAPE", [x, target], [a])
    model.add("ADD", [a, c], [y])
    data = model.build([x], [a, y, c])
    graph = judge.imported(data, tmp_path)
    feeds = judge.random_feeds(graph)
    judge.assert_equal(judge.runtime(data, feeds), judge.run(graph, feeds), 1e-6)


def test_constants_behind_the_flatbuffer(tmp_path: Path) -> None:
    model = TFLite()
    x, y, z = (model.tensor(name, [1, 3]) for name in "xyz")
    model.add("ADD", [x, model.constant("a", np.array([1, 2, 3], np.float32))], [y])
    model.add("MUL", [y, model.constant("b", np.array([4, 5, 6], np.float32))], [z])
    data = model.build([x], [z], outside=True)
    found = judge.run(judge.imported(data, tmp_path), {"x": np.ones((1, 3), np.float32)})
    np.testing.assert_array_equal(found["z"], [[8, 15, 24]])
    assert "is damaged" in judge.refused(data[:-4], tmp_path)


def test_graphs_beside_the_first_are_noted(tmp_path: Path) -> None:
    model = TFLite()
    x, y = model.tensor("x", [1, 4]), model.tensor("y", [1, 4])
    model.add("RELU", [x], [y])
    graph = judge.imported(model.build([x], [y], copies=3), tmp_path)
    assert source_of(graph)["notes"] == ["the file has 2 graphs beside the first, which are not read"]


def test_an_integer_input_keeps_its_type(tmp_path: Path) -> None:
    model = TFLite()
    x, y = model.tensor("x", [1, 4, 4, 3], "uint8"), model.tensor("y", [1, 4, 4, 3])
    model.add("CAST", [x], [y], {0: ("b", 3), 1: ("b", 0)})
    graph = judge.imported(model.build([x], [y]), tmp_path)
    assert (graph.dtypes["x"], graph.dtypes["y"]) == (np.uint8, np.float32)


def test_an_input_that_is_an_output_or_a_tensor_made_twice_is_refused(tmp_path: Path) -> None:
    model = TFLite()
    x, y = model.tensor("x", [1, 4]), model.tensor("y", [1, 4])
    model.add("RELU", [x], [y])
    assert "is an input of the model" in judge.refused(model.build([x], [x]), tmp_path)
    model.add("TANH", [x], [y])
    assert "`y` is made twice" in judge.refused(model.build([x], [y]), tmp_path)
    model = TFLite()
    x, y = model.tensor("x", [1, 4]), model.tensor("y", [1, 4])
    model.add("ADD", [x, y], [y])
    assert "reads the tensor `y`, and nothing makes it" in judge.refused(model.build([x], [y]), tmp_path)


@pytest.mark.parametrize("crop", [0, 1])
def test_a_dilated_convolution_in_three_operators_becomes_one(tmp_path: Path, crop: int) -> None:
    model = TFLite()
    x, dealt = model.tensor("x", [1, 7, 8, 3]), model.tensor("dealt", [4, 6, 6, 3])
    small, y = model.tensor("small", [4, 4, 4, 3]), model.tensor("y", [1, 8 - crop, 8, 3])
    block = model.constant("block", np.array([2, 2], np.int32))
    pads = model.constant("pads", np.array([[2, 3], [2, 2]], np.int32))
    crops = model.constant("crops", np.array([[0, crop], [0, 0]], np.int32))
    generator = np.random.default_rng(0)
    w = model.constant("w", generator.standard_normal((1, 3, 3, 3)).astype(np.float32))
    b = model.constant("b", generator.standard_normal(3).astype(np.float32))
    model.add("SPACE_TO_BATCH_ND", [x, block, pads], [dealt])
    options = {0: ("b", 1), 1: ("i", 1), 2: ("i", 1), 3: ("i", 1), 4: ("b", 1)}
    model.add("DEPTHWISE_CONV_2D", [dealt, w, b], [small], options)
    model.add("BATCH_TO_SPACE_ND", [small, block, crops], [y])
    data = model.build([x], [y])
    graph = judge.imported(data, tmp_path)
    assert [node.op for node in graph.nodes] == ["Conv", "Relu"]
    assert graph.nodes[0].attributes["dilations"] == [2, 2]
    feeds = judge.random_feeds(graph)
    judge.assert_equal(judge.runtime(data, feeds), judge.run(graph, feeds), 1e-5)
    alone = model.build([x], [dealt])
    feeds = judge.random_feeds(graph := judge.imported(alone, tmp_path))
    judge.assert_equal(judge.runtime(alone, feeds), judge.run(graph, feeds), 0)
