"""The real TFLite models: equal to TFLite's own runtime, channels-first, no Transpose inside."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelbuild import importers
from modelbuild.graph.kept_quantization import kept
from modelbuild.graph.model import Graph, Node
from modelbuild.graph.normalise import normalise
from modelbuild.graph.order import in_order
from modelbuild.graph.rewrite import copied
from modelbuild.importers.source import layouts_of, source_of
from tests.importers.tflite import judge

FLOAT = ("mlperf_resnet8_float", "mlperf_vww_96_float", "yolov5n_fp16")
QUANTIZED = (
    "coral_mobilenet_v1_0.25_128_quant",
    "mlperf_kws_dscnn_int8",
    "mlperf_resnet8_int8",
    "mlperf_vww_96_int8",
    "tf2_mobilenet_v2_1.0_224_ptq_int8",
)
# The heads of YOLOv5: [1, 255, h, w] becomes boxes [1, h * w, 3, 85], whose numbers lie together.
TRANSPOSES = {"yolov5n_fp16": 3}


def _path(shared_data: Path, name: str) -> Path:
    return shared_data / "models/tflite" / f"{name}.tflite"


@pytest.mark.parametrize("name", FLOAT)
def test_float_models_give_what_tflite_gives(shared_data: Path, name: str) -> None:
    path = _path(shared_data, name)
    graph = importers.load(path)
    feeds = judge.random_feeds(graph)
    expected = judge.runtime(path.read_bytes(), feeds)
    judge.assert_equal(expected, judge.run(graph, feeds), 1e-4)
    judge.assert_equal(expected, judge.run(normalise(graph)[0], feeds), 1e-4)


@pytest.mark.parametrize("name", QUANTIZED)
def test_quantized_models_rounded_as_the_file_says_give_what_tflite_gives(
    shared_data: Path, name: str
) -> None:
    """Each tensor rounded to its codes: what is left are the roundings inside of the kernels. Looked at
    before the Softmax, which makes 60 steps of one where two classes are near each other."""
    path = _path(shared_data, name)
    graph = importers.load(path)
    (softmax,) = (node for node in graph.nodes if node.op == "Softmax")
    logits, entries = softmax.inputs[0], kept(graph)
    rounded = _rounded(graph)
    rounded.outputs = [logits]
    steps = []
    for seed in range(3):
        feeds = judge.random_feeds(graph, seed)
        expected = judge.runtime(path.read_bytes(), feeds, [logits])[logits].astype(np.int64)
        scale, zero = entries[logits].scale[0], entries[logits].zero_point[0]
        found = np.rint(judge.run(rounded, feeds)[logits] / scale) + zero
        assert expected.shape == found.shape
        steps.append(np.abs(expected - found).reshape(-1))
    distances = np.concatenate(steps)
    assert np.mean(distances) < 2
    assert distances.max() <= 6


@pytest.mark.parametrize("name", [*FLOAT, *QUANTIZED])
def test_nothing_is_left_of_the_source_s_layout(shared_data: Path, name: str) -> None:
    graph = importers.load(_path(shared_data, name))
    ops = Counter(node.op for node in normalise(graph)[0].nodes)
    assert ops["Transpose"] == TRANSPOSES.get(name, 0)
    assert ops["Identity"] == 0
    (entry,) = graph.inputs
    assert layouts_of(graph) == {entry: "NHWC"}
    assert graph.shapes[entry][0] == 1
    assert graph.shapes[entry][1] in (1, 3)


def test_half_precision_weights_are_noted(shared_data: Path) -> None:
    source = source_of(importers.load(_path(shared_data, "yolov5n_fp16")))
    assert (source["format"], source["producer"], source["nodes"]) == ("tflite", "MLIR Converted.", 380)
    assert source["notes"] == ["131 constants in half or double precision became float32"]


def test_every_quantized_tensor_has_its_entry(shared_data: Path) -> None:
    graph = importers.load(_path(shared_data, "mlperf_resnet8_int8"))
    entries = kept(graph)
    by_type = Counter(entry.dtype for entry in entries.values())
    assert by_type == {"int8": 27, "int32": 10}
    weights = [node.inputs[1] for node in graph.nodes if node.op == "Conv"]
    assert all(entries[name].axis == 0 for name in weights)
    assert all(len(entries[name].scale) == graph.shapes[name][0] for name in weights)
    for node in graph.nodes:
        if node.op == "Relu":
            assert node.outputs[0] in entries
            assert node.inputs[0] not in entries


def _rounded(graph: Graph) -> Graph:
    """`graph` with every tensor that has an entry rounded to its codes."""
    result = copied(graph)
    for name, entry in kept(graph).items():
        if name in graph.constants or entry.dtype not in ("int8", "uint8"):
            continue
        parameters = _parameters(result, name, entry.scale[0], entry.zero_point[0], entry.dtype)
        names = [f"{name}/free", f"{name}/codes"]
        for node in result.nodes:
            node.outputs = [names[0] if item == name else item for item in node.outputs]
        codes = Node("QuantizeLinear", names[1], [names[0], *parameters], [names[1]])
        result.nodes += [codes, Node("DequantizeLinear", f"{name}/back", [names[1], *parameters], [name])]
    result.nodes = in_order(result.nodes, result)
    return result


def _parameters(graph: Graph, name: str, scale: float, zero: int, dtype: str) -> list[str]:
    values: dict[str, Any] = {
        f"{name}/scale": np.array(scale, np.float32),
        f"{name}/zero": np.array(zero, dtype),
    }
    graph.constants |= values
    return list(values)
