"""Quantized ONNX models become float graphs that keep the file's quantization."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from modelbuild import importers
from modelbuild.graph import onnx_io
from modelbuild.graph.kept_quantization import Kept, kept
from modelbuild.graph.normalise import normalise
from modelbuild.graph.session import FloatSession
from modelbuild.importers.source import source_of
from tests.importers.quantized import (
    GENERATOR,
    INT8,
    SCALES,
    UINT8,
    WEIGHT,
    WEIGHTS,
    X,
    Y,
    convolution,
    dq,
    imported,
    ops,
    ports,
    q,
    save,
    scalar,
    write,
)  # fmt: skip


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


def test_sixteen_bits_keep_their_entries(tmp_path: Path) -> None:
    y = Kept("int16", (0.25,), (0,))
    graph = imported(convolution(tmp_path, y, opset=21))
    assert kept(graph)["y"] == y


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


@pytest.mark.parametrize("moved", [None, "MaxPool"])
def test_codes_that_get_another_range_are_limited_to_it(tmp_path: Path, moved: str | None) -> None:
    """Q DQ Q DQ: the second quantization neither takes the place of the first nor is it lost."""
    graph = imported(requantized(tmp_path, Kept("uint8", (0.05,), (0,)), moved))
    clean = normalise(graph)[0]
    assert ops(graph) == [*([moved] if moved else []), "Clip", "Abs"]
    clip = next(node for node in clean.nodes if node.op == "Clip")
    entries = kept(clean)
    assert entries["x"] == Kept("uint8", (float(np.float32(0.05)),), (100,))
    assert entries[clip.outputs[0]] == Kept("uint8", (float(np.float32(0.05)),), (0,))
    x = np.full((1, 3, 6, 6), -4, np.float32)
    assert not FloatSession(clean).run({"x": x})["y"].any()


@pytest.mark.parametrize("after", [X, Kept("int8", (0.05,), (-28,)), Kept("int16", (0.05,), (7,))])
def test_codes_that_only_move_to_others_stay_as_they_are(tmp_path: Path, after: Kept) -> None:
    graph = imported(requantized(tmp_path, after))
    assert ops(graph) == ["Abs"] and kept(normalise(graph)[0])["x"].zero_point == (100,)


def requantized(folder: Path, after: Kept, moved: str | None = None) -> Path:
    """x float -> Q DQ -> (a pool) -> Q DQ with another quantization -> Abs."""
    pool = [helper.make_node("MaxPool", ["xf"], ["m"], "pool", kernel_shape=[1, 2])] if moved else []
    nodes = [
        q("x", "x", "xq"), dq("xq", "x", "xf"), *pool, q("m" if moved else "xf", "a", "aq"),
        dq("aq", "a", "af"), helper.make_node("Abs", ["af"], ["y"], "abs"),
    ]  # fmt: skip
    shapes = ([1, 3, 6, 6], [1, 3, 6, 5 if moved else 6])
    return save(folder, nodes, {**scalar(X, "x"), **scalar(after, "a")}, shapes=shapes, opset=21)


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
