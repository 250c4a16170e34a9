"""`If` with a condition that is always the same: the branch is taken; any other is refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from modelbuild import importers
from modelbuild.errors import ModelbuildError
from modelbuild.graph import guard
from modelbuild.graph.normalise import normalise
from modelbuild.importers.source import source_of


def value(name: str, shape: list[int | str] | None = None, kind: int = TensorProto.FLOAT) -> object:
    return helper.make_tensor_value_info(name, kind, shape)


def branch(node: NodeProto, *constants: TensorProto) -> GraphProto:
    return helper.make_graph([node], "b", [], [value(node.output[0])], list(constants))


def squeeze(source: str, target: str, number: int) -> list[NodeProto]:
    """As PyTorch writes `source.squeeze(1)`: Squeeze where dimension 1 is 1, else Identity."""
    axes = numpy_helper.from_array(np.array([1]), "axes")
    then = branch(helper.make_node("Squeeze", [source, "axes"], ["inner"]), axes)
    other = branch(helper.make_node("Identity", [source], ["inner"]))
    names = [f"{name}{number}" for name in ("shape", "size", "is_one")]
    return [
        helper.make_node("Shape", [source], names[:1]),
        helper.make_node("Gather", [names[0], "one"], names[1:2], axis=0),
        helper.make_node("Equal", [names[1], "one"], names[2:]),
        helper.make_node("If", names[2:], [target], f"if_{number}", then_branch=then, else_branch=other),
    ]


def saved(folder: Path, nodes: list[NodeProto], shape: list[int | str]) -> Path:
    constants = [numpy_helper.from_array(np.array(1), "one")]
    graph = helper.make_graph(nodes, "g", [value("x", shape)], [value("y")], constants)
    graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
    proto: ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    (folder / "m.onnx").write_bytes(proto.SerializeToString())
    return folder / "m.onnx"


@pytest.mark.parametrize(("channels", "which", "shape"), [(1, "then", (2, 4)), (3, "else", (2, 3, 4))])
def test_the_branch_that_shapes_decide_is_taken(
    tmp_path: Path, channels: int, which: str, shape: tuple[int, ...]
) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["a"]), *squeeze("a", "b", 0), *squeeze("b", "y", 1)]
    path = saved(tmp_path, nodes, ["batch", "channels", 4])
    graph = importers.load(path, {"x": (2, channels, 4)})
    assert graph.shapes["y"] == shape
    notes = source_of(graph)["notes"]
    assert f"If `if_0` always takes its {which} branch" in notes and any("`if_1`" in n for n in notes)
    assert importers.check(path, graph) is not None
    result, _ = normalise(graph)
    guard.check(path, result)
    assert not {"If", "Shape", "Gather", "Equal", "Identity"} & {node.op for node in result.nodes}


def test_open_shapes_leave_it_undecided(tmp_path: Path) -> None:
    path = saved(tmp_path, squeeze("x", "y", 0), ["batch", "channels", 4])
    with pytest.raises(ModelbuildError, match="If `if_0` is not supported") as caught:
        importers.load(path)
    assert caught.value.exit_code == 2 and "give the shapes of all inputs" in str(caught.value)


def test_data_that_decide_are_refused(tmp_path: Path) -> None:
    then, other = (branch(helper.make_node(op, ["x"], ["inner"])) for op in ("Relu", "Neg"))
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["most"], keepdims=0),
        helper.make_node("Cast", ["most"], ["choice"], to=TensorProto.BOOL),
        helper.make_node("If", ["choice"], ["y"], "chosen", then_branch=then, else_branch=other),
    ]
    path = saved(tmp_path, nodes, [1, 4])
    with pytest.raises(ModelbuildError, match="If `chosen` is not supported"):
        importers.load(path)


def test_branches_that_branch_in_turn_are_refused(tmp_path: Path) -> None:
    inner = squeeze("x", "inner", 7)
    then = helper.make_graph(inner, "b", [], [value("inner")])
    other = branch(helper.make_node("Identity", ["x"], ["inner"]))
    nodes = [helper.make_node("Cast", ["one"], ["yes"], to=TensorProto.BOOL)]
    nodes.append(helper.make_node("If", ["yes"], ["y"], "outer", then_branch=then, else_branch=other))
    with pytest.raises(ModelbuildError, match="If `outer`") as caught:
        importers.load(saved(tmp_path, nodes, [1, 1, 4]))
    assert "branch in turn" in str(caught.value)


def test_names_within_a_branch_do_not_clash(tmp_path: Path) -> None:
    """Both branches call their tensors alike, and so do those of another If, and a node behind them."""
    nodes = [*squeeze("x", "z", 0), *squeeze("z", "inner", 1), helper.make_node("Neg", ["inner"], ["y"])]
    graph = importers.load(saved(tmp_path, nodes, [2, 3, 4]))
    assert [node.op for node in normalise(graph)[0].nodes] == ["Neg"]


def test_what_only_a_branch_reads_survives_a_cut(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Neg", ["x"], ["a"]),
        *squeeze("a", "b", 0),
        helper.make_node("Abs", ["b"], ["y"]),
    ]
    path = saved(tmp_path, nodes, [2, 3, 4])
    graph = importers.load(path, edits=[{"cut": {"outputs": ["b"]}}])
    assert graph.outputs == ["b"] and graph.nodes[0].op == "Neg"


def test_a_voice_detector_is_refused(shared_data: Path) -> None:
    path = shared_data / "models/onnx/silero_vad_16k_op15.onnx"
    with pytest.raises(ModelbuildError, match="If `/model/decoder/If` is not supported"):
        importers.load(path)
    with pytest.raises(ModelbuildError, match="If `/model/decoder/If_1` is not supported"):
        importers.load(path, {"input": (1, 512), "state": (2, 1, 128)})
