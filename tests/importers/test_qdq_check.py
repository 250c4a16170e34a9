"""The import of a quantized file is held against the file, each layer on its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from modelbuild import importers
from modelbuild.errors import ModelbuildError
from modelbuild.graph.kept_quantization import Kept, kept
from tests.importers.quantized import (
    FLOAT,
    WEIGHTS,
    X,
    Y,
    convolution,
    dq,
    imported,
    ops,
    q,
    save,
    scalar,
)  # fmt: skip


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


def within_function(nodes: list[onnx.NodeProto]) -> onnx.ModelProto:
    inputs = ["x", "x_s", "x_z"]
    body = helper.make_function("own", "Rounded", inputs, ["r"], nodes, [helper.make_opsetid("", 17)])
    call = helper.make_node("Rounded", inputs, ["r"], "call", domain="own")
    return model([call, helper.make_node("Neg", ["r"], ["y"], "neg")], [body])


def within_branch(nodes: list[onnx.NodeProto]) -> onnx.ModelProto:
    made = helper.make_tensor_value_info("r", FLOAT, [1, 40])
    other = helper.make_tensor_value_info("o", FLOAT, [1, 40])
    branch = helper.make_graph(nodes, "taken", [], [made])
    rest = helper.make_graph([helper.make_node("Abs", ["x"], ["o"])], "rest", [], [other])
    chosen = helper.make_node("If", ["yes"], ["c"], "if", then_branch=branch, else_branch=rest)
    return model([chosen, helper.make_node("Neg", ["c"], ["y"], "neg")], [])


def model(nodes: list[onnx.NodeProto], functions: list[onnx.FunctionProto]) -> onnx.ModelProto:
    ports = [helper.make_tensor_value_info(name, FLOAT, [1, 40]) for name in "xy"]
    constants = {**scalar(X, "x"), "yes": np.array(True)}
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    opsets = [helper.make_opsetid(domain, version) for domain, version in (("", 17), ("own", 1))]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], tensors)
    return helper.make_model(graph, functions=functions, opset_imports=opsets, ir_version=8)


@pytest.mark.parametrize("placed", [within_function, within_branch])
def test_layers_within_functions_and_branches_are_found(tmp_path: Path, placed: Any) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(placed([q("x", "x", "xq"), dq("xq", "x", "r")]).SerializeToString())
    graph = imported(path)
    assert ops(graph) == ["Neg"] and kept(graph)["x"].zero_point == X.zero_point


def test_a_range_that_is_lost_is_noticed(tmp_path: Path) -> None:
    """Of what was codes before, our value is held against the file's without saturating it first."""
    nodes = [
        q("x", "x", "xq"), dq("xq", "x", "xf"), q("xf", "a", "aq"), dq("aq", "a", "af"),
        helper.make_node("Abs", ["af"], ["y"], "abs"),
    ]  # fmt: skip
    narrow = Kept("uint8", (0.05,), (0,))
    shapes = ([1, 3, 6, 6], [1, 3, 6, 6])
    path = save(tmp_path, nodes, {**scalar(X, "x"), **scalar(narrow, "a")}, shapes=shapes)
    graph = imported(path)
    for node in graph.nodes:
        if node.op == "Clip":
            node.op, node.inputs = "Identity", node.inputs[:1]
    with pytest.raises(ModelbuildError, match="`aq` is off by"):
        importers.check(path, graph)
