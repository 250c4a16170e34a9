"""Files that are legal but odd, or that lie: read for what they mean, or refused with a name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, ValueInfoProto, external_data_helper, helper, numpy_helper

from modelbuild import importers
from modelbuild.errors import ModelbuildError
from modelbuild.graph import guard
from modelbuild.graph.normalise import normalise
from modelbuild.importers import trim
from modelbuild.importers.source import source_of

FLOAT = TensorProto.FLOAT


def network(opset: int = 13, ir: int = 8) -> ModelProto:
    """x [1, 4] -> Mul w -> a -> Relu -> b -> Add w -> y."""
    nodes = [
        helper.make_node("Mul", ["x", "w"], ["a"], "mul"),
        helper.make_node("Relu", ["a"], ["b"], "relu"),
        helper.make_node("Add", ["b", "w"], ["y"], "add"),
    ]
    ports = [helper.make_tensor_value_info(name, FLOAT, [1, 4]) for name in ("x", "y")]
    weights = numpy_helper.from_array(np.float32([1, -2, 3, 4]), "w")
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], [weights])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)


def saved(folder: Path, proto: ModelProto) -> Path:
    (folder / "m.onnx").write_bytes(proto.SerializeToString())
    return folder / "m.onnx"


def refused(path: Path, **arguments: Any) -> str:
    with pytest.raises(ModelbuildError) as caught:
        importers.load(path, **arguments)
    assert caught.value.exit_code == 2
    return " ".join(str(caught.value).split())


def _unsorted(proto: ModelProto) -> None:
    nodes = list(proto.graph.node)
    del proto.graph.node[:]
    proto.graph.node.extend(reversed(nodes))


def _same_names(proto: ModelProto) -> None:
    for node in proto.graph.node:
        node.name = "same"


def _wrong_shapes(proto: ModelProto) -> None:
    lies = {"a": [7, 7, 7], "b": [2]}
    proto.graph.value_info.extend(helper.make_tensor_value_info(n, FLOAT, s) for n, s in lies.items())
    proto.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", FLOAT, [9]))


def _wrong_types(proto: ModelProto) -> None:
    proto.graph.value_info.append(helper.make_tensor_value_info("a", TensorProto.INT64, [1, 4]))


def _weights_among_inputs(proto: ModelProto) -> None:
    proto.graph.input.append(helper.make_tensor_value_info("w", FLOAT, [4]))


def _weights_in_a_node(proto: ModelProto) -> None:
    tensor = proto.graph.initializer.pop()
    proto.graph.node.insert(0, helper.make_node("Constant", [], ["w"], value=tensor))


def _no_output_shape(proto: ModelProto) -> None:
    proto.graph.output[0].type.tensor_type.ClearField("shape")


def _no_output_type(proto: ModelProto) -> None:
    proto.graph.output[0].ClearField("type")


def _unused_things(proto: ModelProto) -> None:
    proto.graph.node.append(helper.make_node("Neg", ["a"], ["nobody"]))
    proto.graph.initializer.append(numpy_helper.from_array(np.zeros(9), "nothing"))


def _domain_by_its_other_name(proto: ModelProto) -> None:
    for node in proto.graph.node:
        node.domain = "ai.onnx"


@pytest.mark.parametrize(
    "change",
    [
        _unsorted, _same_names, _wrong_shapes, _wrong_types, _weights_among_inputs, _weights_in_a_node,
        _no_output_shape, _no_output_type, _unused_things, _domain_by_its_other_name,
    ],
    ids=lambda change: change.__name__.strip("_"),
)  # fmt: skip
def test_it_is_read_for_what_it_means(tmp_path: Path, change: Callable[[ModelProto], None]) -> None:
    proto = network()
    change(proto)
    path = saved(tmp_path, proto)
    graph = importers.load(path)
    assert [node.op for node in graph.nodes] == ["Mul", "Relu", "Add"]
    assert len({node.name for node in graph.nodes}) == 3
    assert graph.shapes["y"] == (1, 4) and graph.inputs == ["x"]
    assert importers.check(path, graph) is not None
    guard.check(saved(tmp_path, network()), normalise(graph)[0])


@pytest.mark.parametrize("opset", [11, 13, 18])
def test_parts_of_a_split_without_names(tmp_path: Path, opset: int) -> None:
    """Those that nothing reads; onnxruntime crashes on the file, so that nothing is compared with it."""
    named = network(opset)
    sizes = numpy_helper.from_array(np.array([1, 2, 1]), "sizes")
    inputs, how = (["x", "sizes"], {}) if opset > 11 else (["x"], {"split": [1, 2, 1]})
    split = helper.make_node("Split", inputs, ["p", "q", "y"], "split", axis=1, **how)
    graph = helper.make_graph([split], "g", named.graph.input, [onnx_float("y", [1, 1])], [sizes])
    named.graph.CopyFrom(graph)
    unnamed = type(named)()
    unnamed.CopyFrom(named)
    unnamed.graph.node[0].output[:2] = ["", ""]
    path = saved(tmp_path, unnamed)
    found = importers.load(path)
    assert importers.check(path, found) is None
    guard.check(saved(tmp_path, named), normalise(found)[0])


def onnx_float(name: str, shape: list[int]) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, FLOAT, shape)


def test_group_normalization_of_set_18(tmp_path: Path) -> None:
    """onnx has taken its first form back; exporters wrote it, and onnxruntime runs it."""
    numbers = {"s": np.float32([1, 2]), "b": np.float32([0.5, -1])}
    node = helper.make_node("GroupNormalization", ["x", *numbers], ["y"], "norm", num_groups=2)
    tensors = [numpy_helper.from_array(value, name) for name, value in numbers.items()]
    ports = [onnx_float(name, [1, 4, 3, 3]) for name in "xy"]
    graph = helper.make_graph([node], "g", ports[:1], ports[1:], tensors)
    path = saved(
        tmp_path, helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    )
    found = importers.load(path)
    assert importers.check(path, found) is not None
    guard.check(path, normalise(found)[0])


@pytest.mark.parametrize("ir", [3, 4, 7, 10, 12, 13, 14])
def test_any_ir_version(tmp_path: Path, ir: int) -> None:
    proto = network(ir=ir)
    if ir == 3:
        _weights_among_inputs(proto)
    path = saved(tmp_path, proto)
    assert importers.check(path, importers.load(path)) is not None


def test_newest_operator_set(tmp_path: Path) -> None:
    """Newer than onnxruntime: its operators are the same in a set that it knows."""
    path = saved(tmp_path, network(opset=28, ir=13))
    assert importers.check(path, importers.load(path)) is not None


def _sparse(indices: Any, dims: list[int]) -> TensorProto:
    values = numpy_helper.from_array(np.float32([1, -2]), "w")
    return helper.make_sparse_tensor(values, numpy_helper.from_array(np.array(indices), "i"), dims)


@pytest.mark.parametrize(("indices", "dims"), [([0, 3], [4]), ([[0, 1], [0, 2]], [1, 4])])
def test_sparse_weights_become_dense(tmp_path: Path, indices: Any, dims: list[int]) -> None:
    proto = network(ir=9)
    del proto.graph.initializer[:]
    proto.graph.sparse_initializer.append(_sparse(indices, dims))
    graph = importers.load(saved(tmp_path, proto))
    expected = np.zeros(dims, np.float32)
    expected.reshape(-1)[np.array(indices).reshape(2, -1)[:, -1]] = [1, -2]
    assert np.array_equal(graph.constants["w"], expected)
    node = helper.make_node("Constant", [], ["w"], sparse_value=_sparse(indices, dims))
    proto = network()
    del proto.graph.initializer[:]
    proto.graph.node.insert(0, node)
    assert np.array_equal(importers.load(saved(tmp_path, proto)).constants["w"], expected)


@pytest.mark.parametrize(
    ("indices", "dims", "words"),
    [
        ([0, 4], [4], "indices of the sparse tensor `w`"),
        ([0], [4], "indices of the sparse tensor `w`"),
        ([-1, 0], [4], "indices of the sparse tensor `w`"),
        ([0, 1], [2**40], "at most 256 MiB"),
    ],
)
def test_sparse_weights_that_do_not_fit(tmp_path: Path, indices: Any, dims: list[int], words: str) -> None:
    proto = network(ir=9)
    del proto.graph.initializer[:]
    proto.graph.sparse_initializer.append(_sparse(indices, dims))
    assert words in refused(saved(tmp_path, proto))


@pytest.mark.parametrize("kind", [TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE])
def test_weights_of_other_precisions(tmp_path: Path, kind: int) -> None:
    """Inside a float32 model, behind a Cast, as converters for size write them."""
    proto = network()
    values = np.float32([1, -2, 3, 4]).astype(helper.tensor_dtype_to_np_dtype(kind))
    proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(values, "half"))
    proto.graph.node.insert(0, helper.make_node("Cast", ["half"], ["w"], to=FLOAT))
    graph = importers.load(saved(tmp_path, proto))
    assert graph.dtypes["x"] == graph.dtypes["y"] == np.float32
    result, _ = normalise(graph)
    assert [node.op for node in result.nodes] == ["Mul", "Relu", "Add"]
    guard.check(saved(tmp_path, network()), result)


def _two_inputs(proto: ModelProto) -> None:
    proto.graph.input.append(proto.graph.input[0])


def _two_outputs(proto: ModelProto) -> None:
    proto.graph.output.append(proto.graph.output[0])


def _two_weights(proto: ModelProto) -> None:
    proto.graph.initializer.append(proto.graph.initializer[0])


def _nameless_input(proto: ModelProto) -> None:
    proto.graph.input[0].name = ""


def _made_twice(proto: ModelProto) -> None:
    proto.graph.node[1].output[0] = "a"
    proto.graph.node[2].input[0] = "a"


def _circle(proto: ModelProto) -> None:
    proto.graph.node[0].input[1] = "y"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_two_inputs, "the model has two inputs `x`"),
        (_two_outputs, "the model has two outputs `y`"),
        (_two_weights, "the model has two initializers `w`"),
        (_nameless_input, "an input of the model has no name"),
        (_made_twice, "the tensor `a` is made twice, the second time by `relu`"),
        (_circle, "depends on its own output"),
    ],
)
def test_what_has_no_meaning_is_refused(
    tmp_path: Path, change: Callable[[ModelProto], None], words: str
) -> None:
    proto = network()
    change(proto)
    assert words in refused(saved(tmp_path, proto))


def test_every_open_dimension_of_every_input_is_named(tmp_path: Path) -> None:
    ports = [
        helper.make_tensor_value_info("left", FLOAT, ["batch", 3, "h"]),
        helper.make_tensor_value_info("right", FLOAT, None),
        helper.make_tensor_value_info("y", FLOAT, None),
    ]
    node = helper.make_node("Concat", ["left", "right"], ["y"], axis=1)
    graph = helper.make_graph([node], "g", ports[:2], ports[2:])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path = saved(tmp_path, proto)
    found = refused(path)
    assert "`left` has no fixed size in dimensions 0 (`batch`), 2 (`h`)" in found
    assert "`right` has no shape" in found
    with pytest.raises(ModelbuildError) as caught:
        importers.load(path, {"left": (1, 3, 5), "rigth": (1, 2, 5)})
    (problem,) = caught.value.problems
    assert problem.advice.startswith("`rigth` is no input of the model; write into models.yaml: `")
    graph_made = importers.load(path, {"left": (1, 3, 5), "right": (1, 2, 5)})
    assert graph_made.shapes["y"] == (1, 5, 5)
    assert importers.check(path, graph_made) is not None


def test_what_is_left_out_is_noted(tmp_path: Path) -> None:
    proto = network()
    _unused_things(proto)
    assert (
        "1 nodes that no output needs left out" in source_of(importers.load(saved(tmp_path, proto)))["notes"]
    )


TEXTS = ("wname", "op_type", "inputx", "outputx", "nodename", "domainx", "attrname", "graphname", "producer")


@pytest.mark.parametrize("text", [*TEXTS, "opdomain", "metakey", "metavalue", "location"])
def test_a_name_that_is_no_utf_8_is_refused_wherever_it_stands(text: str) -> None:
    weights = numpy_helper.from_array(np.ones(2, np.float32), "wname")
    external_data_helper.set_external_data(weights, "location", 0, 8)
    node = helper.make_node("op_type", ["inputx"], ["outputx"], "nodename", domain="domainx", attrname=3)
    ports = [helper.make_tensor_value_info(name, FLOAT, [2]) for name in ("inputx", "outputx")]
    graph = helper.make_graph([node], "graphname", ports[:1], ports[1:], [weights])
    model = helper.make_model(
        graph, producer_name="producer", opset_imports=[helper.make_opsetid("opdomain", 17)]
    )
    helper.set_model_props(model, {"metakey": "metavalue"})
    data = model.SerializeToString()
    trim.check_text(onnx.load_model_from_string(data))
    damaged = data.replace(text.encode(), b"\xff" * len(text))
    with pytest.raises(ModelbuildError, match="a name in the model is not text"):
        trim.check_text(onnx.load_model_from_string(damaged))
