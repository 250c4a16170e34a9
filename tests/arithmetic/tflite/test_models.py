"""Whole quantized models under tflite@1: TFLite files, a QDQ file, graphs by hand, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelbuild import importers
from modelbuild.arithmetic import tflite
from modelbuild.errors import ModelbuildError
from modelbuild.graph import shapes
from modelbuild.graph.kept_quantization import Kept, keep
from modelbuild.graph.model import Graph, Node
from modelbuild.graph.normalise import normalise
from modelbuild.importers.source import layouts_of
from tests.importers.tflite import judge

FILES = (
    "coral_mobilenet_v1_0.25_128_quant",
    "mlperf_kws_dscnn_int8",
    "mlperf_resnet8_int8",
    "mlperf_vww_96_int8",
    "tf2_mobilenet_v2_1.0_224_ptq_int8",
)


def smooth_codes(graph: Graph, name: str, seed: int) -> Any:
    """Codes in the file's layout that vary from place to place as pictures do, not from cell to cell."""
    generator, shape = np.random.default_rng(seed), graph.shapes[name]
    coarse = generator.normal(0, 60, [n if axis < 2 else -(-n // 8) for axis, n in enumerate(shape)])
    for axis in range(2, len(shape)):
        coarse = np.repeat(coarse, 8, axis)
    values = coarse[tuple(slice(0, n) for n in shape)] + generator.normal(0, 5, shape)
    limits = np.iinfo(graph.dtypes[name])  # type: ignore[type-var]
    codes = np.clip(values + (limits.min + limits.max) / 2, limits.min, limits.max).astype(limits.dtype)
    return np.ascontiguousarray(np.moveaxis(codes, 1, -1)) if name in layouts_of(graph) else codes


@pytest.mark.parametrize("name", FILES)
def test_the_real_files_give_the_codes_of_the_reference_kernels(shared_data: Path, name: str) -> None:
    path = shared_data / "models/tflite" / f"{name}.tflite"
    graph = importers.load(path)
    for seed in range(1 if name.startswith("tf2") else 3):
        feeds = {entry: smooth_codes(graph, entry, seed) for entry in graph.inputs}
        expected = judge.runtime(path.read_bytes(), feeds, kernels=judge.REFERENCE)
        found = judge.in_own_layout(graph, tflite.run, feeds)
        assert set(found) == set(expected)
        for output, codes in expected.items():
            assert (found[output].shape, found[output].dtype) == (codes.shape, codes.dtype)
            assert np.array_equal(found[output], codes)


def test_the_clean_graph_gives_the_same_codes(shared_data: Path) -> None:
    source = importers.load(shared_data / "models/tflite/mlperf_resnet8_int8.tflite")
    feeds = {name: np.moveaxis(smooth_codes(source, name, 4), -1, 1) for name in source.inputs}
    clean, _ = normalise(source)
    expected, found = tflite.run(source, feeds), tflite.run(clean, feeds)
    assert all(np.array_equal(expected[name], found[name]) for name in source.outputs)


def test_a_qdq_file_of_the_same_model_gives_nearly_the_same(shared_data: Path) -> None:
    graph = importers.load(shared_data / "models/onnx/tf2_mobilenet_v2_int8_qdq.onnx")
    path = shared_data / "models/tflite/tf2_mobilenet_v2_1.0_224_ptq_int8.tflite"
    other = importers.load(path)
    feeds = {name: smooth_codes(other, name, 0) for name in other.inputs}
    (expected,) = judge.runtime(path.read_bytes(), feeds, kernels=judge.REFERENCE).values()
    (codes,) = feeds.values()
    found = tflite.run(graph, {"input": codes})["Identity"]
    assert found.dtype == expected.dtype == np.uint8
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= 3


def by_hand(nodes: list[Node], constants: dict[str, Any] | None = None) -> Graph:
    graph = Graph("hand", nodes, ["x"], [nodes[-1].outputs[0]], dict(constants or {}))
    graph.shapes, graph.dtypes = {"x": (1, 2, 2, 2)}, {"x": np.dtype(np.float32)}
    shapes.infer(graph)
    return graph


X = Kept("int8", (0.5,), (0,))
CODES = np.arange(-4, 4, dtype=np.int8).reshape(1, 2, 2, 2)


def test_an_activation_without_codes_before_it_belongs_to_its_maker() -> None:
    weight = np.eye(2, dtype=np.float32).reshape(2, 2, 1, 1)
    nodes = [Node("Conv", "c", ["x", "w"], ["raw"]), Node("Relu", "r", ["raw"], ["y"])]
    graph = by_hand(nodes, {"w": weight})
    keep(graph, {"x": X, "w": Kept("int8", (1.0,), (0,)), "y": Kept("int8", (0.25,), (-1,))})
    found = tflite.run(graph, {"x": CODES})["y"]
    assert found.dtype == np.int8
    assert np.array_equal(found, np.maximum(CODES.astype(int), 0) * 2 - 1)


def test_moves_keep_codes_and_joins_change_scales() -> None:
    nodes = [
        Node("Transpose", "t", ["x"], ["a"], {"perm": [0, 2, 3, 1]}),
        Node("Transpose", "u", ["a"], ["b"], {"perm": [0, 3, 1, 2]}),
        Node("Concat", "c", ["b", "x"], ["y"], {"axis": 1}),
    ]
    graph = by_hand(nodes)
    keep(graph, {"x": X, "a": X, "b": X, "y": Kept("uint8", (0.25,), (10,))})
    found = tflite.run(graph, {"x": CODES})["y"]
    assert np.array_equal(found, np.concatenate([CODES, CODES], 1).astype(int) * 2 + 10)


def test_refusals_name_the_node_and_the_reason() -> None:
    graph = by_hand([Node("Exp", "e", ["x"], ["y"])])
    keep(graph, {"x": X, "y": X})
    with pytest.raises(ModelbuildError, match="cannot run Exp `e`") as caught:
        tflite.run(graph, {"x": CODES})
    assert "no rule" in str(caught.value)
    graph = by_hand([Node("Relu", "r", ["x"], ["a"]), Node("Sigmoid", "s", ["a"], ["y"])])
    keep(graph, {"x": X, "y": X})
    with pytest.raises(ModelbuildError, match="does not quantize its"):
        tflite.run(graph, {"x": CODES})
    with pytest.raises(ModelbuildError, match="the input `x` is missing"):
        tflite.run(graph, {})
    with pytest.raises(ModelbuildError, match="takes codes of int8"):
        tflite.run(graph, {"x": CODES.astype(np.float32)})
    with pytest.raises(ModelbuildError, match="it must be"):
        tflite.run(graph, {"x": CODES[0]})
