"""Training leftovers: what is harmless goes, what works as in training is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from modelbuild import importers
from modelbuild.graph import guard
from modelbuild.graph.normalise import normalise
from modelbuild.importers.source import source_of
from tests.importers.refused import message


def saved(
    folder: Path, nodes: list[NodeProto], constants: dict[str, Any], opset: int = 13, outputs: str = "y"
) -> Path:
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    ports = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 3, 3])]
    if opset > 13:
        ports.append(helper.make_tensor_value_info("training", TensorProto.BOOL, []))
    kinds = {"mask": TensorProto.BOOL}
    made = [helper.make_tensor_value_info(n, kinds.get(n, TensorProto.FLOAT), None) for n in outputs.split()]
    graph = helper.make_graph(nodes, "g", ports, made, tensors)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    (folder / "m.onnx").write_bytes(proto.SerializeToString())
    return folder / "m.onnx"


FOUR = {"s": np.ones(2, np.float32), "b": np.zeros(2, np.float32), "m": np.ones(2, np.float32)}
FOUR["v"] = np.float32([1, 4])
_HALF = {"r": np.float32(0.5)}


@pytest.mark.parametrize("constants", [{}, _HALF, {**_HALF, "t": np.array(False)}])
def test_dropout_goes_and_its_mask_is_true(tmp_path: Path, constants: dict[str, Any]) -> None:
    nodes = [
        helper.make_node("Dropout", ["x", *constants], ["a", "mask"]),
        helper.make_node("Where", ["mask", "a", "zero"], ["y"]),
    ]
    path = saved(tmp_path, nodes, {**constants, "zero": np.float32(0)})
    graph = importers.load(path)
    assert importers.check(path, graph) is not None
    result, _ = normalise(graph)
    assert "Dropout" not in {node.op for node in result.nodes}
    guard.check(path, result)


@pytest.mark.parametrize("opset", [7, 10, 12])
def test_a_mask_that_nothing_reads_goes(tmp_path: Path, opset: int) -> None:
    path = saved(tmp_path, [helper.make_node("Dropout", ["x"], ["y", "mask"])], {}, opset=opset)
    graph = importers.load(path)
    assert importers.check(path, graph) is not None and [node.op for node in graph.nodes] == ["Identity"]


def test_a_mask_that_is_an_output_is_a_constant(tmp_path: Path) -> None:
    path = saved(tmp_path, [helper.make_node("Dropout", ["x"], ["y", "mask"])], {}, outputs="y mask")
    graph = importers.load(path)
    assert importers.check(path, graph) is not None
    assert graph.outputs == ["y", "mask"]


def test_dropout_that_drops_is_refused(tmp_path: Path) -> None:
    constants = {"r": np.float32(0.5), "t": np.array(True)}
    node = helper.make_node("Dropout", ["x", "r", "t"], ["y"], "drop")
    assert "Dropout `drop` is in training mode" in message(saved(tmp_path, [node], constants))
    assert importers.load(saved(tmp_path, [node], {**constants, "r": np.float32(0)})).outputs == ["y"]


def test_dropout_that_an_input_decides_is_refused(tmp_path: Path) -> None:
    node = helper.make_node("Dropout", ["x", "", "training"], ["y"], "drop")
    assert "`drop` is told by an input" in message(saved(tmp_path, [node], {}, opset=15))


def test_unused_statistics_of_a_normalisation_go(tmp_path: Path) -> None:
    node = helper.make_node("BatchNormalization", ["x", *FOUR], ["y", "m2", "v2", "m3", "v3"], "norm")
    path = saved(tmp_path, [node], FOUR, opset=9)
    graph = importers.load(path)
    assert graph.nodes[0].outputs == ["y"]
    assert any("`norm` was exported as in training" in note for note in source_of(graph)["notes"])
    assert importers.check(path, graph) is None
    path = saved(tmp_path, [helper.make_node("BatchNormalization", ["x", *FOUR], ["y"])], FOUR, opset=9)
    assert guard.check(path, graph).worst.error == 0


def test_further_outputs_without_a_name_count_as_none(tmp_path: Path) -> None:
    """Before set 14 onnxruntime crashes on such a file, so that nothing is compared with it."""
    node = helper.make_node("BatchNormalization", ["x", *FOUR], ["y", "", "", "", ""], "norm")
    path = saved(tmp_path, [node], FOUR, opset=9)
    graph = importers.load(path)
    assert importers.check(path, graph) is None
    path = saved(tmp_path, [helper.make_node("BatchNormalization", ["x", *FOUR], ["y"])], FOUR, opset=9)
    assert guard.check(path, graph).worst.error == 0


def test_numbers_a_channel_of_a_normalisation_that_is_not_spatial(tmp_path: Path) -> None:
    """As MXNet exports it (the ArcFace of ONNX's model zoo); a number a cell is refused."""
    node = helper.make_node("BatchNormalization", ["x", *FOUR], ["y"], "norm", spatial=0)
    graph = importers.load(saved(tmp_path, [node], FOUR, opset=8))
    path = saved(tmp_path, [helper.make_node("BatchNormalization", ["x", *FOUR], ["y"])], FOUR, opset=8)
    assert guard.check(path, graph).worst.error == 0
    cells = {name: np.ones((2, 4, 4), np.float32) for name in FOUR}
    text = message(saved(tmp_path, [node], cells, opset=8))
    assert "BatchNormalization `norm` has numbers for each cell" in text


def test_a_normalisation_over_the_batch_is_refused(tmp_path: Path) -> None:
    node = helper.make_node("BatchNormalization", ["x", *FOUR], ["y", "m2", "v2"], "norm", training_mode=1)
    assert "`norm` is in training mode" in message(saved(tmp_path, [node], FOUR, opset=15))
    node = helper.make_node("BatchNormalization", ["x", *FOUR], ["a", "m2", "v2", "m3", "v3"], "norm")
    use = helper.make_node("Add", ["a", "m2"], ["y"])
    assert "`norm` is in training mode" in message(saved(tmp_path, [node, use], FOUR, opset=9))


def test_an_optimizer_is_left_out(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["y"]),
        helper.make_node("Adam", ["r", "r", "y"], ["next"], "step", domain="ai.onnx.preview.training"),
        helper.make_node("RandomNormal", [], ["noise"], shape=[1, 4]),
    ]
    path = saved(tmp_path, nodes, {"r": np.float32(0), "moment": np.zeros(9, np.float32)})
    graph = importers.load(path)
    assert [node.op for node in graph.nodes] == ["Relu"] and not graph.constants
    assert "2 nodes that no output needs left out" in source_of(graph)["notes"]


def test_an_unused_initializer_that_ir_3_lists_as_input_is_no_input(tmp_path: Path) -> None:
    ports = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3]),
        helper.make_tensor_value_info("num_batches_tracked", TensorProto.INT64, []),
    ]
    counter = numpy_helper.from_array(np.array(7, np.int64), "num_batches_tracked")
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", ports, [output], [counter])
    path = tmp_path / "m.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 9)], ir_version=3)
    path.write_bytes(model.SerializeToString())
    assert importers.load(path).inputs == ["x"]
