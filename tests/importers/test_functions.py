"""Functions that a model defines for itself: replaced by their bodies, unless they grow without bound."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper

from modelbuild import importers
from modelbuild.artifacts.inspect import inspect
from modelbuild.errors import ModelbuildError
from modelbuild.graph import guard
from modelbuild.importers import functions

OPSETS = [helper.make_opsetid("", 13), helper.make_opsetid("own", 1)]


def model(bodies: dict[str, list[NodeProto]], called: str) -> ModelProto:
    """x [1, 4] -> `called` -> y, with functions a -> b of these bodies."""
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
    graph = helper.make_graph([call(called, "x", "y")], "g", ports[:1], ports[1:])
    proto = helper.make_model(graph, opset_imports=OPSETS, ir_version=8)
    for name, body in bodies.items():
        proto.functions.append(helper.make_function("own", name, ["a"], ["b"], body, OPSETS))
    return proto


def call(name: str, source: str, target: str) -> NodeProto:
    return helper.make_node(name, [source], [target], domain="own")


def doubling(levels: int) -> ModelProto:
    """Each function calls the one below twice: 2**levels nodes."""
    bodies = {"F0": [helper.make_node("Relu", ["a"], ["b"])]}
    for level in range(1, levels + 1):
        below = f"F{level - 1}"
        bodies[f"F{level}"] = [call(below, "a", "t"), call(below, "t", "b")]
    return model(bodies, f"F{levels}")


def refused(path: Path, proto: ModelProto) -> str:
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(ModelbuildError) as caught:
        importers.load(path)
    assert caught.value.exit_code == 2 and str(path) in str(caught.value)
    return str(caught.value)


def test_functions_are_inlined(tmp_path: Path) -> None:
    body = [helper.make_node("Relu", ["a"], ["t"]), helper.make_node("Neg", ["t"], ["b"])]
    (tmp_path / "m.onnx").write_bytes(model({"Block": body}, "Block").SerializeToString())
    graph = importers.load(tmp_path / "m.onnx")
    assert [node.op for node in graph.nodes] == ["Relu", "Neg"]
    guard.check(tmp_path / "m.onnx", graph)


def test_functions_within_functions_are_inlined() -> None:
    nodes = functions.inlined(doubling(6)).graph.node
    assert [node.op_type for node in nodes] == ["Relu"] * 64


def test_functions_that_multiply_are_counted_before_they_are_inlined(tmp_path: Path) -> None:
    assert f"make {2**40} nodes" in refused(tmp_path / "m.onnx", doubling(40))
    assert inspect(tmp_path / "m.onnx")["models"][0]["macs"] is None


def test_weights_that_multiply_are_counted_too(tmp_path: Path) -> None:
    proto = doubling(16)
    value = helper.make_tensor("v", TensorProto.FLOAT, [20_000], [0.0] * 20_000)
    proto.functions[0].node.insert(0, helper.make_node("Constant", [], ["c"], value=value))
    assert "bytes can be imported" in refused(tmp_path / "m.onnx", proto)


def test_functions_within_branches_are_counted(tmp_path: Path) -> None:
    proto = doubling(40)
    ports = [helper.make_tensor_value_info("t", TensorProto.FLOAT, [1, 4])]
    branch = helper.make_graph([call("F40", "x", "t")], "b", [], ports)
    chosen = helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch)
    proto.graph.node[0].CopyFrom(chosen)
    assert f"make {2**41 + 1} nodes" in refused(tmp_path / "m.onnx", proto)


@pytest.mark.parametrize("chain", [["A"], ["A", "B"]])
def test_recursion_is_refused(tmp_path: Path, chain: list[str]) -> None:
    following = dict(zip(chain, chain[1:] + chain[:1], strict=True))
    bodies = {name: [call(after, "a", "b")] for name, after in following.items()}
    assert "`A` defined in the model calls itself" in refused(tmp_path / "m.onnx", model(bodies, "A"))


def test_a_chain_too_deep_is_refused(tmp_path: Path) -> None:
    bodies = {f"F{level}": [call(f"F{level + 1}", "a", "b")] for level in range(5000)}
    assert "nested more than 64 deep" in refused(tmp_path / "m.onnx", model(bodies, "F0"))


def test_two_functions_of_one_name_are_refused(tmp_path: Path) -> None:
    proto = model({"F": [helper.make_node("Relu", ["a"], ["b"])]}, "F")
    proto.functions.append(proto.functions[0])
    assert "are not valid" in refused(tmp_path / "m.onnx", proto)
    assert inspect(tmp_path / "m.onnx")["models"][0]["macs"] is None
